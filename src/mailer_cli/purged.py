"""Mailings whose messages were purged: only sums are left, and nothing can tell any more who has got them.

Whatever could bring messages of a mailing back asks here first, under the lock that `purging` takes.
"""

from __future__ import annotations

from datetime import UTC, datetime

from mailer_cli import database
from mailer_cli.database import Connection
from mailer_cli.errors import PurgedError
from mailer_cli.ids import shard_of


def since(connection: Connection, mailing_id: int) -> datetime | None:
    """Return when a mailing was purged, None if it was not."""
    found: datetime | None = database.fetch_value(connection, "purged_since", mailing_id=mailing_id)
    return found


def lock(connection: Connection, mailing_id: int) -> datetime | None:
    """Return the same, and let nobody purge or edit the mailing until the transaction ends."""
    found: datetime | None = database.fetch_value(connection, "purged_lock", mailing_id=mailing_id)
    return found


def require_kept(connection: Connection, mailing_id: int) -> None:
    """Raise PurgedError if a mailing was purged; it is not, then, until the transaction ends."""
    if purged_at := lock(connection, mailing_id):
        raise PurgedError(mailing_id, purged_at)


def number(connection: Connection, client_id: int) -> int:
    """Return how many purged mailings may have had a message to this client."""
    found: int = database.fetch_value(connection, "purged_number", shard=shard_of(client_id))
    return found


def told(mailing_id: int, purged_at: datetime) -> str:
    """Return it as a sentence."""
    when = f"{purged_at.astimezone(UTC):%Y-%m-%d %H:%MZ}"
    what = f"the messages of mailing {mailing_id} were purged at {when}"
    return f"{what}; `mailer report {mailing_id}` has the sums"
