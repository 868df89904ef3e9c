"""The record of who changed what: written in the same transaction as the change itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailer_cli import database
from mailer_cli.database import Connection


def record(
    connection: Connection,
    actor: str,
    action: str,
    *,
    mailing_id: int | None = None,
    client_id: int | None = None,
    old: Mapping[str, Any] | None = None,
    new: Mapping[str, Any] | None = None,
) -> int:
    """Note that `actor` did `action` (say "mailing paused"), with the values before and after.

    Return the number of the note.
    """
    from psycopg.types.json import Jsonb

    number: int = database.fetch_value(
        connection,
        "event_insert",
        actor=actor,
        action=action,
        mailing_id=mailing_id,
        client_id=client_id,
        old=None if old is None else Jsonb(dict(old)),
        new=None if new is None else Jsonb(dict(new)),
    )
    return number
