"""Hours of the day and days of the week in which a mailing may be sent, as an operator writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import time

from mailer_cli.errors import InvalidValueError

DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ALL_WEEK = frozenset(range(7))

_MIDNIGHT = time(0, 0)
_HOURS = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})")
_HOURS_FORM = "write hours as 09:00-21:00, or 22:00-06:00 to go past midnight"
_DAYS_FORM = f"the days are {', '.join(DAY_NAMES)}: write mon,wed or mon-fri"


@dataclass(frozen=True, slots=True)
class Hours:
    """From `start` to just before `end` on a local clock, to the next day's `end` if that is not later.

    Midnight as the end is the end of the day, written 24:00.
    """

    start: time
    end: time

    def __post_init__(self) -> None:
        if self.start == self.end != _MIDNIGHT:
            raise _equal(f"{self.start:%H:%M}", "hours")

    @classmethod
    def parse(cls, text: str, field: str = "hours") -> Hours:
        """Read `09:00-21:00`; `24:00` is allowed as the end alone."""
        match = _HOURS.fullmatch(text.strip())
        if match is None:
            raise InvalidValueError(field, f"{text[:40]!r} is not understood: {_HOURS_FORM}")
        from_hour, from_minute, to_hour, to_minute = map(int, match.groups())
        if (from_hour, from_minute) == (to_hour, to_minute):
            raise _equal(f"{from_hour:02}:{from_minute:02}", field)
        if (to_hour, to_minute) == (24, 0):
            to_hour = 0
        try:
            return cls(time(from_hour, from_minute), time(to_hour, to_minute))
        except ValueError:
            raise InvalidValueError(field, f"{text[:40]!r} is no time of day: {_HOURS_FORM}") from None

    def __str__(self) -> str:  # type: ignore[explicit-override]  # typing.override is not in 3.11
        end = "24:00" if self.end == _MIDNIGHT else f"{self.end:%H:%M}"
        return f"{self.start:%H:%M}-{end}"


ALL_DAY = Hours(_MIDNIGHT, _MIDNIGHT)


def parse_days(text: str, field: str = "days") -> frozenset[int]:
    """Read `mon,wed` or `mon-fri`; Monday is 0, and a range may go past Sunday."""
    return frozenset(day for item in text.split(",") for day in _days(item.strip(), field))


def format_days(days: Iterable[int]) -> str:
    """Write days as `parse_days` reads them, in the order of the week, without ranges."""
    return ",".join(DAY_NAMES[day] for day in sorted(set(days)))


def _days(item: str, field: str) -> Iterator[int]:
    first, dash, last = (part.strip().lower() for part in item.partition("-"))
    if first not in DAY_NAMES or (dash and last not in DAY_NAMES):
        raise InvalidValueError(field, f"{item[:40]!r} is not a day: {_DAYS_FORM}")
    begin = DAY_NAMES.index(first)
    length = (DAY_NAMES.index(last) - begin) % 7 if dash else 0
    return ((begin + n) % 7 for n in range(length + 1))


def _equal(clock: str, field: str) -> InvalidValueError:
    return InvalidValueError(field, f"they start and end at {clock}: for the whole day write 00:00-24:00")
