"""The history: runs, requests that failed, what was sent to one client, and who changed what, by time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

from mailer_cli import database, purged
from mailer_cli.aspects import Kind
from mailer_cli.database import Connection
from mailer_cli.errors import NotFoundError
from mailer_cli.ids import mailing_and_client, message_id, shard_of
from mailer_cli.statuses import Status

# What is committed late has its time in the past: a follower looks back so far, and knows what it has told.
LOOKBACK = {"run": 60.0, "attempt": 60.0, "sent": 60.0, "change": 3600.0}  # seconds

_SILENCE = timedelta(minutes=2)
_AT_ONCE = 1000  # rows per round trip
_LONGEST = 80  # characters of a value in a line; the details have all of it

Conceal = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which part of the history; without any, all of it."""

    mailing_id: int | None = None
    client_id: int | None = None
    run_id: int | None = None
    kinds: frozenset[Kind] = frozenset(Kind)
    idle: bool = False  # also the runs that had nothing to do


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    time: datetime
    kind: Kind
    actor: str | None  # who did it, or on which host it was done
    mailing: int | None
    message: int | None
    client: int | None
    run: int | None
    text: str
    details: dict[str, Any]
    key: tuple[object, ...]  # tells it from every other


@dataclass(frozen=True, slots=True)
class _Change:
    id: int
    at: datetime
    actor: str
    action: str
    mailing_id: int | None
    client_id: int | None
    old: dict[str, Any] | None
    new: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Attempt:
    mailing_id: int
    client_id: int
    at: datetime
    attempt: int
    status: str
    http_status: int | None
    error: str | None
    run_id: int
    host: str | None


@dataclass(frozen=True, slots=True)
class _Sent:
    at: datetime
    mailing_id: int
    client_id: int
    phone: str
    attempts: int
    http_status: int | None
    run_id: int | None
    host: str | None


@dataclass(frozen=True, slots=True)
class _Run:
    at: datetime
    now: datetime
    id: int
    host: str
    pid: int
    started_at: datetime
    heartbeat_at: datetime
    ended_at: datetime | None
    claimed: int
    sent: int
    retrying: int
    failed: int
    unknown: int
    expired: int
    cancelled: int
    ending: str | None


@dataclass(frozen=True, slots=True)
class _Source:
    """One table of the history, and how its rows are told."""

    kind: Kind
    statement: str
    row: type[Any]
    told: Callable[[Any, Conceal], Entry]


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


def _told_change(row: _Change, conceal: Conceal) -> Entry:
    old, new = _concealed(row.old, conceal), _concealed(row.new, conceal)
    both = row.mailing_id is not None and row.client_id is not None
    message = message_id(row.mailing_id or 0, row.client_id or 0) if both else None
    difference = _difference(old or {}, new or {})
    return Entry(
        time=row.at,
        kind=Kind.CHANGE,
        actor=conceal(row.actor),
        mailing=row.mailing_id,
        message=message,
        client=row.client_id,
        run=None,
        text=_headline(row, message) + (f": {difference}" if difference else ""),
        details={"action": row.action, "old": old, "new": new},
        key=(Kind.CHANGE, row.id),
    )


def _told_attempt(row: _Attempt, conceal: Conceal) -> Entry:
    number = message_id(row.mailing_id, row.client_id)
    error = None if row.error is None else conceal(row.error)
    became = "in doubt" if row.status == Status.UNKNOWN else row.status
    return Entry(
        time=row.at,
        kind=Kind.ATTEMPT,
        actor=None if row.host is None else conceal(row.host),
        mailing=row.mailing_id,
        message=number,
        client=row.client_id,
        run=row.run_id,
        text=f"message {number}, attempt {row.attempt}, {became}: {error or 'no answer was kept'}",
        details={
            "attempt": row.attempt,
            "status": row.status,
            "http_status": row.http_status,
            "error": error,
        },
        key=(Kind.ATTEMPT, row.mailing_id, row.client_id, row.at),
    )


