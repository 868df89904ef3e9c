"""A line for each run, to syslog or to a file that rotates by itself, whoever else writes to it."""

from __future__ import annotations

import fcntl
import os
import socket
from datetime import UTC, datetime
from pathlib import Path

SYSLOG = "syslog"
MOST = 1 << 20  # bytes in a file before it is put aside
KEPT = 5  # files that were put aside: PATH.1 is the latest


def write(target: str, text: str, *, trouble: bool) -> None:
    """Write one line to syslog (facility user, as `mailer`) or to the file `target`.

    Raises OSError if the file cannot be written. Where no syslog listens nobody hears it.
    """
    line = " ".join(text.split())
    if target == SYSLOG:
        _to_syslog(line, trouble=trouble)
        return
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    word = "trouble: " if trouble else ""
    _append(Path(target).expanduser(), f"{now} {socket.gethostname()} mailer[{os.getpid()}]: {word}{line}\n")


def _to_syslog(line: str, *, trouble: bool) -> None:
    import syslog

    syslog.openlog("mailer", syslog.LOG_PID, syslog.LOG_USER)
    syslog.syslog(syslog.LOG_WARNING if trouble else syslog.LOG_INFO, line)


def _append(path: Path, line: str) -> None:
    data = line.encode(errors="backslashreplace")
    while True:
        with path.open("ab", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _still(file.fileno(), path):
                continue  # put aside while we waited for it
            size = os.fstat(file.fileno()).st_size
            if size and size + len(data) > MOST:
                _put_aside(path)
                continue
            file.write(data)
            return


def _still(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _put_aside(path: Path) -> None:
    def older(number: int) -> Path:
        return path.with_name(f"{path.name}.{number}")

    for number in range(KEPT - 1, 0, -1):
        if older(number).exists():
            older(number).replace(older(number + 1))
    path.replace(older(1))
