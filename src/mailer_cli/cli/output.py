"""What a person or a script gets to see: the only module that knows Rich.

Data goes to stdout, talk to stderr. Off a terminal nothing is truncated, coloured or animated.
Text from the database is shown literally: neither as markup nor as terminal escapes.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from mailer_cli import csv_text
from mailer_cli.errors import MailerError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Row = Mapping[str, Any]

_UNLIMITED = 100_000  # columns; wider than any row, so that nothing is cut in a pipe or a file
# C0 and C1 controls, and the marks that make text run backwards or hide.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


class Format(StrEnum):
    """How rows are written to stdout."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


OutputOption = Annotated[
    Format, typer.Option("--output", "-o", help="table for people; json, jsonl or csv for scripts.")
]


def rows(
    columns: Sequence[str],
    found: Iterable[Row],
    output: Format,
    *,
    empty: str = "nothing to show",
    headings: Mapping[str, str] | None = None,
    right: Iterable[str] = (),
    colours: Mapping[str, str] | None = None,
) -> None:
    """Write rows with the keys `columns`, in that order; `empty` is said on stderr if there is none.

    `headings` renames columns in the table only, `right` names the columns of numbers, `colours` says how
    whole cells look on a terminal.
    JSON, JSON lines and CSV are written as the rows come, whatever their number.
    """
    if output is Format.TABLE:
        _table(columns, list(found), empty, headings or {}, frozenset(right), colours or {})
    elif output is Format.CSV:
        _csv(columns, found, sys.stdout)
    elif output is Format.JSONL:
        _jsonl(columns, found, sys.stdout)
    else:
        _json_array(_pick(row, columns) for row in found)


def records(columns: Sequence[str], found: Iterable[Row], output: Format, stream: TextIO) -> None:
    """Write rows as CSV or JSON lines to a stream of any kind, as they come."""
    write = _csv if output is Format.CSV else _jsonl
    write(columns, found, stream)


def item(value: Row, output: Format, *, headings: Mapping[str, str] | None = None) -> None:
    """Write one thing: a table of its keys and values, one JSON object, or one CSV row."""
    if output is Format.TABLE:
        _sheet(value, headings or {})
    elif output is Format.CSV:
        _csv(list(value), [value], sys.stdout)
    elif output is Format.JSONL:
        _write(_json(value) + "\n")
    else:
        _write(_json(value, indent=2) + "\n")


def log(found: Iterable[tuple[datetime, str]]) -> None:
    """Write a line for each time and text to stdout, as they come; wrapped beneath itself on a terminal."""
    if not sys.stdout.isatty():
        for time, text in found:
            _write(f"{_shown(time)}  {printable(text)}\n")
        return
    from rich.table import Table
    from rich.text import Text

    wide = console()
    for time, text in found:
        entry = Table.grid(padding=(0, 2), pad_edge=False)
        entry.add_column(no_wrap=True)
        entry.add_column(overflow="fold")
        entry.add_row(Text(_shown(time), "dim"), Text(printable(text)))
        wide.print(entry)


def paragraph(text: str) -> None:
    """Write a sentence to stdout; on a terminal it is wrapped between words."""
    from rich.text import Text

    console().print(Text(printable(text)))


def line(text: str) -> None:
    """Write one line of data to stdout."""
    _write(text + "\n")


def raw(text: str) -> None:
    """Write text of our own as it is to stdout."""
    _write(text)


def say(text: str) -> None:
    """Tell the operator something, on stderr, after the data so far; controls are shown, not obeyed."""
    sys.stdout.flush()
    print(printable(text, keep="\n"), file=sys.stderr, flush=True)  # noqa: T201 - this is the place that prints


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be taken back; off a terminal demand `--yes`.

    Raises MailerError if the operator declines or cannot be asked.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise MailerError(f"{question} Nothing was done: add --yes to go ahead without being asked.")
    if not ask(question):
        raise MailerError("nothing was done")


