"""A Redis of the benchmark's own, for the peers that need a broker. It keeps nothing on disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import children

PROGRAM = shutil.which("redis-server")


def version() -> str | None:
    """The version of Redis, None where there is none."""
    if PROGRAM is None:
        return None
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=False).stdout
    return next((word[2:] for word in said.split() if word.startswith("v=")), "?")


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """The address of an empty Redis on a port of its own."""
    if PROGRAM is None:
        raise children.FailedError("no redis-server here")
    port, log = children.free_port(), folder / "redis.log"
    alone = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    env = {"PATH": os.environ["PATH"]}
    process = children.start([PROGRAM, *alone, "--dir", str(folder)], env, folder, log)
    try:
        children.wait_until_listening(port, process, log)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        children.end(process)
