"""Reading clients from a CSV file of any size: each row becomes a client, or a reason why not."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, NamedTuple

from mailer_cli import csv_text, phones
from mailer_cli.client_file.lines import (
    LINE_LIMIT,
    Lines,
    LineTooLongError,
    RowTooLongError,
    Sampled,
    checked_encoding,
    detect_encoding,
)
from mailer_cli.clients import checked_tag
from mailer_cli.errors import InvalidValueError
from mailer_cli.localtime import canonical_zone

NAMES = {
    "phone": ("phone", "телефон", "номер", "номер телефона"),
    "timezone": ("timezone", "time zone", "tz", "zone", "часовой пояс", "таймзона"),
    "tag": ("tag", "тег", "тэг", "метка"),
    "operator_code": ("operator code", "operator", "code", "код оператора", "код", "оператор"),
}
REJECT_COLUMNS = ("line", "field", "reason")  # a rejects file may be mended and imported again
_FIELDS = {name: field for field, names in NAMES.items() for name in names}


class Row(NamedTuple):
    """A client as the file has them; None where the file says nothing."""

    line: int
    phone: str
    operator_code: str | None
    tag: str | None
    timezone: str | None


class Reject(NamedTuple):
    """A row that cannot be used, with its cells as they are meant."""

    line: int
    field: str
    reason: str
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Header:
    """Which column holds what."""

    columns: list[str]
    phone: int
    operator_code: int | None
    tag: int | None
    timezone: int | None


class ClientFile:
    """A CSV file being read; `header` is known at once, rows come as they are asked for.

    Raises InvalidValueError where the file as a whole cannot be used: empty, an unknown encoding or
    column, no phones.
    """

    def __init__(
        self, source: IO[bytes], *, encoding: str | None = None, delimiter: str | None = None
    ) -> None:
        self._source = Sampled(source)
        detected = detect_encoding(self._source.sample, whole=self._source.whole)
        self.encoding = checked_encoding(encoding) if encoding else detected
        self._lines = Lines(self._source, self.encoding)
        first = _first_line(self._lines)
        self.delimiter = checked_delimiter(delimiter) if delimiter else detect_delimiter(first)
        csv.field_size_limit(LINE_LIMIT)
        self.header = read_header(_cells(first, self.delimiter))
        self._reader = csv.reader(self._lines, delimiter=self.delimiter, skipinitialspace=True, strict=True)

    @property
    def position(self) -> int:
        """How many bytes of the file have been read."""
        return self._source.position

    def rows(self) -> Iterator[Row | Reject]:
        """Yield the rows in order, each normalised or rejected with its reason; blank ones are left out."""
        lines, width, convert = self._lines, len(self.header.columns), self._converter()
        while True:
            lines.begin_row()
            line = lines.number + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Reject(line, "row", _malformed(error), _raw_cells(lines.give_back(), self.delimiter))
                continue
            cells = [csv_text.unguarded(cell) for cell in cells]
            if not any(cells) or (len(cells) == 1 < width and cells[0].isspace()):
                continue
            if len(cells) != width:
                yield Reject(line, "row", f"it has {len(cells)} cells where the header has {width}", cells)
                continue
            yield convert(line, cells)

    def _converter(self) -> Callable[[int, list[str]], Row | Reject]:
        header, zones, tag_of = self.header, _Zones(), lru_cache(10_000)(_tag)

        def convert(line: int, cells: list[str]) -> Row | Reject:
            try:
                phone = phones.normalise(cells[header.phone])
                code = None if header.operator_code is None else _code(phone, cells[header.operator_code])
                tag = None if header.tag is None else tag_of(cells[header.tag])
                timezone = None if header.timezone is None else zones[cells[header.timezone]]
            except InvalidValueError as error:
                return Reject(line, error.field, error.reason, cells)
            return Row(line, phone, code, tag, timezone)

        return convert


def detect_delimiter(header: str) -> str:
    """Return what separates the columns of a header: a semicolon, a tab, or else a comma."""
    return max(",;\t", key=header.count)


def checked_delimiter(text: str) -> str:
    """Return the one character that is meant; a tab may be written as `tab` or `\\t`."""
    character = {"\\t": "\t", "tab": "\t"}.get(text, text)
    if len(character) != 1 or character in '"\r\n' or character.isalnum():
        raise InvalidValueError("delimiter", f"{text!r} does not separate columns; use , or ; or tab")
    return character


def read_header(columns: list[str]) -> Header:
    """Tell which column holds what, whatever the case and the spaces of their names."""
    places: dict[str, int] = {}
    for place, column in enumerate(columns):
        name = " ".join(column.lower().replace("_", " ").split())
        if name in REJECT_COLUMNS:
            continue
        field = _FIELDS.get(name)
        if field is None:
            raise InvalidValueError("header", _unknown(place, column))
        if field in places:
            raise InvalidValueError("header", f"two columns for {field}; leave one of them out")
        places[field] = place
    if "phone" not in places:
        raise InvalidValueError("header", "no column phone; the first line must name the columns")
    return Header(
        columns, places["phone"], places.get("operator_code"), places.get("tag"), places.get("timezone")
    )


class _Zones(dict[str, str | None]):
    """Zones by what the file calls them, each looked up once; bad ones are refused every time."""

    def __missing__(self, text: str) -> str | None:
        name = text.strip()
        zone = canonical_zone(name) if name else None
        self[text] = zone
        return zone


def _code(phone: str, cell: str) -> str | None:
    given = cell.strip()
    return phones.check_operator_code(given) if given else phones.operator_code(phone)


def _tag(cell: str) -> str | None:
    return checked_tag(cell)


def _first_line(lines: Lines) -> str:
    try:
        first = next(lines, "").lstrip("\ufeff")
    except LineTooLongError:
        raise InvalidValueError("header", f"it is longer than {LINE_LIMIT} characters") from None
    if not first.strip():
        raise InvalidValueError("file", "it is empty; it needs a header such as phone,timezone,tag")
    return first


def _cells(header: str, delimiter: str) -> list[str]:
    try:
        reader = csv.reader([header], delimiter=delimiter, skipinitialspace=True, strict=True)
        return [cell.strip() for cell in next(reader)]
    except csv.Error:
        raise InvalidValueError("header", "a quote is not closed; the first line names the columns") from None


def _unknown(place: int, column: str) -> str:
    known = ", ".join(NAMES)
    if not column:
        return f"column {place + 1} has no name; leave it out, or name it: {known}"
    if sum(character.isdigit() for character in column) > 9:
        return f"the first line must name the columns, such as {known}; it has {column[:40]!r}"
    return f"unknown column {column[:40]!r}; leave it out, or rename it: {known}"


def _malformed(error: csv.Error) -> str:
    if isinstance(error, LineTooLongError):
        return f"it is longer than {LINE_LIMIT} characters"
    if isinstance(error, RowTooLongError) or "unexpected end" in str(error):
        return "a quote is opened and not closed"
    return 'a quote stands where it cannot; inside quotes write it twice: ""'


def _raw_cells(line: str, delimiter: str) -> list[str]:
    return [csv_text.unguarded(cell) for cell in line.rstrip("\r\n").split(delimiter)] if line else []