def ask(question: str) -> bool:
    """Ask a yes/no question on the terminal; Enter alone means no."""
    return typer.confirm(printable(question, keep="\n"), default=False, err=True)


def interactive() -> bool:
    """Tell whether there is a person at both ends: a terminal to read from and to talk to."""
    return sys.stdin.isatty() and sys.stderr.isatty()


@contextmanager
def progress(description: str, total: int | None = None) -> Iterator[Progress | None]:
    """Show a progress bar on stderr while the block runs; nothing (None) off a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as bar:
        bar.add_task(description, total=total)
        yield bar


def console(stream: TextIO | None = None) -> Console:
    """Return a Rich console for `stream` (stdout by default), as wide as a row off a terminal."""
    from rich.console import Console

    stream = stream or sys.stdout
    width = None if stream.isatty() else _UNLIMITED
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def printable(text: str, *, keep: str = "") -> str:
    """Show control characters as escapes, so that text from outside cannot steer a terminal."""
    return _CONTROLS.sub(lambda m: m[0] if m[0] in keep else _escape(m[0]), text)


def instant(value: datetime) -> str:
    """Return an instant as ISO-8601 in UTC, ending in Z; a wall-clock time as it is."""
    if value.tzinfo is None:
        return value.isoformat(sep=" ", timespec="minutes" if not value.second else "seconds")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _pick(row: Row, columns: Sequence[str]) -> dict[str, Any]:
    return {column: row[column] for column in columns}


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    return str(value)


def _json(value: object, indent: int | None = None) -> str:
    text = json.dumps(value, default=_plain, ensure_ascii=False, indent=indent)
    # What json leaves as it is may still steer a terminal; inside a JSON text it can only be in a string.
    return _CONTROLS.sub(lambda m: m[0] if m[0] == "\n" else f"\\u{ord(m[0]):04x}", text)


def _json_array(values: Iterable[object]) -> None:
    separator = "[\n  "
    for value in values:
        _write(separator + _json(value))
        separator = ",\n  "
    _write("[]\n" if separator.startswith("[") else "\n]\n")


def _jsonl(columns: Sequence[str], found: Iterable[Row], stream: TextIO) -> None:
    stream.writelines(_json(_pick(row, columns)) + "\n" for row in found)


def _csv(columns: Sequence[str], found: Iterable[Row], stream: TextIO) -> None:
    writer, shown = csv_text.Writer(stream), stream.isatty()
    writer.row(columns)
    for row in found:
        cells = [_csv_cell(row[column]) for column in columns]
        writer.row([printable(cell, keep="\n\t") for cell in cells] if shown else cells)


def _csv_cell(value: object) -> str:
    """The cell for a value; a number may begin with a minus, a text may not."""
    text = _cell(value)
    return csv_text.guarded(text) if isinstance(value, (str, list, tuple, set, frozenset)) else text


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return _json(value)
    return str(value)


def _shown(value: object) -> str:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(_cell(value), keep="\n")


def _table(
    columns: Sequence[str],
    found: list[Row],
    empty: str,
    headings: Mapping[str, str],
    right: frozenset[str],
    colours: Mapping[str, str],
) -> None:
    if not found:
        say(empty)
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        heading = headings.get(column, column.replace("_", " "))
        justify = "right" if column in right else "left"
        table.add_column(Text(heading), justify=justify, overflow="fold")  # type: ignore[arg-type]  # a Literal
    for row in found:
        cells = [_shown(row[column]) for column in columns]
        table.add_row(*(Text(cell, colours.get(cell, "")) for cell in cells))
    console().print(table)


def _sheet(value: Row, headings: Mapping[str, str]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, entry in value.items():
        table.add_row(Text(headings.get(key, key.replace("_", " "))), Text(_shown(entry)))
    console().print(table)


def _write(text: str) -> None:
    sys.stdout.write(text)
