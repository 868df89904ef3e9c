"""What a mailing would do, zone by zone, before it does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from mailer_cli import database, localtime, segments, windows
from mailer_cli.database import Connection
from mailer_cli.mailings import Plan
from mailer_cli.segments import Segments

_LONG = 10  # segments; beyond that a text is probably not what it was meant to be
_NAMED = 8  # zones in one remark; the rest are only counted


@dataclass(frozen=True, slots=True)
class ZonePreview:
    """One zone: who would get it, and when."""

    zone: str
    clients: int
    local_start: datetime
    local_end: datetime
    opens_at: datetime
    closes_at: datetime
    late: int  # clients whose window is open already
    over: int  # clients who get nothing: their window has closed already, or never opens
    note: str  # how a time that does not exist there, or exists twice, was read
    at_once: bool  # what is late goes out now, and not when the allowed hours or days begin again


@dataclass(frozen=True, slots=True)
class Preview:
    """All of it; `everybody` is how many clients there are to choose from."""

    zones: Sequence[ZonePreview]
    everybody: int
    segments: Segments | None  # None without a text
    strange: int = 0  # clients who get nothing, for nobody here knows what time it is where they are

    @property
    def clients(self) -> int:
        """How many clients match."""
        return sum(zone.clients for zone in self.zones)

    @property
    def late(self) -> int:
        """How many of them have a window that is open already."""
        return sum(zone.late for zone in self.zones)

    @property
    def later(self) -> int:
        """How many of those are outside the allowed hours or days at this moment."""
        return sum(zone.late for zone in self.zones if not zone.at_once)

    @property
    def over(self) -> int:
        """How many of them it is too late for."""
        return sum(zone.over for zone in self.zones)


@dataclass(frozen=True, slots=True)
class _Zone:
    zone: str
    clients: int


def preview(connection: Connection, plan: Plan) -> Preview:
    """Work out what a plan would do now, by the database's clock; nothing is stored."""
    now: datetime = database.fetch_value(connection, "now")
    found = database.fetch(
        connection,
        "preview_zones",
        _Zone,
        operator_codes=list(plan.operator_codes),
        tags=list(plan.tags),
    )
    everybody: int = database.fetch_value(connection, "preview_everybody")
    known = [each for each in found if localtime.is_known(each.zone)]
    strange = sum(each.clients for each in found) - sum(each.clients for each in known)
    zones = [_zone(plan, each, now) for each in known]
    return Preview(zones, everybody, segments.measure(plan.text) if plan.text else None, strange)


def remarks(found: Preview, *, begun: bool = False) -> list[str]:
    """Say in words what an operator should know before going ahead.

    Of a mailing that has `begun` many are sent to already: then who is late is not for a preview to say.
    """
    told = [] if found.segments is None else _sizes(found.segments, found.clients)
    if not found.everybody:
        told.append("there are no clients yet; add some with `mailer client import`")
    elif not found.clients:
        told.append("the filter matches nobody; try it with `mailer client count`")
    elif found.clients == found.everybody:
        told.append(f"it goes to every client there is: {found.clients}")
    if found.strange:
        told.append(f"{_clients(found.strange)} left out, in zones that are not known here: `mailer doctor`")
    return told if begun else told + _lateness(found)


def notes(found: Preview) -> list[str]:
    """Say which zones' clocks skip or repeat the start or the end, and how it was read there."""
    by_note: dict[str, list[str]] = {}
    for zone in found.zones:
        if zone.note:
            by_note.setdefault(zone.note, []).append(zone.zone)
    return [f"{_named(zones)}: {note}" for note, zones in by_note.items()]


def _lateness(found: Preview) -> list[str]:
    told = []
    if at_once := found.late - found.later:
        told.append(f"{_clients(at_once)} would be sent to at once: the window is open already")
    if found.later:
        told.append(f"{_clients(found.later)} late, and waiting for the allowed hours or days to begin again")
    if found.over:
        told.append(f"{_clients(found.over)} would get nothing: the window is over, or never opens")
    return told


def _sizes(size: Segments, clients: int) -> list[str]:
    total = size.count * clients
    told = [
        f"{_number(size.count, 'SMS segment')} in {size.encoding} ({_number(size.units, 'unit')})"
        f" x {_clients(clients)} = {_number(total, 'segment')}"
    ]
    if size.forced_by is not None:
        place = (size.forced_at or 0) + 1
        told.append(f"the first character that needs UCS-2 is {size.forced_by!r}, character {place}")
    if size.count > _LONG:
        told.append(f"that is a long text: every client gets {size.count} segments")
    return told


def _clients(number: int) -> str:
    return _number(number, "client")


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _named(zones: Sequence[str]) -> str:
    rest = len(zones) - _NAMED
    return ", ".join(zones[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _zone(plan: Plan, found: _Zone, now: datetime) -> ZonePreview:
    span = windows.span(plan.schedule, found.zone, now)
    clock = localtime.find_zone(found.zone)
    common = localtime.find_zone(plan.zone) if plan.zone else None
    over = span.closes_at <= now or span.opens_at >= span.closes_at
    return ZonePreview(
        zone=found.zone,
        clients=found.clients,
        local_start=_local(plan.starts_at, common, clock),
        local_end=_local(plan.ends_at, common, clock),
        opens_at=span.opens_at,
        closes_at=span.closes_at,
        late=found.clients if span.opens_at <= now and not over else 0,
        over=found.clients if over else 0,
        note=_note(plan, common or clock, span),
        at_once=span.sendable_from <= now < span.sendable_until,
    )


def _local(wall: datetime, common: tzinfo | None, clock: tzinfo) -> datetime:
    """What the client's clock shows: the wall-clock time itself, unless one zone's is meant for all."""
    if common is None:
        return wall
    return localtime.to_instant(wall, common).astimezone(clock).replace(tzinfo=None)


def _note(plan: Plan, clock: tzinfo, span: windows.Span) -> str:
    told = [
        f"{name} {text}"
        for name, wall in (("start", plan.starts_at), ("end", plan.ends_at))
        if (text := localtime.reading(wall, clock).text)
    ]
    if span.opens_at >= span.closes_at:
        told.append("never opens here")
    return "; ".join(told)
