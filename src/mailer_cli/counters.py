"""How many messages have each status, kept in the transaction that moves them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from mailer_cli import database
from mailer_cli.database import Connection
from mailer_cli.statuses import Status

# What is added to each status, by mailing.
Changes = Mapping[int, Mapping[str, int]]


class Moves:
    """Adds up messages that appear in a status, or go from one to another."""

    def __init__(self) -> None:
        self._changes: defaultdict[int, Counter[str]] = defaultdict(Counter)

    def appeared(self, mailing_id: int, status: str, count: int = 1) -> None:
        """Note new messages in `status`."""
        self._changes[mailing_id][status] += count

    def moved(self, mailing_id: int, before: str, after: str) -> None:
        """Note one message that went from one status to another."""
        self._changes[mailing_id][before] -= 1
        self._changes[mailing_id][after] += 1

    @property
    def changes(self) -> Changes:
        """The sums so far."""
        return self._changes


def add(connection: Connection, shard: int, changes: Changes) -> None:
    """Add to the counters of one shard, mailing by mailing in the order of their ids."""
    for mailing_id in sorted(changes):
        counts = changes[mailing_id]
        if any(counts.values()):
            values = {status.value: counts.get(status, 0) for status in Status}
            database.execute(connection, "counter_add", shard=shard, mailing_id=mailing_id, **values)
