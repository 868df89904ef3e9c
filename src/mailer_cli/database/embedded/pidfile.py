"""postmaster.pid: whose it is, and how it is mended after a crash.

PostgreSQL trusts a process id it finds there if any process has that id: after a reboot, or in a
container, that is often somebody else, and the server would never start again.
"""

from __future__ import annotations

import os
from pathlib import Path

from mailer_cli.database.embedded.place import Place
from mailer_cli.errors import ConfigurationError

NAME = "postmaster.pid"
READY = "ready"
NOBODY = 2**31 - 2  # above any process id that Linux gives
_STATUS_LINE = 7  # counted from 0; the file is shorter while the server starts
_LONGEST = 8192  # bytes; the real file has about 150


def state(data: Path) -> str | None:
    """Return what the server says of itself: starting, ready, stopping; None before it says anything."""
    lines = _lines(data)
    return lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else None


def living(data: Path, uid: int) -> int | None:
    """Return the process id of the server that runs on `data` as `uid`, None if none does."""
    pid = _pid(_lines(data))
    return pid if pid and serves(pid, data, uid) else None


def running(place: Place) -> tuple[Path, int] | None:
    """Return the data directory and the process id of the server, None if it does not run."""
    for data in place.clusters():
        pid = living(data, place.account.uid)
        if pid is not None:
            return data, pid
    return None


def serves(pid: int, data: Path, uid: int) -> bool:
    """Tell whether that process is alive, belongs to `uid`, and is the PostgreSQL of `data`."""
    process = Path("/proc", str(pid))
    try:
        fields = dict(
            line.split(":", 1) for line in (process / "status").read_text(errors="replace").splitlines()
        )
        command = (process / "cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return False
    if fields["State"].split()[0] in "ZX" or int(fields["Uid"].split()[1]) != uid:
        return False
    # The command line may be read by root in a container; the working directory there may not.
    return command[1:3] == [b"-D", os.fsencode(data)] or _works_in(process, data)


def unregistered(data: Path, uid: int) -> int | None:
    """Return a server of `data` that has not written its lock file yet: its launcher was killed."""
    candidates = (int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208 - names are all we need
    return next((pid for pid in candidates if serves(pid, data, uid)), None)


def repair(data: Path, uid: int) -> None:
    """Make a lock file that a dead server left behind harmless. Call it under the lock only.

    Only the process id is replaced: the line on shared memory stays, so that PostgreSQL still refuses
    to start while a process of the dead server is at work on the files.
    """
    try:
        handle = os.open(data / NAME, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return
    try:
        found = os.fstat(handle)
        # The server's user may write here, and root mends it: nothing but that user's own file.
        if found.st_uid != uid or (uid != os.geteuid() and found.st_nlink != 1):
            raise ConfigurationError(f"{data / NAME} is not the server's own file: remove it, then try again")
        first, _, rest = os.read(handle, _LONGEST).partition(b"\n")
        pid = _pid([first.decode(errors="replace")])
        if not pid:
            (data / NAME).unlink()
            return
        if serves(pid, data, uid):
            return  # it has begun just now
        os.pwrite(handle, b"%d\n%s" % (NOBODY, rest), 0)
        os.ftruncate(handle, len(str(NOBODY)) + 1 + len(rest))
    finally:
        os.close(handle)


def _lines(data: Path) -> list[str]:
    try:
        with (data / NAME).open("rb") as file:
            return file.read(_LONGEST).decode(errors="replace").splitlines()
    except OSError:
        return []


def _pid(lines: list[str]) -> int | None:
    try:
        return abs(int(lines[0]))  # a stand-alone server writes it negative
    except (IndexError, ValueError):
        return None


def _works_in(process: Path, data: Path) -> bool:
    try:
        return (process / "cwd").samefile(data)  # the directory was renamed under the server
    except OSError:
        return False
