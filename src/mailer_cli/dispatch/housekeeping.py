"""Open and close windows, count audiences, settle what is over: everything but the sending itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mailer_cli import counters, database, windows
from mailer_cli.database import Connection
from mailer_cli.dispatch import scan
from mailer_cli.dispatch.options import Summary
from mailer_cli.statuses import MailingState

CHUNK = 2_000  # messages written at once when a window is over


@dataclass(frozen=True, slots=True)
class Untended:
    """A shard with windows to look after."""

    shard: int
    to_open: bool
    to_count: bool
    to_close: bool


@dataclass(frozen=True, slots=True)
class _Opening:
    mailing_id: int
    zone: str
    frozen_by: datetime


@dataclass(frozen=True, slots=True)
class _Counted:
    mailing_id: int
    zone: str
    audience: int


@dataclass(frozen=True, slots=True)
class _Settled:
    mailing_id: int
    starts_at: datetime
    ends_at: datetime
    zone: str | None
    hours: str | None
    weekdays: str | None
    state: str
    now: datetime


def untended(connection: Connection) -> list[Untended]:
    """Return the shards in which windows are to be opened, counted or closed."""
    return database.fetch(connection, "windows_untended", Untended)


def open_windows(connection: Connection, shards: list[Untended]) -> None:
    """Open the windows whose time has come, and freeze their audiences."""
    last_clients: dict[datetime, int | None] = {}
    for found in shards:
        if found.to_open:
            _open_shard(connection, found.shard, last_clients)


def tend(connection: Connection, summary: Summary, go_on: Callable[[], bool]) -> None:
    """Count audiences and close windows until nothing is left to do, or `go_on` says to stop."""
    for found in untended(connection):
        if found.to_count and go_on():
            count(connection, found.shard)
        while found.to_close and go_on() and _close_some(connection, found.shard, summary):
            pass


def finish_mailings(connection: Connection) -> list[int]:
    """Declare mailings over whose last window on Earth has closed, with nothing under way; return them."""
    over = [
        one.mailing_id
        for one in database.fetch(connection, "mailings_settled", _Settled)
        if one.state == MailingState.CANCELLED or windows.last_close(_schedule(one)) <= one.now
    ]
    if over:
        database.execute(connection, "mailing_finish", mailing_ids=over)
    return over


def _schedule(one: _Settled) -> windows.Schedule:
    return windows.Schedule(one.mailing_id, one.starts_at, one.ends_at, one.zone, one.hours, one.weekdays)


def _open_shard(connection: Connection, shard: int, last_clients: dict[datetime, int | None]) -> None:
    with database.transaction(connection):
        found = database.fetch(connection, "windows_opening", _Opening, shard=shard)
        for instant in {window.frozen_by for window in found} - last_clients.keys():
            last_clients[instant] = database.fetch_value(connection, "client_last", before=instant)
        if found:
            database.execute(
                connection,
                "window_open",
                shard=shard,
                mailing_ids=[w.mailing_id for w in found],
                zones=[w.zone for w in found],
                last_client_ids=[last_clients[w.frozen_by] for w in found],
            )


def count(connection: Connection, shard: int) -> None:
    """Count the audiences of a shard's windows that were opened and not counted yet."""
    found = database.fetch(connection, "window_audiences", _Counted, shard=shard)
    if found:
        database.execute(
            connection,
            "window_count",
            shard=shard,
            mailing_ids=[w.mailing_id for w in found],
            zones=[w.zone for w in found],
            audiences=[w.audience for w in found],
        )


def _close_some(connection: Connection, shard: int, summary: Summary) -> bool:
    """Settle some clients of windows that are over, in one transaction; False when there are none left."""
    with database.transaction(connection):
        overdue = database.fetch(connection, "windows_overdue", scan.Window, shard=shard)
        written = 0
        sums = counters.Moves()
        for window in overdue:
            written += _settle(connection, window, CHUNK - written, sums, summary)
            if written >= CHUNK:
                break
        closed = database.execute(connection, "windows_close", shard=shard).fetchall()
        if closed:
            mailing_ids = sorted({mailing_id for (mailing_id,) in closed})
            database.execute(connection, "retry_wake", shard=shard, mailing_ids=mailing_ids)
        counters.add(connection, shard, sums.changes)
    return bool(overdue)


def _settle(
    connection: Connection,
    window: scan.Window,
    room: int,
    sums: counters.Moves,
    summary: Summary,
) -> int:
    written, done = 0, False
    while not done and written < room:
        taken = scan.take(connection, window, room - written)
        window, done = taken.window, taken.looked_at_end
        for status, number in taken.made.items():
            sums.appeared(window.mailing_id, status, number)
            summary.count(status, number)
            written += number
    return written
