"""What commands are wired to: the configured database, ready to use."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mailer_cli import database, settings
from mailer_cli.database import Connection, Dsn, schema
from mailer_cli.errors import UnavailableError

if TYPE_CHECKING:
    from sqlmodel import Session

RECOVERY_SECONDS = 20.0


def home(configured: settings.Settings) -> Path:
    """Return where the embedded database is wanted."""
    from mailer_cli.database import embedded

    return configured.mailer_home or embedded.default_home(os.environ)


def dsn(configured: settings.Settings) -> Dsn:
    """Return the database to use: the configured server, else the embedded one, started if need be."""
    if address := settings.server_address(configured):
        return Dsn(address)
    from mailer_cli.database import embedded

    return Dsn(embedded.ensure(home(configured)), embedded=True)


@contextmanager
def connected(configured: settings.Settings | None = None) -> Iterator[Connection]:
    """Connect for one command; the schema is the one this release needs."""
    with ready(configured) as (_, connection):
        yield connection


@contextmanager
def ready(configured: settings.Settings | None = None) -> Iterator[tuple[Dsn, Connection]]:
    """The same, with the address, for commands that open more connections of their own."""
    address, opened = _opened(configured or settings.load())
    with database.explained(), opened as connection:
        if address.embedded and (schema.version(connection) or "") < schema.HEAD:
            schema.upgrade(address)
        schema.require(connection)
        yield address, connection


def _opened(configured: settings.Settings) -> tuple[Dsn, Connection]:
    """Connect; the embedded server is given a moment, for after a crash it recovers first."""
    give_up = time.monotonic() + RECOVERY_SECONDS
    while True:
        address = dsn(configured)
        try:
            return address, database.connect(address)
        except UnavailableError:
            if not address.embedded or time.monotonic() >= give_up:
                raise
            time.sleep(0.05)


@contextmanager
def working(configured: settings.Settings | None = None) -> Iterator[tuple[Session, Connection]]:
    """One transaction of one-row work, committed at the end of the block."""
    with ready(configured) as (address, _), database.session(address) as (session, connection):
        yield session, connection


def actor() -> str:
    """Return who is at work, for the record: user and host."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a uid without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"