def _told_sent(row: _Sent, conceal: Conceal) -> Entry:
    number, phone = message_id(row.mailing_id, row.client_id), conceal(row.phone)
    by = "" if row.run_id is None else f" by run {row.run_id}"
    return Entry(
        time=row.at,
        kind=Kind.SENT,
        actor=None if row.host is None else conceal(row.host),
        mailing=row.mailing_id,
        message=number,
        client=row.client_id,
        run=row.run_id,
        text=f"message {number} sent to {phone}{by}, attempt {row.attempts}",
        details={"phone": phone, "attempt": row.attempts, "http_status": row.http_status},
        key=(Kind.SENT, row.mailing_id, row.client_id),
    )


def _told_run(row: _Run, conceal: Conceal) -> Entry:
    counts = {name: getattr(row, name) for name in ("claimed", *_COUNTED)}
    return Entry(
        time=row.at,
        kind=Kind.RUN,
        actor=conceal(row.host),
        mailing=None,
        message=None,
        client=None,
        run=row.id,
        text=_course(row, counts),
        details={
            "pid": row.pid,
            "started_at": row.started_at,
            "heartbeat_at": row.heartbeat_at,
            "ended_at": row.ended_at,
            "ending": row.ending,
            **counts,
        },
        key=(Kind.RUN, row.id, row.ended_at is not None),
    )


_COUNTED = ("sent", "retrying", "failed", "unknown", "expired", "cancelled")
_CHANGES = _Source(Kind.CHANGE, "history_changes", _Change, _told_change)
_ATTEMPTS = _Source(Kind.ATTEMPT, "history_attempts", _Attempt, _told_attempt)
_SENT = _Source(Kind.SENT, "history_sent", _Sent, _told_sent)
_RUNS = _Source(Kind.RUN, "history_runs", _Run, _told_run)


def _course(row: _Run, counts: dict[str, int]) -> str:
    """Say how a run went."""
    done = ", ".join(f"{name} {number}" for name, number in counts.items() if number) or "nothing to do"
    if row.ended_at is not None:
        seconds = (row.ended_at - row.started_at).total_seconds()
        return f"run {row.id} ended after {seconds:.1f} s, {row.ending}: {done}"
    if row.now - row.heartbeat_at <= _SILENCE:
        return f"run {row.id} started and is under way: {done}"
    heard = row.heartbeat_at.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
    return f"run {row.id} started and never ended, last heard of at {heard}: {done}"


def _headline(row: _Change, message: int | None) -> str:
    """Put the id into what was done: `mailing paused` is `mailing 3 paused`."""
    subject, _, rest = row.action.partition(" ")
    number = {"mailing": row.mailing_id, "client": row.client_id, "message": message}.get(subject)
    if number is not None:
        return f"{subject} {number} {rest}"
    return row.action if row.mailing_id is None else f"{row.action} (mailing {row.mailing_id})"


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    parts = []
    for name in dict.fromkeys([*old, *new]):
        if name not in old:
            parts.append(f"{name} {_short(new[name])}" if new[name] not in (None, [], "") else "")
        elif name not in new:
            parts.append(f"{name} was {_short(old[name])}" if old[name] not in (None, [], "") else "")
        elif old[name] != new[name]:
            parts.append(f"{name} {_short(old[name])} → {_short(new[name])}")
    return ", ".join(filter(None, parts))


def _short(value: object) -> str:
    if isinstance(value, list):
        value = ",".join(map(str, value))
    text = " ".join(str("" if value is None else value).split())
    return "none" if not text else text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _concealed(value: Any, conceal: Conceal) -> Any:
    """Conceal every text in a value, however deep."""
    if isinstance(value, str):
        return conceal(value)
    if isinstance(value, Sequence):
        return [_concealed(each, conceal) for each in value]
    if isinstance(value, dict):
        return {conceal(name): _concealed(each, conceal) for name, each in value.items()}
    return value
