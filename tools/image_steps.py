"""A Dockerfile's steps, carried out one by one in a chroot: what a build does, for where there is no engine.

It knows what our Dockerfile uses and refuses the rest. The base image is a Debian made by debootstrap, with a
Python put where the Python image has it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

PACKAGES = "ca-certificates,libssl3,libffi8,libbz2-1.0,liblzma5,libsqlite3-0,libreadline8,libuuid1,libexpat1"
PATH = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Image:
    """A root directory, and what the Dockerfile says of how to start something in it."""

    root: Path
    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    user: str = "0:0"
    workdir: str = "/"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


def run(*words: str | Path, **options: object) -> subprocess.CompletedProcess[bytes]:
    """Run a program that must not fail."""
    return subprocess.run([str(word) for word in words], check=True, **options)  # type: ignore[call-overload,no-any-return]


def base(place: Path, python: Path) -> Path:
    """Make the base image once: Debian bookworm, and this Python (a prefix) as /usr/local."""
    root = place / "base"
    done = root / "usr/local/bin/python"
    if not done.exists():
        shutil.rmtree(root, ignore_errors=True)
        run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm", root)
        run("cp", "-a", f"{python}/.", root / "usr/local")
        # Its scripts name the prefix it was built for.
        for script in (root / "usr/local/bin").iterdir():
            if script.is_file() and script.read_bytes()[:2] == b"#!":
                script.write_bytes(script.read_bytes().replace(f"{python}/bin".encode(), b"/usr/local/bin"))
        run("chroot", root, "ldconfig")
        # How this machine reaches the network, whatever that is.
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs")
        if not done.exists():
            done.symlink_to("python3")
    shutil.copy("/etc/resolv.conf", root / "etc")
    return root


def build(dockerfile: Path, place: Path, python: Path) -> Image:
    """Carry out each step; return the last stage."""
    known = base(place, python)
    stages: dict[str, Image] = {}
    arguments: dict[str, str] = {}
    image: Image | None = None
    for name, text in steps(dockerfile.read_text(encoding="utf-8")):
        print(f"   {name} {text}"[:110], flush=True)  # noqa: T201 - what it does is its output
        if name == "ARG":
            key, _, value = text.partition("=")
            arguments[key] = value
        elif name == "FROM":
            stage = text.split(" AS ")[1] if " AS " in text else "final"
            image = stages[stage] = Image(_copy_of(known, place / stage))
        else:
            assert image is not None, "a step before FROM"  # noqa: S101 - a Dockerfile of our own
            image = stages[stage] = _step(image, name, text, dockerfile.parent, stages)
    assert image is not None, "no FROM"  # noqa: S101 - see above
    return image


def steps(text: str) -> list[tuple[str, str]]:
    """Return each instruction and what follows it, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [
        (name, " ".join(rest.split()))
        for name, _, rest in (each.partition(" ") for each in joined.split("\n"))
    ]


def _copy_of(known: Path, root: Path) -> Path:
    if root.exists():
        run("rm", "-rf", "--one-file-system", root)
    run("cp", "-a", known, root)
    return root


def _step(image: Image, name: str, text: str, context: Path, stages: dict[str, Image]) -> Image:
    match name:
        case "RUN":
            _in_chroot(image, text)
            return image
        case "COPY":
            _copy(image, shlex.split(text), context, stages)
            return image
        case "ENV":
            key, _, value = text.partition("=")
            value = re.sub(r"\$\{?(\w+)\}?", lambda found: image.env.get(found[1], ""), value.strip('"'))
            return replace(image, env={**image.env, key: value})
        case "WORKDIR":
            (image.root / text.lstrip("/")).mkdir(parents=True, exist_ok=True)
            return replace(image, workdir=text)
        case "USER":
            return replace(image, user=text)
        case "ENTRYPOINT":
            return replace(image, entrypoint=tuple(json.loads(text)))
        case "CMD":
            return replace(image, command=tuple(json.loads(text)))
    raise ValueError(f"this rehearsal knows nothing of {name}")


def _in_chroot(image: Image, command: str) -> None:
    pip = {key: value for key, value in os.environ.items() if key in {"PIP_CERT", "PIP_DEFAULT_TIMEOUT"}}
    env = {**image.env, **pip, "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
    inside = 'mount -t proc proc "$0/proc"; exec chroot "$0" /bin/sh -c "cd $1 && $2"'
    run("unshare", "--mount", "sh", "-c", inside, image.root, image.workdir, command, env=env)


def _copy(image: Image, words: list[str], context: Path, stages: dict[str, Image]) -> None:
    source = context
    if words[0].startswith("--from="):
        source = stages[words.pop(0).removeprefix("--from=")].root
    *names, target = words
    place = image.root / (target if target.startswith("/") else f"{image.workdir}/{target}").lstrip("/")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info") if source is context else None
    for name in names:
        what = source / name.lstrip("/")
        if what.is_dir():  # its contents, as COPY does
            shutil.copytree(what, place, symlinks=True, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy(what, place)
