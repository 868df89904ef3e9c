"""Bars of text, for terminals that can show blocks and for those that cannot."""

from __future__ import annotations

import sys

_LONGEST = 30  # columns


def bar(number: int, most: int, longest: int = _LONGEST) -> str:
    """Draw a number beside the largest of them; never nothing for something."""
    full = "█" if _can_show("█") else "#"
    return full * max(1, number * longest // most) if number else ""


def progress(done: int, total: int, length: int) -> str:
    """Draw a share with its percentage; full only when that is all of it."""
    if not total:
        return ""
    full, empty = "█░" if _can_show("█░") else "#-"
    percent = min(done * 100 // total, 100)
    filled = percent * length // 100
    return f"{full * filled}{empty * (length - filled)} {percent:>3}%"


def _can_show(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
