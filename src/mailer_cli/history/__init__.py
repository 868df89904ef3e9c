"""The history: runs, requests that failed, what was sent to one client, and who changed what, by time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from mailer_cli import database, purged
from mailer_cli.aspects import Kind
from mailer_cli.database import Connection
from mailer_cli.errors import NotFoundError
from mailer_cli.history import telling
from mailer_cli.history.telling import Conceal, Entry
from mailer_cli.ids import mailing_and_client, shard_of

__all__ = [
    "Conceal",
    "Entry",
    "Follower",
    "Wanted",
    "entries",
    "newest",
    "of_mailing",
    "of_message",
    "of_run",
]

# What is committed late has its time in the past: a follower looks back so far, and knows what it has told.
LOOKBACK = {"run": 60.0, "attempt": 60.0, "sent": 60.0, "change": 3600.0}  # seconds

_AT_ONCE = 1000  # rows per round trip


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the history; without any, all of it."""

    mailing_id: int | None = None
    client_id: int | None = None
    run_id: int | None = None
    kinds: frozenset[Kind] = frozenset(Kind)
    idle: bool = False  # also the runs that had nothing to do


@dataclass(frozen=True, slots=True)
class _Source:
    """One table of the history, and how its rows are told."""

    kind: Kind
    statement: str
    row: type[Any]
    told: Callable[[Any, Conceal], Entry]


_CHANGES = _Source(Kind.CHANGE, "history_changes", telling.Change, telling.told_change)
_ATTEMPTS = _Source(Kind.ATTEMPT, "history_attempts", telling.Attempt, telling.told_attempt)
_SENT = _Source(Kind.SENT, "history_sent", telling.Sent, telling.told_sent)
_RUNS = _Source(Kind.RUN, "history_runs", telling.Run, telling.told_run)


def of_message(connection: Connection, message: int) -> Wanted:
    """Return what concerns one message: its mailing's and its client's changes too; raise NotFoundError.

    Of a message that was purged, or may have been, those are what is left.
    """
    mailing_id, client_id = mailing_and_client(message)
    key = {"shard": shard_of(client_id), "mailing_id": mailing_id, "client_id": client_id}
    known = database.fetch_value(connection, "message_status", **key) is not None
    if not known and purged.since(connection, mailing_id) is None:
        raise NotFoundError(f"no message {message}; see `mailer message list`")
    return Wanted(mailing_id=mailing_id, client_id=client_id)


def of_mailing(connection: Connection, mailing_id: int) -> Wanted:
    """Return what concerns one mailing; raise NotFoundError."""
    if database.fetch_value(connection, "message_list_mailing", mailing_id=mailing_id) is None:
        raise NotFoundError(f"no mailing {mailing_id}; see `mailer mailing list`")
    return Wanted(mailing_id=mailing_id)


def of_run(connection: Connection, run_id: int) -> Wanted:
    """Return what concerns one run, idle or not; raise NotFoundError."""
    wanted = Wanted(run_id=run_id, idle=True)
    with connection.transaction(), closing(_read(connection, _RUNS, wanted, None, None, str)) as found:
        if next(found, None) is None:
            raise NotFoundError(f"no run {run_id}; see `mailer log`")
    return wanted


def entries(
    connection: Connection,
    wanted: Wanted,
    *,
    since: datetime | None = None,
    limit: int | None = None,
    conceal: Conceal = str,
) -> Generator[Entry]:
    """Yield what happened, newest last, as it is read: of each kind at most the newest `limit`.

    Must be consumed inside one transaction. `conceal` is applied to every text from the database.
    """
    with ExitStack() as streams:
        found = [
            streams.enter_context(closing(_read(connection, source, wanted, since, limit, conceal)))
            for source in _sources(wanted)
        ]
        yield from heapq.merge(*found, key=attrgetter("time"))


def newest(
    connection: Connection, wanted: Wanted, limit: int, *, since: datetime | None, conceal: Conceal
) -> tuple[list[Entry], bool]:
    """Return the newest `limit` entries, newest last, and whether there are older ones."""
    found = list(entries(connection, wanted, since=since, limit=limit + 1, conceal=conceal))
    return found[-limit:], len(found) > limit


class Follower:
    """Tells what has happened since it was made, or last asked; nothing twice, and nothing left out.

    A transaction may be committed long after the time it is noted with: each look goes back a while.
    """

    def __init__(self, connection: Connection, wanted: Wanted, conceal: Conceal) -> None:
        self._connection = connection
        self._wanted = wanted
        self._conceal = conceal
        self._told: dict[Kind, set[tuple[object, ...]]] = {kind: set() for kind in Kind}
        self.news()

    def news(self) -> list[Entry]:
        """Return what was not there the last time."""
        with self._connection.transaction():
            now: datetime = database.fetch_value(self._connection, "now")
            found = [entry for kind in Kind for entry in self._look(kind, now)]
        return sorted(found, key=attrgetter("time"))

    def _look(self, kind: Kind, now: datetime) -> Iterable[Entry]:
        since = now - timedelta(seconds=LOOKBACK[kind])
        one = replace(self._wanted, kinds=self._wanted.kinds & {kind})
        found = list(entries(self._connection, one, since=since, conceal=self._conceal))
        told, self._told[kind] = self._told[kind], {entry.key for entry in found}
        return [entry for entry in found if entry.key not in told]


def _sources(wanted: Wanted) -> list[_Source]:
    """Runs are nobody's in particular, unless one client or message is asked about: those are few."""
    if wanted.run_id is not None:
        able = [_RUNS, _ATTEMPTS]
    elif wanted.client_id is not None:
        able = [_RUNS, _ATTEMPTS, _SENT, _CHANGES]
    elif wanted.mailing_id is not None:
        able = [_ATTEMPTS, _CHANGES]
    else:
        able = [_RUNS, _ATTEMPTS, _CHANGES]
    return [source for source in able if source.kind in wanted.kinds]


def _read(
    connection: Connection,
    source: _Source,
    wanted: Wanted,
    since: datetime | None,
    limit: int | None,
    conceal: Conceal,
) -> Generator[Entry]:
    from psycopg.rows import class_row

    values = {
        "mailing_id": wanted.mailing_id,
        "client_id": wanted.client_id,
        "shard": None if wanted.client_id is None else shard_of(wanted.client_id),
        "run_id": wanted.run_id,
        "since": since,
        "limit": limit,
    }
    if source is _RUNS:
        values |= _runs_of(connection, wanted, values)
    with connection.cursor(f"history_{source.kind}", row_factory=class_row(source.row)) as cursor:
        cursor.itersize = min(limit or _AT_ONCE, _AT_ONCE)
        cursor.execute(database.statement(source.statement), values)
        for row in cursor:
            yield source.told(row, conceal)


def _runs_of(connection: Connection, wanted: Wanted, values: dict[str, Any]) -> dict[str, Any]:
    if wanted.client_id is not None:
        return {"run_ids": database.fetch_value(connection, "history_run_ids", **values), "idle": True}
    return {"run_ids": None if wanted.run_id is None else [wanted.run_id], "idle": wanted.idle}
