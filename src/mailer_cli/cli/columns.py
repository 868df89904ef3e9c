"""Which columns of a table a terminal has room for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from unicodedata import combining, east_asian_width

_GAP = 3  # what a table puts between two columns
_LEAST = 10  # what a shortened text needs to be worth its column

Cells = dict[str, Any]


def fit(
    columns: Iterable[str],
    rows: Sequence[Cells],
    width: int,
    *,
    give_up: Sequence[str] = (),
    elastic: str | None = None,
) -> tuple[list[str], list[Cells]]:
    """Return columns and rows that fit into `width`: `give_up` goes first, one by one, in that order.

    The text in column `elastic` is shortened to what is left; with too little left it is given up last.
    """
    kept = list(columns)
    for column in give_up:
        if needed(kept, rows, elastic) <= width:
            break
        kept = [other for other in kept if other != column]
    if elastic not in kept:
        return kept, list(rows)
    room = width - needed(kept, rows, elastic) + _floor(rows, elastic)
    if room < _floor(rows, elastic):
        return [column for column in kept if column != elastic], list(rows)
    return kept, [{**row, elastic: shortened(row[elastic], room)} for row in rows]


def needed(columns: Sequence[str], rows: Sequence[Cells], elastic: str | None = None) -> int:
    """Return how wide a table of these columns is, its elastic column as narrow as it can be."""
    widths = [_floor(rows, c) if c == elastic else _widest(rows, c) for c in columns]
    return sum(widths) + _GAP * len(widths) - 1


def filled(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the columns that say something in at least one row: neither nothing nor 0."""
    found = list(rows)
    return [column for column in columns if any(row[column] not in {None, "", 0} for row in found)]


def shortened(text: str | None, room: int) -> str | None:
    """Return a text on one line, cut to `room` columns of a terminal."""
    if text is None:
        return None
    line = " ".join(text.split())
    if measure(line) <= room:
        return line
    while line and measure(line) > room - 1:
        line = line[:-1]
    return line.rstrip() + "…"


def measure(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def compact(number: int) -> str:
    """Return a number in five columns at the most: 9999, 12.3k, 450k, 1.25M, 12.5M."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size and number >= 10_000:
            return f"{_cut(number / size)}{unit}"
    return str(number)


def _cut(value: float) -> str:
    # Cut, not rounded: 999,999 is not a million yet.
    return f"{value:.9f}"[:4].rstrip(".")


def minute(instant: datetime) -> str:
    """Return an instant, or a wall-clock time, to the minute: enough for a table."""
    if instant.tzinfo is None:
        return instant.strftime("%Y-%m-%d %H:%M")
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def _floor(rows: Sequence[Cells], column: str) -> int:
    return min(max(_LEAST, len(column)), _widest(rows, column))


def _widest(rows: Sequence[Cells], column: str) -> int:
    lines = (line for row in rows for line in str("" if row[column] is None else row[column]).split("\n"))
    return max([len(column), *map(measure, lines)])
