"""After a promotion or a restore: who may have been sent to without this database knowing is in doubt.

A standby that is promoted, or a backup, may lack the last transactions: of messages that were claimed,
started and sent in them it knows nothing, and would send them again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mailer_cli import counters, database, events, windows
from mailer_cli.database import Connection
from mailer_cli.dispatch import claims, gate, housekeeping, scan
from mailer_cli.dispatch.claims import Move
from mailer_cli.errors import InvalidStateError
from mailer_cli.ids import SHARDS
from mailer_cli.statuses import Status

CHUNK = 2_000  # messages marked in one transaction
_WHY = "it may have been sent before the database was restored or promoted"


@dataclass(frozen=True, slots=True)
class Doubtful:
    """How many messages of a mailing may be in doubt: under way or retrying, and not claimed at all."""

    mailing_id: int
    tried: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Extent:
    """Which messages are meant: those of one mailing or all, sent since an instant.

    `most` says that no more than so many can have been claimed of any queue (one per shard and time zone).
    """

    since: datetime
    mailing_id: int | None = None
    most: int | None = None


Progress = Callable[[int], None]


def require_stopped(connection: Connection) -> None:
    """Raise InvalidStateError while dispatchers may be sending: what they are at would be called in doubt."""
    now = gate.read(connection)
    if not now.held and gate.refusal(now) is None:
        raise InvalidStateError(
            "this database is the one that sends, and sending is not held; nothing seems to be lost\n"
            "to mark messages all the same: `mailer hold --reason …` first, and wait for runs to end"
        )


def doubtful(connection: Connection, extent: Extent) -> list[Doubtful]:
    """Return how many messages of each mailing would be marked; windows are derived and opened first."""
    windows.derive(connection)
    shards = housekeeping.untended(connection)
    housekeeping.open_windows(connection, shards)
    for found in housekeeping.untended(connection):
        if found.to_count:
            housekeeping.count(connection, found.shard)
    return database.fetch(
        connection, "recover_mailings", Doubtful, since=extent.since, mailing_id=extent.mailing_id
    )


def mark(
    connection: Connection, actor: str, extent: Extent, found: list[Doubtful], progress: Progress
) -> int:
    """Mark everything that may have been sent as in doubt; return how many. It may be repeated."""
    # Told first: whoever may not write into the log may not do this, and what is stopped half-way is known.
    _record(
        connection, actor, "recovery begun", extent, {"since": extent.since.isoformat(), "most": extent.most}
    )
    marked = 0
    for shard in range(SHARDS):
        for each in found:
            while moved := _mark_tried(connection, shard, each.mailing_id):
                marked += moved
                progress(moved)
            database.execute(connection, "recover_claims", shard=shard, mailing_id=each.mailing_id)
        taken: dict[tuple[int, str], int] = {}
        while steps := _mark_waiting(connection, shard, extent, taken):
            marked += sum(steps)
            progress(sum(steps))
    _record(connection, actor, "messages marked in doubt", extent, {"messages": marked})
    return marked


def settle(connection: Connection, actor: str) -> None:
    """Let sending go on from this database: everything in doubt is marked."""
    with database.transaction(connection):
        gate.settle(connection, gate.read(connection))
        events.record(connection, actor, "sending moved to this database")


def _record(connection: Connection, actor: str, action: str, extent: Extent, facts: dict[str, Any]) -> None:
    with database.transaction(connection):
        events.record(connection, actor, action, mailing_id=extent.mailing_id, new=facts)


def _mark_tried(connection: Connection, shard: int, mailing_id: int) -> int:
    """Mark some messages that were under way; return how many."""
    with database.transaction(connection):
        rows = database.execute(
            connection, "recover_tried", shard=shard, mailing_id=mailing_id, most=CHUNK
        ).fetchall()
        for before in (Status.SENDING, Status.RETRYING):
            moves = [
                Move(mailing_id, client, Status.UNKNOWN, error=_WHY)
                for _, client, status in rows
                if status == before
            ]
            claims.move(connection, shard, moves, before=before)
        if rows:
            database.execute(
                connection,
                "retry_delete",
                shard=shard,
                mailing_ids=[mailing_id] * len(rows),
                client_ids=[client for _, client, _ in rows],
            )
    return len(rows)


def _mark_waiting(
    connection: Connection, shard: int, extent: Extent, taken: dict[tuple[int, str], int]
) -> list[int]:
    """Make doubtful messages for some who come next; return how many in each window, nothing at the end."""
    steps: list[int] = []
    with database.transaction(connection):
        found = database.fetch(
            connection,
            "recover_windows",
            scan.Window,
            shard=shard,
            since=extent.since,
            mailing_id=extent.mailing_id,
            error=_WHY,
        )
        sums = counters.Moves()
        for window in found:
            place = window.mailing_id, window.zone
            left = CHUNK - sum(steps)
            if extent.most is not None:
                left = min(left, extent.most - taken.get(place, 0))
            if left <= 0:
                continue
            made = scan.take(connection, window, left).made
            for status, number in made.items():
                sums.appeared(window.mailing_id, status, number)
            steps.append(sum(made.values()))
            taken[place] = taken.get(place, 0) + steps[-1]
        counters.add(connection, shard, sums.changes)
    return steps
