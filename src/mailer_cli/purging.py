"""Remove the messages of mailings that were over long ago; their sums, windows and changes stay.

A mailing is marked, and its breakdowns are kept, in one transaction before the first message goes: from then
on nothing of it can be sent (see `purged`). The rest are small transactions: to be stopped in between, or
done twice at once, does no harm, and the next purge goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailer_cli import database, events, purged, summaries
from mailer_cli.database import Connection
from mailer_cli.errors import InvalidValueError
from mailer_cli.ids import SHARDS
from mailer_cli.summaries import Kept

BATCH = 5_000  # rows per transaction
LEAST = timedelta(days=1)

Progress = Callable[[int], None]  # how many rows were removed just now
_SHARDS = list(range(SHARDS))


@dataclass(frozen=True, slots=True)
class Purgeable:
    """A mailing that was over long ago, and what is left to remove of it."""

    mailing: int
    finished_at: datetime
    purged_at: datetime | None  # None: nothing was removed yet
    messages: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed of a mailing."""

    messages: int
    attempts: int


@dataclass(frozen=True, slots=True)
class _Batch:
    reached: int | None  # the last client looked at, None at the end
    removed: int


def cutoff(connection: Connection, span: timedelta) -> datetime:
    """Return the instant that long ago, by the database's clock; raise InvalidValueError if too near."""
    if span < LEAST:
        raise InvalidValueError(
            "older-than", "a mailing that ended less than a day ago may still be asked about; give 1d or more"
        )
    now: datetime = database.fetch_value(connection, "now")
    try:
        return now - span
    except OverflowError:
        raise InvalidValueError("older-than", "that is before the beginning of time; give less") from None


def purgeable(connection: Connection, before: datetime) -> list[Purgeable]:
    """Return the mailings that were over before then and have messages or attempts left, by id."""
    return _purgeable(connection, before, None)


def purgeable_runs(connection: Connection, before: datetime) -> int:
    """Return how many runs ended before then; the newest never counts."""
    number: int = database.fetch_value(connection, "purge_runs_count", before=before)
    return number


def purge(
    connection: Connection, actor: str, found: Purgeable, before: datetime, progress: Progress
) -> Removed:
    """Remove messages and attempts of one mailing; nothing if it is not to be purged any more."""
    if not _marked(connection, actor, summaries.read(connection, found.mailing), before):
        return Removed(0, 0)
    return Removed(
        messages=_remove(connection, "purge_messages", found.mailing, progress),
        attempts=_remove(connection, "purge_attempts", found.mailing, progress),
    )


def purge_runs(connection: Connection, actor: str, before: datetime, progress: Progress) -> int:
    """Remove runs that ended before then; return how many."""
    total = 0
    while number := _remove_runs(connection, before):
        total += number
        progress(number)
    if total:
        events.record(connection, actor, "runs purged", new={"runs": total, "before": before.isoformat()})
    return total


def _marked(connection: Connection, actor: str, kept: Kept, before: datetime) -> bool:
    """Mark a mailing as purged, with its breakdowns kept; False if something of it has changed."""
    mailing = kept.total.mailing
    with database.transaction(connection):
        if purged.lock(connection, mailing):
            return True  # by another purge, which has kept them before it removed anything
        current = _purgeable(connection, before, mailing)
        if not current or not summaries.still_true(connection, kept):
            return False
        summaries.write(connection, kept)
        database.execute(connection, "purge_mark", mailing_id=mailing)
        numbers = {"messages": current[0].messages, "attempts": current[0].attempts}
        events.record(connection, actor, "mailing purged", mailing_id=mailing, new=numbers)
    return True


def _purgeable(connection: Connection, before: datetime, mailing: int | None) -> list[Purgeable]:
    return database.fetch(
        connection, "purge_mailings", Purgeable, before=before, mailing=mailing, shards=_SHARDS
    )


def _remove(connection: Connection, statement: str, mailing: int, progress: Progress) -> int:
    total = 0
    for shard in range(SHARDS):
        after: int | None = 0
        while after is not None:
            after, number = _remove_some(connection, statement, shard, mailing, after)
            total += number
            progress(number)
    return total


def _remove_some(
    connection: Connection, statement: str, shard: int, mailing: int, after: int
) -> tuple[int | None, int]:
    with database.transaction(connection):
        done = database.fetch_one(
            connection, statement, _Batch, shard=shard, mailing_id=mailing, after=after, batch=BATCH
        )
    assert done is not None  # noqa: S101 - a row of two aggregates
    return done.reached, done.removed


def _remove_runs(connection: Connection, before: datetime) -> int:
    with database.transaction(connection):
        return database.execute(connection, "purge_runs", before=before, batch=BATCH).rowcount
