"""The embedded default: a real PostgreSQL in a private directory, started when needed and left running.

The server is reached by a socket inside that directory and by nothing else, so whoever may connect
is whoever owns the directory. Only `ensure` creates anything.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from mailer_cli.database.embedded import pidfile
from mailer_cli.database.embedded.place import Place, default_home, locate

__all__ = ["Status", "default_home", "ensure", "status", "stop"]


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of an embedded server without starting it."""

    running: bool
    home: Path  # the private directory that is truly used
    data: Path
    socket_dir: Path
    log: Path
    pid: int | None
    server_version: str | None  # of the programs, not of the running server
    os_user: str  # whom the server runs as
    size_bytes: int  # of the data directory


def ensure(home: Path, *, durable: bool = True, start_timeout: float = 60.0) -> str:
    """Return the libpq URI of the embedded server under `home`, started if it was not running.

    `durable=False` trades safety against a crash for speed: tests only. `start_timeout` is in seconds.
    Raise ConfigurationError if the place or the programs cannot be used, UnavailableError if the
    server does not start in time.
    """
    place = locate(home)
    if _ready(place):
        return place.uri
    from mailer_cli.database.embedded import directories, server

    deadline = time.monotonic() + start_timeout
    with directories.usable(place.root):
        directories.prepare(place)
        with directories.locked(place.lock, deadline) as lock:
            if not _ready(place):
                server.start(place, durable=durable, deadline=deadline, lock=lock)
    return place.uri


def stop(home: Path, *, timeout: float = 30.0) -> bool:
    """Stop the server, disconnecting its clients; return whether it was running.

    `timeout` is in seconds; raise UnavailableError if the server is still running after it.
    """
    place = locate(home)
    from mailer_cli.database.embedded import directories, server

    deadline = time.monotonic() + timeout
    with directories.usable(place.root):
        if not place.lock.exists():
            return False
        with directories.locked(place.lock, deadline):
            return server.stop(place, deadline)


def status(home: Path) -> Status:
    """Look at the server under `home` without starting or creating anything."""
    from mailer_cli.database.embedded import programs
    from mailer_cli.errors import ConfigurationError

    place = locate(home)
    try:
        version = programs.version(programs.find())
    except ConfigurationError:
        version = None
    data, pid = pidfile.running(place) or (place.cluster(version), None)
    return Status(
        running=pid is not None or place.accepts(),
        home=place.root,
        data=data,
        socket_dir=place.sockets,
        log=place.log,
        pid=pid,
        server_version=version,
        os_user=place.account.name,
        size_bytes=_size(data),
    )


def _ready(place: Place) -> bool:
    # The socket tells at once that nobody listens; the lock file, that a listener does not serve yet.
    return place.accepts() and any(pidfile.state(data) == pidfile.READY for data in place.clusters())


def _size(directory: Path) -> int:
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118 - thousands of files: no Path for each
            except FileNotFoundError:
                continue  # a running server removes files
    return total
