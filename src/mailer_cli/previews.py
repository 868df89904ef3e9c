"""What a mailing would do, zone by zone, before it does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from mailer_cli import database, localtime, segments, windows
from mailer_cli.database import Connection
from mailer_cli.mailings import Plan
from mailer_cli.segments import Segments


@dataclass(frozen=True, slots=True)
class ZonePreview:
    """One zone: who would get it, and when."""

    zone: str
    clients: int
    local_start: datetime
    local_end: datetime
    opens_at: datetime
    closes_at: datetime
    late: int  # clients whose window is open already: sent at once
    over: int  # clients whose window has closed already: never sent
    note: str  # how a time that does not exist there, or exists twice, was read


@dataclass(frozen=True, slots=True)
class Preview:
    """All of it; `everybody` is how many clients there are to choose from."""

    zones: Sequence[ZonePreview]
    everybody: int
    segments: Segments

    @property
    def clients(self) -> int:
        """How many clients match."""
        return sum(zone.clients for zone in self.zones)

    @property
    def late(self) -> int:
        """How many of them are sent to at once."""
        return sum(zone.late for zone in self.zones)

    @property
    def over(self) -> int:
        """How many of them it is too late for."""
        return sum(zone.over for zone in self.zones)

    @property
    def never_opens(self) -> bool:
        """Whether there is no zone in use in which it could ever be sent."""
        return bool(self.zones) and all(zone.opens_at >= zone.closes_at for zone in self.zones)


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
    zones = [_zone(plan, each, now) for each in found]
    return Preview(zones, everybody, segments.measure(plan.text))


def remarks(preview: Preview) -> list[str]:
    """Say in words what an operator should know before going ahead."""
    size, clients = preview.segments, preview.clients
    told = [
        f"{size.count} SMS segment{'s' if size.count != 1 else ''} in {size.encoding} ({size.units} units)"
        f" x {clients} clients = {size.count * clients} segments"
    ]
    if size.forced_by is not None:
        place = (size.forced_at or 0) + 1
        told.append(f"the first character that needs UCS-2 is {size.forced_by!r}, character {place}")
    if not clients:
        told.append("the filter matches nobody; try it with `mailer client count`")
    elif clients == preview.everybody:
        told.append(f"it goes to every client there is: {clients}")
    if preview.late:
        told.append(f"{preview.late} clients are sent to at once: their window is open already")
    if preview.over:
        told.append(f"{preview.over} clients get nothing: their window has closed already")
    return told


def _zone(plan: Plan, found: _Zone, now: datetime) -> ZonePreview:
    span = windows.span(plan.schedule, found.zone, now)
    clock = localtime.find_zone(found.zone)
    common = localtime.find_zone(plan.zone) if plan.zone else None
    over = span.closes_at <= now
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
    )


def _local(wall: datetime, common: tzinfo | None, clock: tzinfo) -> datetime:
    """What the client's clock shows: the wall-clock time itself, unless one zone's is meant for all."""
    if common is None:
        return wall
    return localtime.to_instant(wall, common).astimezone(clock).replace(tzinfo=None)


def _note(plan: Plan, clock: tzinfo, span: windows.Span) -> str:
    told = [
        f"{name}: {text}"
        for name, wall in (("start", plan.starts_at), ("end", plan.ends_at))
        if (text := localtime.reading(wall, clock).text)
    ]
    if span.opens_at >= span.closes_at:
        told.append("never opens here")
    return "; ".join(told)
