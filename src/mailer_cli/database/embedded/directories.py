"""Our own directories and the lock: created private, checked before use, never changed afterwards."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from mailer_cli.database.embedded.account import Account
from mailer_cli.database.embedded.place import SYSTEM, Place
from mailer_cli.errors import ConfigurationError, UnavailableError

POLL = 0.005  # seconds
WAY_OUT = (
    "set MAILER_HOME to another directory that you can write, or DATABASE_URL to a PostgreSQL of your own"
)


@contextmanager
def usable(directory: Path) -> Generator[None]:
    """Turn an operating system's error into a ConfigurationError that names the directory."""
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        where = error.filename or directory
        raise ConfigurationError(
            f"the embedded database cannot use {directory}: {os.fsdecode(where)}: {reason}\n{WAY_OUT}"
        ) from None


def prepare(place: Place) -> None:
    """Create the private directory and what is missing above it; leave alone what exists."""
    shared = place.account.other  # the server's user must get through, then
    for folder in reversed(place.root.parents):
        if not folder.exists():
            _make(folder, 0o755 if shared else 0o700)
    if place.root.parent == SYSTEM:
        own(SYSTEM, 0o755, os.geteuid())
    own(place.root, 0o711 if shared else 0o700, os.geteuid())


def prepare_sockets(place: Place) -> None:
    """Create the folder of the socket. Call it under the lock only: it changes hands once."""
    own(place.sockets, 0o700, place.account.uid, group=place.account.gid)
    if stat.S_IMODE(place.sockets.lstat().st_mode) & 0o077:
        raise ConfigurationError(f"{place.sockets} is open to others: run `chmod 700 {place.sockets}`")


def own(directory: Path, mode: int, uid: int, *, group: int = -1) -> None:
    """Create `directory` for `uid`, or check that it is what we would have created.

    Raise ConfigurationError if it is a link, belongs to somebody else, or can be written by others.
    """
    _make(directory, mode)
    found = directory.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() != uid:
        os.chown(directory, uid, group, follow_symlinks=False)  # ours alone so far
        found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise ConfigurationError(f"{directory} must be a directory, and is not: remove it\nor {WAY_OUT}")
    if found.st_uid != uid:
        raise ConfigurationError(f"{directory} belongs to user id {found.st_uid}, not {uid}\n{WAY_OUT}")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ConfigurationError(f"{directory} can be written by others: run `chmod go-w {directory}`")


def entrust(directory: Path, account: Account) -> None:
    """Create an empty directory that belongs to the server's user."""
    directory.mkdir(mode=0o700)
    if account.other:
        os.chown(directory, account.uid, account.gid)


def sweep(place: Place) -> None:
    """Remove what a killed first run left half done. Call it under the lock only."""
    import shutil

    for pattern in ("init-*", "copy-*"):
        for leftover in place.root.glob(pattern):
            shutil.rmtree(leftover, ignore_errors=True)


def publish(built: Path, final: Path) -> None:
    """Give a finished directory its name at once: whoever sees the name sees it complete."""
    built.rename(final)
    handle = os.open(final.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def locked(path: Path, deadline: float) -> Generator[int]:
    """Hold the lock, as an open file; the kernel releases it if we die.

    Raise UnavailableError if it is not to be had before `deadline`, seconds of time.monotonic().
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        while not _taken(handle):
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"another mailer is starting or stopping the embedded database (it holds {path})\n"
                    "try again in a minute"
                )
            time.sleep(POLL)
        yield handle
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make(directory: Path, mode: int) -> None:
    try:
        directory.mkdir(mode=mode)
    except FileExistsError:
        return
    directory.chmod(mode)  # the umask may have taken bits away
