"""The processes we start: each in a session of its own, ended by its id, and not left behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

GRACE = 15.0  # seconds that a process has for ending when it is asked to


_interrupted = threading.Event()


class FailedError(Exception):
    """What went wrong with a subject, or with what the benchmark needs itself."""


def interrupt(*_: object) -> None:
    """Handle a signal: stop what is being done."""
    _interrupted.set()
    raise KeyboardInterrupt


def heed() -> None:
    """Stop if we were asked to and went on: whoever is called back from C swallows an exception."""
    if _interrupted.is_set():
        raise KeyboardInterrupt


def start(command: Sequence[str], env: Mapping[str, str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a process that is asked to end should we be killed; what it says goes to `log`."""
    heed()
    setpriv = shutil.which("setpriv")
    prefix = [setpriv, "--pdeathsig", "TERM", "--"] if setpriv else []
    with log.open("ab") as output:
        return subprocess.Popen(
            [*prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=dict(env),
            start_new_session=True,  # Ctrl-C is ours: we end them in order
        )


def run(command: Sequence[str], env: Mapping[str, str], folder: Path, *, limit: float) -> str:
    """Run a command to its end and return what it wrote; raise FailedError unless it did well."""
    log = folder / "command.log"
    log.unlink(missing_ok=True)
    child = start(command, env, folder, log)
    try:
        code = child.wait(limit)
    except subprocess.TimeoutExpired:
        raise FailedError(f"{command[0]} took longer than {limit:g} s") from None
    finally:
        end(child)
    if code:
        raise FailedError(f"{' '.join(map(str, command[:4]))} ended with {code}: {tail(log)}")
    return log.read_text(errors="replace")


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask a process to end; after a while end it, and what it had started."""
    if child.poll() is not None:
        return
    offspring = tree(child.pid)
    child.terminate()
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        for pid in {*offspring, *tree(child.pid)} - {child.pid}:
            kill(pid)
        child.kill()
        child.wait()


def kill(pid: int) -> None:
    """End a process of ours at once, if it has not ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    found = [pid]
    for parent in found:
        found.extend(_children(parent))
    return found


def _children(pid: int) -> list[int]:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:  # it ended meanwhile
        return []
    return [child for thread in threads for child in _started_by(thread)]


def _started_by(thread: Path) -> list[int]:
    try:
        return [int(child) for child in (thread / "children").read_text().split()]
    except OSError:  # it ended meanwhile, and its process goes on with the children
        return []


def wait_until_listening(port: int, child: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until something of ours accepts connections on this port of 127.0.0.1."""
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        if child.poll() is not None:
            raise FailedError(f"{log.name}: ended with {child.returncode}: {tail(log)}")
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise FailedError(f"nothing listens on port {port}: {tail(log)}")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tail(log: Path, length: int = 400) -> str:
    """The end of what a process said."""
    try:
        said = log.read_text(errors="replace").strip()
    except FileNotFoundError:
        return "it said nothing"
    return said[-length:] or "it said nothing"
