"""CSV that reads back as it was written, and of which a spreadsheet executes nothing.

A text that a spreadsheet would take for a formula gets an apostrophe in front, the spreadsheets' own mark for
text. One that has apostrophes before it already gets one more, so that taking one away always gives the text
back.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from typing import Protocol

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_GUARDED = re.compile(r"'+[=+\-@\t\r]")


class Writable(Protocol):
    """What rows of CSV may be written to."""

    def write(self, text: str, /) -> object: ...  # noqa: D102 - says what it does by its name


class Writer:
    """Writes rows, each ended by a line feed; cells are quoted where they have to be."""

    def __init__(self, stream: Writable, *, delimiter: str = ",") -> None:
        self._stream = stream
        # Before Python 3.13, a carriage return is quoted only where lines end with one.
        self._rows = csv.writer(self, delimiter=delimiter, lineterminator="\r\n")

    def row(self, cells: Iterable[object]) -> None:
        """Write one row."""
        self._rows.writerow(cells)

    def write(self, line: str, /) -> None:
        """Pass on one line of the csv module."""
        self._stream.write(line[:-2] + "\n")


def guarded(text: str) -> str:
    """Return the cell that stands for a text: never a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(cell: str) -> str:
    """Return the text that a cell stands for, also one that a spreadsheet has put the apostrophe before."""
    return cell[1:] if cell[:1] == "'" and _GUARDED.match(cell) else cell
