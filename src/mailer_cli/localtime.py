"""Local time: when a mailing may be sent in a zone, and the face of what that is made of.

`wallclock` reads a time on a zone's clock, `zones` knows the names, `hours` the hours and days;
this module joins them, and is the one to import.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from mailer_cli.hours import ALL_DAY, ALL_WEEK, Hours, format_days, parse_days
from mailer_cli.wallclock import (
    Reading,
    ReadingKind,
    check_year,
    parse_instant,
    parse_wall,
    reading,
    to_instant,
)
from mailer_cli.zones import canonical_zone, find_zone, is_known, tzdata_version, zone_names

__all__ = [
    "Hours",
    "Interval",
    "Reading",
    "ReadingKind",
    "canonical_zone",
    "find_zone",
    "format_days",
    "is_known",
    "next_interval",
    "outer",
    "parse_days",
    "parse_instant",
    "parse_wall",
    "reading",
    "to_instant",
    "tzdata_version",
    "window",
    "zone_names",
]

_DAY = timedelta(days=1)
_FORTNIGHT = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Interval:
    """Real time from `opens_at` to just before `closes_at`, both in UTC."""

    opens_at: datetime
    closes_at: datetime

    def __contains__(self, instant: datetime) -> bool:
        return self.opens_at <= instant < self.closes_at


def window(
    start: datetime,
    end: datetime,
    zone: tzinfo,
    hours: Hours | None = None,
    days: frozenset[int] | None = None,
) -> Iterator[Interval]:
    """When a mailing may be sent in a zone: apart, in order, worked out as they are asked for.

    A naive start or end is read on the zone's clock; an aware one is the same instant in every zone.
    The edges of hours and days follow the rule of `to_instant`, so on the day of a change hours may
    last longer or shorter than written, and hours whose start is skipped past their end are left out.
    """
    return _narrowed(_bounds(start, end, zone), zone, hours, days)


def next_interval(
    start: datetime,
    end: datetime,
    zone: tzinfo,
    hours: Hours | None,
    days: frozenset[int] | None,
    now: datetime,
) -> Interval | None:
    """The interval of the window that holds `now`, else the first after it; quick for years too."""
    bounds = _bounds(start, end, zone)
    # Unless always open, no run of touching days is longer than this: one weekday in seven is shut.
    since = max(now, bounds.opens_at) - _FORTNIGHT
    return next((each for each in _narrowed(bounds, zone, hours, days, since) if each.closes_at > now), None)


def outer(
    start: datetime, end: datetime, zone: tzinfo, hours: Hours | None, days: frozenset[int] | None
) -> Interval | None:
    """From the first opening of a window to its last closing, if it opens at all."""
    bounds = _bounds(start, end, zone)
    first = next(_narrowed(bounds, zone, hours, days), None)
    # Two fortnights: a weekday's hours can be skipped in one week, and the next has them again.
    ending = deque(_narrowed(bounds, zone, hours, days, bounds.closes_at - 2 * _FORTNIGHT), maxlen=1)
    return Interval(first.opens_at, ending[0].closes_at) if first and ending else None


def _bounds(start: datetime, end: datetime, zone: tzinfo) -> Interval:
    """The whole window; its close is not after its opening if it is empty."""
    return Interval(_bound(start, zone), _bound(end, zone))


def _bound(moment: datetime, zone: tzinfo) -> datetime:
    if moment.tzinfo is None:
        return to_instant(moment, zone)
    check_year(moment, "time")
    return moment.astimezone(UTC)


def _narrowed(
    bounds: Interval,
    zone: tzinfo,
    hours: Hours | None,
    days: frozenset[int] | None,
    since: datetime | None = None,
) -> Iterator[Interval]:
    """The intervals within the bounds; those that ended well before `since` are not looked at."""
    if bounds.opens_at >= bounds.closes_at or days == frozenset():
        return iter(())
    if hours in {None, ALL_DAY} and days in {None, ALL_WEEK}:
        return iter((bounds,))
    since = max(since or bounds.opens_at, bounds.opens_at)
    first_day = since.astimezone(zone).date() - _DAY  # its night may reach into the window
    return _merged(_parts(first_day, bounds, zone, hours or ALL_DAY, days or ALL_WEEK))


def _parts(
    day: date, bounds: Interval, zone: tzinfo, hours: Hours, days: frozenset[int]
) -> Iterator[Interval]:
    """One interval for each local day that has one; a night belongs to the day on which it starts."""
    while True:
        opens_at = _edge(datetime.combine(day, hours.start), zone)
        if opens_at >= bounds.closes_at:
            return
        last_day = day if hours.start < hours.end else day + _DAY
        closes_at = _edge(datetime.combine(last_day, hours.end), zone)
        part = Interval(max(opens_at, bounds.opens_at), min(closes_at, bounds.closes_at))
        if day.weekday() in days and part.opens_at < part.closes_at:
            yield part
        day += _DAY


def _edge(wall: datetime, zone: tzinfo) -> datetime:
    # The rule of `to_instant`, without its bound on years: a day next to a window may lie outside.
    return wall.replace(tzinfo=zone).astimezone(UTC)


def _merged(parts: Iterator[Interval]) -> Iterator[Interval]:
    current = next(parts, None)
    for part in parts:
        if current and part.opens_at <= current.closes_at:
            current = Interval(current.opens_at, part.closes_at)
            continue
        if current:
            yield current
        current = part
    if current:
        yield current
