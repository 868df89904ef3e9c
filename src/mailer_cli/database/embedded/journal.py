"""postgres.log: kept short, and read when the server does not start."""

from __future__ import annotations

import os
import re

from mailer_cli.database.embedded.directories import WAY_OUT
from mailer_cli.database.embedded.place import Place
from mailer_cli.errors import ConfigurationError, MailerError, UnavailableError

LONGEST = 1_000_000  # bytes, at a start
FULL = 16 * 2**20  # bytes left on a disk that is called full: one start and its journal need less
_TAIL = 8192  # bytes
_PREFIX = re.compile(r"^[\d-]+ [\d:.]+ \S+ \[\d+\] ")  # time and process id
_TELLING = ("FATAL", "PANIC", "error:", "ERROR")


def open_for_server(place: Place) -> int:
    """Open the log to write at its end, emptied if it has grown too long; the caller closes it."""
    handle = os.open(place.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    if os.fstat(handle).st_size > LONGEST:
        os.ftruncate(handle, 0)
    return handle


def append(place: Place, text: str) -> None:
    """Keep what a program said that failed."""
    handle = open_for_server(place)
    try:
        os.write(handle, text.encode())
    except OSError:
        pass  # a full disk: the error that is about to be raised says so
    finally:
        os.close(handle)


def length(place: Place) -> int:
    """How long the log is, in bytes."""
    try:
        return place.log.stat().st_size
    except FileNotFoundError:
        return 0


def since(place: Place, start: int) -> str:
    """Return the end of what was written after the first `start` bytes."""
    try:
        with place.log.open("rb") as file:
            file.seek(max(start, length(place) - _TAIL))
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def telling_line(text: str) -> str:
    """Return the line that most likely says why: the last error, else the last line."""
    lines = [_PREFIX.sub("", line) for line in text.splitlines() if line.strip() and "HINT:" not in line]
    errors = [line for line in lines if any(word in line for word in _TELLING)]
    return next(reversed(errors or lines), "it said nothing")


def failure(place: Place, text: str) -> MailerError:
    """Return the error to raise when a program of PostgreSQL said `text` and gave up."""
    disk = os.statvfs(place.root)
    if "No space left" in text or disk.f_bavail * disk.f_frsize < FULL:
        return ConfigurationError(
            f"the embedded database cannot use {place.root}: the disk is full\nfree some space, or {WAY_OUT}"
        )
    return UnavailableError(
        f"the embedded database did not start: {telling_line(text)}\nsee {place.log}; or {WAY_OUT}"
    )
