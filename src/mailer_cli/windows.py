"""Windows: when each mailing may be sent in each zone, stored as UTC instants.

Derived by Python alone (see `localtime`), and derived again at each tick for mailings that are not
over, so that edits and new zone data take effect. The windows of one zone are alike in all shards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

from mailer_cli import database
from mailer_cli.database import Connection
from mailer_cli.ids import SHARDS

if TYPE_CHECKING:
    from mailer_cli.hours import Hours

# No clock on Earth runs further behind UTC than UTC-12.
LAST_ZONE = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Schedule:
    """What of a mailing decides its windows; `zone` makes it one instant for everybody."""

    mailing_id: int
    starts_at: datetime
    ends_at: datetime
    zone: str | None
    hours: str | None
    weekdays: str | None


@dataclass(frozen=True, slots=True)
class Unfinished(Schedule):
    """A mailing that is not over, drafts and paused ones included."""

    state: str
    priority: int


@dataclass(frozen=True, slots=True)
class Span:
    """One window: first opening and last closing, and the stretch that holds now or comes next."""

    opens_at: datetime
    closes_at: datetime
    sendable_from: datetime
    sendable_until: datetime


@dataclass(frozen=True, slots=True)
class _Stored:
    mailing_id: int
    zone: str
    opens_at: datetime
    closes_at: datetime
    sendable_from: datetime
    sendable_until: datetime
    state: str

    @property
    def span(self) -> Span:
        return Span(self.opens_at, self.closes_at, self.sendable_from, self.sendable_until)


def span(schedule: Schedule, zone: str, now: datetime) -> Span:
    """Return the window of `schedule` in `zone`; one that never opens closes as it opens."""
    from mailer_cli import localtime

    start, end, clock, hours, days = _read(schedule, zone)
    whole = localtime.outer(start, end, clock, hours, days)
    if whole is None:
        never = start if start.tzinfo else localtime.to_instant(start, clock)
        return Span(never, never, never, never)
    stretch = localtime.next_interval(start, end, clock, hours, days, now)
    if stretch is None:
        return Span(whole.opens_at, whole.closes_at, whole.closes_at, whole.closes_at)
    return Span(whole.opens_at, whole.closes_at, stretch.opens_at, stretch.closes_at)


def stretches(schedule: Schedule, zone: str, now: datetime) -> list[tuple[datetime, datetime]]:
    """Return when messages of `schedule` may be sent in `zone` from `now` on: apart, in order."""
    from mailer_cli import localtime

    found = localtime.window(*_read(schedule, zone))
    return [(max(each.opens_at, now), each.closes_at) for each in found if each.closes_at > now]


def _read(
    schedule: Schedule, zone: str
) -> tuple[datetime, datetime, tzinfo, Hours | None, frozenset[int] | None]:
    """Read start, end, the zone's clock, hours and days."""
    from mailer_cli import localtime

    clock = localtime.find_zone(zone)
    start, end = schedule.starts_at, schedule.ends_at
    if schedule.zone is not None:
        # One instant for everybody; allowed hours and days are still each client's own.
        common = localtime.find_zone(schedule.zone)
        start, end = localtime.to_instant(start, common), localtime.to_instant(end, common)
    hours = localtime.Hours.parse(schedule.hours) if schedule.hours else None
    days = localtime.parse_days(schedule.weekdays) if schedule.weekdays else None
    return start, end, clock, hours, days


def last_close(schedule: Schedule) -> datetime:
    """Return the instant after which this mailing's window can be open nowhere on Earth."""
    if schedule.zone is not None:
        from mailer_cli import localtime

        return localtime.to_instant(schedule.ends_at, localtime.find_zone(schedule.zone))
    return schedule.ends_at.replace(tzinfo=UTC) + LAST_ZONE


def derive(connection: Connection, mailing_ids: Collection[int] | None = None) -> int:
    """Bring the stored windows of unfinished mailings up to date; return how many were written.

    A window is made for every zone that clients are in, and that is known here: clients in another one are
    left out, and must not keep everybody else from being sent to. All in one transaction, so that the windows
    of shard 0, the only ones compared, speak for the other shards too.
    """
    with database.transaction(connection):
        schedules = database.fetch(connection, "mailing_schedules", Schedule, mailing_ids=_array(mailing_ids))
        if not schedules:
            return 0
        now: datetime = database.fetch_value(connection, "now")
        zones = known_zones_in_use(connection)
        stored = _stored(connection, schedules)
        changed = list(_changed(schedules, zones, stored, now))
        if changed:
            _write(connection, changed)
        return len(changed)


def unfinished(connection: Connection) -> list[Unfinished]:
    """Return the mailings that are not over, in the order of their ids."""
    return database.fetch(connection, "mailing_unfinished", Unfinished)


def zones_in_use(connection: Connection) -> list[str]:
    """Return the zones that clients are in, in order; a few index probes, whatever their number."""
    return [row[0] for row in database.execute(connection, "zones_in_use").fetchall()]


def known_zones_in_use(connection: Connection) -> list[str]:
    """Return those of them that we have rules for."""
    from mailer_cli import localtime

    return [zone for zone in zones_in_use(connection) if localtime.is_known(zone)]


def reconsider(connection: Connection, zones: Collection[str]) -> None:
    """Look again for clients in these zones' open windows: some have just moved in, or match now.

    Called in the transaction that changes clients. Costs a statement per shard, whatever their number.
    """
    for shard in range(SHARDS):
        database.execute(connection, "window_reconsider", shard=shard, zones=list(zones))


def _array(ids: Collection[int] | None) -> list[int] | None:
    return None if ids is None else list(ids)


def _stored(connection: Connection, schedules: Iterable[Schedule]) -> dict[tuple[int, str], _Stored]:
    found = database.fetch(
        connection, "windows_stored", _Stored, mailing_ids=[s.mailing_id for s in schedules]
    )
    return {(row.mailing_id, row.zone): row for row in found}


def _changed(
    schedules: Iterable[Schedule],
    zones: Iterable[str],
    stored: dict[tuple[int, str], _Stored],
    now: datetime,
) -> Iterable[tuple[int, str, Span]]:
    zones = list(zones)
    for schedule in schedules:
        for zone in zones:
            before = stored.get((schedule.mailing_id, zone))
            if before is not None and before.state == "closed":
                continue
            after = span(schedule, zone, now)
            if before is None or before.span != after:
                yield schedule.mailing_id, zone, after


def _write(connection: Connection, changed: list[tuple[int, str, Span]]) -> None:
    for shard in range(SHARDS):
        database.execute(
            connection,
            "window_write",
            shard=shard,
            mailing_ids=[mailing_id for mailing_id, _, _ in changed],
            zones=[zone for _, zone, _ in changed],
            opens_at=[span.opens_at for _, _, span in changed],
            closes_at=[span.closes_at for _, _, span in changed],
            sendable_from=[span.sendable_from for _, _, span in changed],
            sendable_until=[span.sendable_until for _, _, span in changed],
        )
