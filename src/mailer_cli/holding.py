"""Stopping all sending, on every host, and starting it again."""

from __future__ import annotations

from mailer_cli import database, events
from mailer_cli.database import Connection


def hold(connection: Connection, actor: str, reason: str) -> None:
    """Start nothing more anywhere until released; what is under way is finished."""
    with database.transaction(connection):
        database.execute(connection, "service_hold", actor=actor, reason=reason)
        events.record(connection, actor, "sending held", new={"reason": reason})


def release(connection: Connection, actor: str) -> bool:
    """Let sending go on; False if it was not held."""
    with database.transaction(connection):
        released = database.execute(connection, "service_release").rowcount == 1
        if released:
            events.record(connection, actor, "sending released")
    return released


def move_home(connection: Connection, actor: str) -> None:
    """Make this database the one that sends, where it was copied or restored from another."""
    with database.transaction(connection):
        database.execute(connection, "service_move")
        events.record(connection, actor, "sending moved to this database")
