"""Spans of time as people type and read them: 7d, 12h, 30m; 3.2 s, 4 min."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from mailer_cli.errors import InvalidValueError

_SPAN = re.compile(r"([0-9]{1,5})\s*([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def span(text: str, field: str) -> timedelta:
    """Read `90s`, `30m`, `12h`, `7d` or `2w`; raise InvalidValueError."""
    match = _SPAN.fullmatch(text.strip().lower())
    if match is None:
        raise InvalidValueError(field, f"{text[:40]!r} is not understood: give 30m, 12h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def since(text: str | None, field: str = "since") -> datetime | None:
    """Read an instant, a date (of UTC), or how long ago; raise InvalidValueError."""
    from mailer_cli import localtime

    if text is None:
        return None
    if _SPAN.fullmatch(text.strip().lower()):
        return datetime.now(UTC) - span(text, field)
    try:
        return (
            datetime.combine(datetime.fromisoformat(text).date(), datetime.min.time(), UTC)
            if (re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text.strip()))
            else localtime.parse_instant(text, field)
        )
    except ValueError:
        raise InvalidValueError(field, f"{text[:40]!r} is no date of the calendar") from None


def shown(seconds: float) -> str:
    """Return seconds in the unit that people would use."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:.0f} d"


def lateness(p50: float | None, p95: float | None, latest: float | None) -> str | None:
    """Tell how late messages were sent, None if none was."""
    if p50 is None or p95 is None or latest is None:
        return None
    return f"half within {shown(p50)}, 95% within {shown(p95)}, the last {shown(latest)}"
