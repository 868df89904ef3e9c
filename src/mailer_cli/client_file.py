"""Reading clients from a CSV file of any size: each row becomes a client, or a reason why not."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from mailer_cli import phones
from mailer_cli.clients import checked_tag
from mailer_cli.errors import InvalidValueError
from mailer_cli.localtime import canonical_zone

SAMPLE = 1024 * 1024  # bytes looked at to tell the encoding
LINE_LIMIT = 1_000_000  # characters
NAMES = {
    "phone": ("phone", "телефон", "номер"),
    "operator_code": (
        "operator_code",
        "operator code",
        "operator",
        "code",
        "код оператора",
        "код",
        "оператор",
    ),
    "tag": ("tag", "тег", "метка"),
    "timezone": ("timezone", "time zone", "time_zone", "tz", "zone", "часовой пояс", "таймзона"),
}
REJECT_COLUMNS = ("line", "field", "reason")  # a rejects file may be mended and imported again
_FIELDS = {name: field for field, names in NAMES.items() for name in names}


@dataclass(frozen=True, slots=True)
class Row:
    """A client as the file has them; None where the file says nothing."""

    line: int
    phone: str
    operator_code: str | None
    tag: str | None
    timezone: str | None


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that cannot be used, with its cells as they are."""

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
    column, no phones. `default_timezone` is for rows without one.
    """

    def __init__(
        self,
        source: IO[bytes],
        *,
        encoding: str | None = None,
        delimiter: str | None = None,
        default_timezone: str | None = None,
    ) -> None:
        buffered = io.BufferedReader(source, SAMPLE)  # type: ignore[type-var]  # any readable bytes will do
        self.encoding = _checked_encoding(encoding) if encoding else detect_encoding(buffered.peek(SAMPLE))
        # Undecodable bytes become lone surrogates: they spoil their row, not the whole file.
        text = io.TextIOWrapper(buffered, self.encoding, errors="surrogateescape", newline="")
        self._default_timezone = default_timezone
        self._lines = _Lines(text)
        first = next(self._lines, None)
        if first is None or not first.strip("\ufeff \t\r\n"):
            raise InvalidValueError("file", "it is empty; it needs a header such as phone,timezone,tag")
        self.delimiter = delimiter or detect_delimiter(first)
        self.header = _header(next(csv.reader([first.lstrip("\ufeff")], delimiter=self.delimiter)))
        csv.field_size_limit(LINE_LIMIT)
        self._reader = csv.reader(self._lines, delimiter=self.delimiter)

    def rows(self) -> Iterator[Row | Reject]:
        """Yield the rows in order, each normalised or rejected with its reason."""
        header, convert = self.header, self._converter()
        while True:
            line = self._lines.number + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error:
                yield Reject(line, "row", "it is too long: is a quote not closed?", [])
                continue
            if not cells:
                if self._lines.too_long:
                    self._lines.too_long = False
                    yield Reject(line, "row", f"it is longer than {LINE_LIMIT} characters", [])
                continue
            if len(cells) != len(header.columns):
                reason = f"it has {len(cells)} cells where the header has {len(header.columns)}"
                yield Reject(line, "row", reason, cells)
                continue
            yield convert(line, cells)

    def _converter(self) -> Callable[[int, list[str]], Row | Reject]:
        header, zones, default = self.header, _Zones(self._default_timezone), self._default_timezone

        def convert(line: int, cells: list[str]) -> Row | Reject:
            try:
                phone = phones.normalise(cells[header.phone])
                code = _operator_code(phone, cells, header.operator_code)
                tag = None if header.tag is None else _tag(cells[header.tag])
                timezone = default if header.timezone is None else zones[cells[header.timezone]]
            except InvalidValueError as error:
                return Reject(line, error.field, error.reason, cells)
            return Row(line, phone, code, tag, timezone)

        return convert


def detect_encoding(sample: bytes) -> str:
    """Tell utf-8 (with or without a mark) from cp1251 by the first bytes of a file."""
    if sample.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidValueError("file", "it is in UTF-16; save it as UTF-8 (CSV UTF-8)")
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return "cp1251"
    return "utf-8"


def detect_delimiter(header: str) -> str:
    """Return what separates the columns of a header: a semicolon, a tab, or else a comma."""
    return max(",;\t", key=header.count)


class _Lines:
    """The lines of a text, none longer than LINE_LIMIT: of longer ones only a blank is left."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.number = 0
        self.too_long = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(LINE_LIMIT + 1)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) <= LINE_LIMIT:
            return line
        while line and not line.endswith("\n"):
            line = self._text.readline(LINE_LIMIT)
        self.too_long = True
        return "\n"


class _Zones(dict[str, str]):
    """Zones by what the file calls them, each looked up once; bad ones are refused every time."""

    def __init__(self, default: str | None) -> None:
        super().__init__()
        self._default = default

    def __missing__(self, text: str) -> str:
        name = text.strip()
        if not name and self._default is None:
            raise InvalidValueError(
                "timezone", "it is missing; give one, or --timezone for all rows without one"
            )
        zone = canonical_zone(name) if name else self._default
        assert zone is not None  # noqa: S101 - an empty name without a default was refused above
        self[text] = zone
        return zone


def _operator_code(phone: str, cells: list[str], column: int | None) -> str | None:
    if column is None:
        return None
    given = cells[column].strip()
    return phones.check_operator_code(given) if given else phones.operator_code(phone)


def _tag(cell: str) -> str | None:
    tag = checked_tag(cell)
    if tag is not None and any("\ud800" <= character <= "\udfff" for character in tag):
        raise InvalidValueError("tag", "it cannot be read in the file's encoding; try --encoding cp1251")
    return tag


def _header(cells: list[str]) -> Header:
    columns = [cell.strip() for cell in cells]
    places: dict[str, int] = {}
    for place, column in enumerate(columns):
        name = " ".join(column.lower().split())
        if name in REJECT_COLUMNS:
            continue
        field = _FIELDS.get(name)
        if field is None:
            known = ", ".join(NAMES)
            raise InvalidValueError("header", f"unknown column {column[:40]!r}; known are {known}")
        if field in places:
            raise InvalidValueError("header", f"two columns for {field}; leave one of them out")
        places[field] = place
    if "phone" not in places:
        raise InvalidValueError("header", "no column phone; the first line must name the columns")
    return Header(
        columns, places["phone"], places.get("operator_code"), places.get("tag"), places.get("timezone")
    )


def _checked_encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise InvalidValueError("encoding", f"unknown: {name!r}; utf-8 and cp1251 are usual") from None
