"""Lines of a file of any size and encoding, in bounded memory: what the CSV reader is fed with."""

from __future__ import annotations

import codecs
import csv
import io
from collections import deque
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from mailer_cli.errors import InvalidValueError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

SAMPLE = 1024 * 1024  # bytes looked at to tell the encoding
LINE_LIMIT = 1_000_000  # characters
ROW_LINES = 200  # a row may span so many: the longest tag does, a file with an open quote shall not


class RowTooLongError(csv.Error):
    """One row takes more lines or characters than any client needs."""


class LineTooLongError(RowTooLongError):
    """One line is longer than LINE_LIMIT; its text is gone."""


class Sampled(io.RawIOBase):
    """A stream of which the first bytes are known, however small the packets they arrive in."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._ended = False
        self.sample = self._first()
        self.whole = self._ended  # nothing comes after the sample
        self.position = 0  # bytes given out
        self._left = memoryview(self.sample)

    def readable(self) -> bool:  # type: ignore[explicit-override]  # noqa: D102 - typing has it from 3.12 on
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:  # type: ignore[explicit-override]  # noqa: D102 - likewise
        view = memoryview(buffer)
        if not self._left and not self._ended:
            self._left = memoryview(self._source.read(len(view)))
            self._ended = not self._left
        given = min(len(view), len(self._left))
        view[:given] = self._left[:given]
        self._left = self._left[given:]
        self.position += given
        return given

    def _first(self) -> bytes:
        parts: list[bytes] = []
        wanted = SAMPLE
        while wanted and (part := self._source.read(wanted)):
            parts.append(part)
            wanted -= len(part)
        self._ended = wanted > 0
        return b"".join(parts)


class Lines:
    """The lines of a text, one by one; those of a row that came to nothing can be given back."""

    def __init__(self, source: Sampled, encoding: str) -> None:
        # Undecodable bytes become lone surrogates: they spoil their row, not the whole file.
        buffered = io.BufferedReader(source, SAMPLE)
        self._text = io.TextIOWrapper(buffered, encoding, errors="surrogateescape", newline="")
        self._again: deque[str | None] = deque()
        self._row: list[str | None] = []
        self.number = 0  # of the line given out last

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._read()
        if line == "":
            raise StopIteration
        self.number += 1
        self._row.append(line)
        if line is None:
            raise LineTooLongError if len(self._row) == 1 else RowTooLongError
        if len(self._row) > 1 and (len(self._row) > ROW_LINES or self._size() > LINE_LIMIT):
            raise RowTooLongError
        return line

    def begin_row(self) -> None:
        """What is given out from now on belongs to a new row."""
        self._row.clear()

    def give_back(self) -> str:
        """Return the row's first line; the lines after it will be given out again, as rows of their own."""
        first, *rest = self._row or [""]
        self._again.extendleft(reversed(rest))
        self.number -= len(rest)
        return first or ""

    def _size(self) -> int:
        return sum(len(line) for line in self._row if line is not None)

    def _read(self) -> str | None:
        try:
            line = self._text.readline(LINE_LIMIT + 1)
            if len(line) <= LINE_LIMIT:
                return line
            while line and not line.endswith(("\n", "\r")):
                line = self._text.readline(LINE_LIMIT)
        except UnicodeDecodeError:
            reason = f"line {self.number + 1} is not {self._text.encoding}; name another with --encoding"
            raise InvalidValueError("file", reason) from None
        return None


def detect_encoding(sample: bytes, *, whole: bool = True) -> str:
    """Tell utf-8 (with or without a mark) from cp1251 by the first bytes of a file, or all of them.

    A few bad bytes among many good letters are a fault of a utf-8 file, not another encoding.
    """
    if sample.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidValueError("file", "it is in UTF-16; save it as UTF-8 (CSV UTF-8)")
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(sample, final=whole)
    bad = text.count("\ufffd")
    good = sum(not character.isascii() for character in text) - bad if bad else 0
    return "cp1251" if bad > good else "utf-8"


def checked_encoding(name: str) -> str:
    """Return the codec's own name; refuse what is no encoding of text, or of another kind than ASCII's."""
    try:
        if ",".encode(name).removeprefix(codecs.BOM_UTF8) == b",":
            return codecs.lookup(name).name
    except (LookupError, ValueError):
        pass
    raise InvalidValueError("encoding", f"{name[:40]!r} cannot be read; utf-8 and cp1251 are usual")
