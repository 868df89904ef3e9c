"""Spans of time as people type and read them: 7d, 12h, 30m; 3.2 s, 4 min."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from mailer_cli.durations import shown
from mailer_cli.errors import InvalidValueError

_AGO = re.compile(r"([0-9]{1,6})\s*([smhdw])")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def length(field: str, text: str) -> timedelta:
    """Read `12h`, `400d`, `60w`; raise InvalidValueError."""
    if found := _AGO.fullmatch(text.strip().lower()):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    raise InvalidValueError(field, f"{text[:40]!r} is no span of time; write 30d, 12w, 400d")


def since(text: str, now: datetime) -> datetime:
    """Read `2h` or `7d` ago, a date (of UTC), or an instant; raise InvalidValueError.

    `now` is the database's: what is shown was noted by its clock.
    """
    from mailer_cli import localtime

    wanted = text.strip().lower()
    try:
        if ago := _AGO.fullmatch(wanted):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        if _DATE.fullmatch(wanted):
            return datetime.combine(date.fromisoformat(wanted), time(), UTC)
        return localtime.parse_instant(text, "since")
    except (InvalidValueError, ValueError, OverflowError) as error:
        reason = getattr(error, "reason", f"{text[:40]!r} is no day of the calendar")
        raise InvalidValueError("since", f"{reason}, or 30m, 2h, 7d ago") from None


def lateness(p50: float | None, p95: float | None, latest: float | None) -> str | None:
    """Tell how late messages were sent, None if none was."""
    if p50 is None or p95 is None or latest is None:
        return None
    return f"half within {shown(p50)}, 95% within {shown(p95)}, the last {shown(latest)}"
