"""What the shell completes: ids, zones, tags, operator codes. It never starts a database, waits, or fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailer_cli.database import Connection

_PATIENCE = 2  # seconds; whoever presses Tab does not wait longer
_SHOWN = 40  # characters of a mailing's text beside its id


def zones(incomplete: str) -> list[str]:
    """Time zones that begin so, in whatever case."""
    from mailer_cli import localtime

    return [name for name in localtime.zone_names() if name.lower().startswith(incomplete.lower())]


def mailings(incomplete: str) -> list[tuple[str, str]]:
    """The newest mailings, with their texts."""
    return [
        (str(number), f"{state}: {' '.join(text.split())[:_SHOWN]}")
        for number, state, text in _rows("completion_mailings")
        if str(number).startswith(incomplete)
    ]


def tags(incomplete: str) -> list[str]:
    """Tags that clients have."""
    return [tag for (tag,) in _rows("completion_tags") if tag.startswith(incomplete)]


def operators(incomplete: str) -> list[str]:
    """Operator codes that clients have."""
    return [code for (code,) in _rows("completion_operators") if code.startswith(incomplete)]


def _rows(statement: str) -> list[tuple[str, ...]]:
    # Tab is no place for an error: without a database there is nothing to offer.
    with suppress(Exception), _connected() as connection:
        from mailer_cli import database

        return database.execute(connection, statement).fetchall()
    return []


@contextmanager
def _connected() -> Iterator[Connection]:
    import psycopg

    from mailer_cli import settings
    from mailer_cli.cli import wiring
    from mailer_cli.database import embedded

    configured = settings.load()
    address = settings.server_address(configured)
    if address is None:
        if not embedded.status(wiring.home(configured)).running:
            raise LookupError("the embedded database is not running")
        address = wiring.dsn(configured).address
    with psycopg.connect(address, connect_timeout=_PATIENCE, autocommit=True) as connection:
        yield connection
