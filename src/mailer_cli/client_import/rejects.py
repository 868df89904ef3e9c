"""The rejects file: rows that could not be used, each with the reason, to be mended and imported again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from mailer_cli import csv_text
from mailer_cli.client_file import REJECT_COLUMNS, ClientFile, Reject
from mailer_cli.errors import ConfigurationError, InvalidValueError

STDIN_PLACE = "clients.rejects.csv"


def rejects_place(file: str, given: Path | None) -> Path:
    """Return where rejected rows go: beside the file unless another place is given."""
    if given is None:
        return Path(STDIN_PLACE) if file == "-" else Path(f"{file}.rejects.csv")
    if given.is_dir():
        raise InvalidValueError("rejects", f"{given} is a directory; name a file")
    if not given.parent.is_dir():
        raise InvalidValueError("rejects", f"{given.parent} is no directory; make it, or name another")
    if file != "-" and given.resolve() == Path(file).resolve():
        raise InvalidValueError("rejects", f"{given} is the file to import; name another")
    return given


class Rejects:
    """A rejects file in the making: nothing stands in its place until the import is committed.

    It is written as the imported file is, encoding and delimiter alike, so that whatever made that
    file can mend this one. Not made at all if nothing is rejected.
    """

    def __init__(self, path: Path, source: ClientFile) -> None:
        self.path = path
        self.number = 0
        self._source = source
        columns = source.header.columns
        self._kept = [n for n, column in enumerate(columns) if column.lower() not in REJECT_COLUMNS]
        self._file: IO[str] | None = None
        self._temporary: Path | None = None
        self._writer: csv_text.Writer | None = None

    def add(self, reject: Reject) -> None:
        """Keep one row with its reason; raise ConfigurationError where it cannot be written."""
        with self._told():
            writer = self._writer or self._open()
            encoding, columns = self._source.encoding, len(self._source.header.columns)
            reason = reject.reason.encode(encoding, "backslashreplace").decode(encoding)
            whole = len(reject.cells) == columns
            cells = [reject.cells[n] for n in self._kept] if whole else reject.cells
            writer.row([reject.line, reject.field, reason, *map(csv_text.guarded, cells)])
        self.number += 1

    def secure(self) -> None:
        """See to it that all is on disk: called while the import can still be undone."""
        with self._told():
            if self._file is not None:
                self._file.flush()
                os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is None or self._temporary is None:
            return
        if error is not None:
            self._temporary.unlink()
            with self._ignored():
                self._file.close()
            return
        self._file.close()
        try:
            self._temporary.replace(self.path)
        except OSError as fault:
            kept = f"the rejected rows are in {self._temporary}"
            raise ConfigurationError(
                f"the import is done, but {self.path}: {fault.strerror}; {kept}"
            ) from None

    def _open(self) -> csv_text.Writer:
        handle, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        self._temporary = Path(name)
        self._file = os.fdopen(
            handle, "w", encoding=self._source.encoding, newline="", errors="surrogateescape"
        )
        self._writer = csv_text.Writer(self._file, delimiter=self._source.delimiter)
        columns = self._source.header.columns
        self._writer.row([*REJECT_COLUMNS, *(columns[n] for n in self._kept)])
        return self._writer

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            way_out = "nothing was imported; name another place with --rejects"
            raise ConfigurationError(f"rejects file {self.path}: {error.strerror}; {way_out}") from None

    @staticmethod
    @contextmanager
    def _ignored() -> Iterator[None]:
        try:
            yield
        except OSError:  # a full disk was told already; what was not written is not wanted either
            return
