"""Windows: when each mailing may be sent in each zone, and how far its audience has been claimed."""

from __future__ import annotations

from collections.abc import Collection

from mailer_cli import database
from mailer_cli.database import Connection

SHARDS = 16  # as in `tables`, which is too heavy to import in a tick


def reconsider(connection: Connection, zones: Collection[str]) -> None:
    """Look again for clients in these zones' open windows: some have just moved in, or match now.

    Called in the transaction that changes clients. Costs a statement per shard, whatever their number.
    """
    for shard in range(SHARDS):
        database.execute(connection, "window_reconsider", shard=shard, zones=list(zones))
