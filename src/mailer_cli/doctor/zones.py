"""Time zones: whether ours are known, and whether the host and PostgreSQL read them as we do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from mailer_cli import database, localtime, windows
from mailer_cli.doctor.findings import Finding, Patient, fail, ok, warn

_HOST_RULES = Path("/usr/share/zoneinfo")
_AHEAD = [timedelta(days=30 * month) for month in range(13)]  # summer and winter, and what changes next
_NAMED = 5
_BOUND = 1_000  # clients that are counted one by one


@dataclass(frozen=True, slots=True)
class _Offset:
    name: str
    offset: timedelta


def known(patient: Patient) -> Iterator[Finding]:
    """Whether every zone that clients are in is one we have rules for."""
    zones = windows.zones_in_use(patient.database)
    strange = [zone for zone in zones if not localtime.is_known(zone)]
    for zone in strange[:_NAMED]:
        number: int = database.fetch_value(patient.database, "doctor_zone", zone=zone, bound=_BOUND + 1)
        clients = f"more than {_BOUND}" if number > _BOUND else str(number)
        version = localtime.tzdata_version()
        says = f"{clients} clients in {zone!r} are sent nothing: tzdata {version} does not know it"
        mend = f"pip install --upgrade tzdata, or move them: `mailer client list -o csv | grep -F {zone}`"
        yield fail("time zones", says, mend)
    if not strange:
        yield ok("time zones", f"{len(zones)} in use, all known to tzdata {localtime.tzdata_version()}")


def rules(patient: Patient) -> Iterator[Finding]:
    """Whether the host and PostgreSQL read the clocks as we do; ours is what is sent by."""
    zones = [zone for zone in windows.zones_in_use(patient.database) if zone in localtime.zone_names()]
    now = datetime.now(UTC)
    theirs = database.fetch(patient.database, "doctor_offsets", _Offset, zones=zones)
    by_postgresql = [
        each.name for each in theirs if localtime.find_zone(each.name).utcoffset(now) != each.offset
    ]
    by_host = [zone for zone in zones if _differs_on_host(zone, now)]
    yield from _told("PostgreSQL", by_postgresql, "update the server's tzdata")
    yield from _told("this host", by_host, "update the system's tzdata: apt install --only-upgrade tzdata")
    if not by_host and not by_postgresql:
        yield ok("zone rules", "the host and PostgreSQL read the clocks as mailer does")


def _told(who: str, zones: list[str], mend: str) -> Iterable[Finding]:
    if zones:
        rest = f" and {len(zones) - _NAMED} more" if len(zones) > _NAMED else ""
        says = f"{who} reads the clock otherwise in {', '.join(zones[:_NAMED])}{rest}; mailer goes by its own"
        yield warn("zone rules", f"{says}, tzdata {localtime.tzdata_version()}", mend)


def _differs_on_host(zone: str, now: datetime) -> bool:
    path = _HOST_RULES / zone
    if not path.is_file():
        return False
    with path.open("rb") as file:
        there = ZoneInfo.from_file(file)
    ours = localtime.find_zone(zone)
    moments = [now + ahead for ahead in _AHEAD]
    return any(at.astimezone(there).utcoffset() != at.astimezone(ours).utcoffset() for at in moments)
