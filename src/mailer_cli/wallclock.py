"""Wall clock and zone to instant, and the writing of both.

The rule is that of RFC 5545 and Temporal's "compatible": a time that occurs twice is its first
occurrence, and a time that is skipped is read with the offset before the gap. `zoneinfo` with
fold=0 is exactly that rule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timezone, tzinfo
from enum import StrEnum

from mailer_cli.errors import InvalidValueError

# A year is left at the end of what datetime can hold, so that no zone and no neighbouring day overflows.
FIRST_YEAR, LAST_YEAR = 1970, 9998

_CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2})?"
_WALL = re.compile(rf"([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})(?:[Tt ]({_CLOCK}))?")
_ZONED = re.compile(
    r"\s*(?:z|(?:utc|gmt)?\s*[+\-\u2212]\s*[0-9].*|(?!am|pm)[a-z]{2,5}|\[.*|[a-z_]+/.*)", re.IGNORECASE
)
_INSTANT = re.compile(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{_CLOCK}(?:\.[0-9]{{1,6}})?(.*)")
_OFFSET = re.compile(r"Z|[+\-][0-9]{2}(?::?[0-9]{2})?")


class ReadingKind(StrEnum):
    """How a wall-clock time stands to the clock of a zone."""

    EXACT = "exact"  # the clock shows it once
    GAP = "gap"  # the clock skips it
    OVERLAP = "overlap"  # the clock shows it twice


@dataclass(frozen=True, slots=True)
class Reading:
    """What a wall-clock time was taken for; the text, empty if exact, tells an operator."""

    kind: ReadingKind
    instant: datetime
    text: str = ""


def to_instant(wall: datetime, zone: tzinfo) -> datetime:
    """The instant at which a clock in the zone shows `wall`, in UTC."""
    if wall.tzinfo is not None:
        raise ValueError("a wall-clock time carries no zone")
    check_year(wall, "time")
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def reading(wall: datetime, zone: tzinfo) -> Reading:
    """The same instant as `to_instant`, with whether the clock skips or repeats the time."""
    instant = to_instant(wall, zone)
    local = instant.astimezone(zone)
    if local.replace(tzinfo=None) != wall:
        shown = _clock(local) if local.date() == wall.date() else f"{local:%Y-%m-%d} {_clock(local)}"
        text = f"{_clock(wall)} does not exist on {wall:%Y-%m-%d}, read as {shown}"
        return Reading(ReadingKind.GAP, instant, text)
    first = local.replace(fold=0).utcoffset()
    if first is not None and first != local.replace(fold=1).utcoffset():
        text = f"{_clock(wall)} occurs twice on {wall:%Y-%m-%d}, read as the first ({timezone(first)})"
        return Reading(ReadingKind.OVERLAP, instant, text)
    return Reading(ReadingKind.EXACT, instant)


def parse_wall(text: str, field: str) -> datetime:
    """Read `2026-03-29 10:00`, with or without seconds, or a date for its midnight; never an offset."""
    match = _WALL.match(text.strip())
    rest = text.strip()[match.end() :] if match else ""
    if match and _ZONED.fullmatch(rest):
        raise InvalidValueError(
            field,
            f"{text[:40]!r} carries an offset, but start and end are read on each client's own clock: "
            "leave it out, and for one instant for everybody give --zone ZONE",
        )
    if match is None or rest:
        raise InvalidValueError(field, f"{text[:40]!r} is not understood: write 2026-03-29 10:00")
    wall = _parsed(f"{match[1]} {match[2] or '00:00'}", field)
    check_year(wall, field)
    return wall


def parse_instant(text: str, field: str) -> datetime:
    """Read an ISO 8601 time that says its offset, to UTC."""
    plain = text.strip().upper()
    match = _INSTANT.fullmatch(plain)
    if match is None or not _OFFSET.fullmatch(match[1]):
        lack = "does not say its offset" if match and not match[1] else "is not understood"
        raise InvalidValueError(
            field, f"{text[:40]!r} {lack}: write 2026-03-29T10:00+03:00, or Z at the end for UTC"
        )
    instant = _parsed(plain, field)
    check_year(instant, field)
    return instant.astimezone(UTC)


def check_year(moment: datetime, field: str) -> None:
    """Refuse what could overflow in some zone."""
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise InvalidValueError(
            field, f"the year {moment.year} is out of reach: give one from {FIRST_YEAR} to {LAST_YEAR}"
        )


def _parsed(text: str, field: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidValueError(field, f"{text!r} is not a time: {error}") from None


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M:%S}" if moment.second else f"{moment:%H:%M}"
