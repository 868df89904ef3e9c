"""Importing clients: staged by COPY, then made and changed by two statements, all in one transaction."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from mailer_cli import database, events, windows
from mailer_cli.client_file import REJECT_COLUMNS, ClientFile, Reject, Row
from mailer_cli.database import Connection
from mailer_cli.errors import ConfigurationError

BLOCK = 10_000  # rows per block sent to the server
T = TypeVar("T")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or, after a dry run, would have done; in rows of the file."""

    new: int
    changed: int
    same: int
    rejected: int


@dataclass(frozen=True, slots=True)
class _Repeat:
    line: int
    phone: str
    kept_line: int


@dataclass(frozen=True, slots=True)
class _Zoneless:
    line: int
    phone: str


class Rejects:
    """The rejects file: written beside its place, and moved there only when the import is done."""

    def __init__(self, path: Path, columns: list[str]) -> None:
        self.path = path
        self.number = 0
        self._columns = [column for column in columns if column.lower() not in REJECT_COLUMNS]
        self._skipped = [n for n, column in enumerate(columns) if column.lower() in REJECT_COLUMNS]
        try:
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        except OSError as error:
            raise ConfigurationError(
                f"rejects file {path}: {error.strerror}; name another place with --rejects"
            ) from None
        self._temporary = Path(name)
        self._file = os.fdopen(handle, "w", encoding="utf-8", newline="", errors="surrogateescape")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow([*REJECT_COLUMNS, *self._columns])

    def add(self, reject: Reject) -> None:
        """Keep one row with its reason."""
        cells = [cell for n, cell in enumerate(reject.cells) if n not in self._skipped]
        self._writer.writerow([reject.line, reject.field, reject.reason, *cells])
        self.number += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if self.number and error is None:
            self._temporary.replace(self.path)
        else:
            self._temporary.unlink()


def import_clients(
    connection: Connection,
    actor: str,
    source: ClientFile,
    rejects: Rejects,
    *,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Imported:
    """Import a file in one transaction; `progress` is told the number of rows read so far.

    New phones become clients, known ones take over what the file gives and keep the rest. A phone
    that comes again with other values is rejected; the first one counts.
    """
    with connection.transaction(force_rollback=dry_run):
        database.execute(connection, "client_import_lock")
        database.execute(connection, "client_import_stage")
        staged = _stage(connection, source, rejects, progress)
        connection.execute("ANALYZE client_import")
        staged -= _reject_repeats(connection, source, rejects)
        changed, zones = _update(connection, source)
        new = database.execute(connection, "client_import_insert").rowcount
        staged -= _reject_zoneless(connection, source, rejects)
        windows.reconsider(connection, zones)
        done = Imported(new, changed, staged - new - changed, rejects.number)
        facts = {"new": done.new, "changed": done.changed, "same": done.same, "rejected": done.rejected}
        events.record(connection, actor, "clients imported", new=facts)
    return done


def _stage(
    connection: Connection,
    source: ClientFile,
    rejects: Rejects,
    progress: Callable[[int], None] | None,
) -> int:
    staged = 0
    with (
        connection.cursor() as cursor,
        cursor.copy(database.statement("client_import_copy")) as copy,
    ):
        for block in _blocks(source.rows(), rejects):
            copy.write("".join(block))
            staged += len(block)
            if progress is not None:
                progress(staged + rejects.number)
    return staged


def _blocks(rows: Iterator[Row | Reject], rejects: Rejects) -> Iterator[list[str]]:
    block: list[str] = []
    for row in rows:
        if isinstance(row, Reject):
            rejects.add(row)
            continue
        tag = "\\N" if row.tag is None else row.tag.translate(_ESCAPES)
        cells = (str(row.line), row.phone, row.operator_code or "\\N", tag, row.timezone or "\\N")
        block.append("\t".join(cells) + "\n")
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block


def _reject_repeats(connection: Connection, source: ClientFile, rejects: Rejects) -> int:
    found = 0
    for repeat in _streamed(connection, "client_import_repeats", _Repeat):
        reason = f"line {repeat.kept_line} has this number already, with other values; that one counts"
        rejects.add(_known_by_phone(source, repeat.line, "phone", reason, repeat.phone))
        found += 1
    return found


def _reject_zoneless(connection: Connection, source: ClientFile, rejects: Rejects) -> int:
    found = 0
    for client in _streamed(connection, "client_import_zoneless", _Zoneless):
        reason = "a new client needs one; add a column timezone, or --timezone for all"
        rejects.add(_known_by_phone(source, client.line, "timezone", reason, client.phone))
        found += 1
    return found


def _known_by_phone(source: ClientFile, line: int, field: str, reason: str, phone: str) -> Reject:
    cells = ["" for _ in source.header.columns]
    cells[source.header.phone] = phone
    return Reject(line, field, reason, cells)


def _update(connection: Connection, source: ClientFile) -> tuple[int, list[str]]:
    row = database.execute(
        connection,
        "client_import_update",
        operator_given=source.header.operator_code is not None,
        tag_given=source.header.tag is not None,
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate has a row
    return row[0], row[1] or []


def _streamed(connection: Connection, name: str, kind: type[T]) -> Iterator[T]:
    from psycopg.rows import class_row

    with connection.cursor(name, row_factory=class_row(kind)) as cursor:
        yield from cursor.execute(database.statement(name))
