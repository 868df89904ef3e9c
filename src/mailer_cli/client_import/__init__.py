"""Importing clients: staged by COPY, then made and changed by two statements, all in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TypeVar

from mailer_cli import database, events, windows
from mailer_cli.client_file import ClientFile, Reject, Row
from mailer_cli.client_import.rejects import Rejects, rejects_place
from mailer_cli.database import Connection

__all__ = ["Imported", "Rejects", "import_clients", "rejects_place"]

BLOCK = 10_000  # rows per block sent to the server
Progress = Callable[[str, int], None]  # what is being done, and how many bytes of the file were read
T = TypeVar("T")
_NULL = "\\N"
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
    operator_code: str | None
    tag: str | None
    timezone: str | None
    kept_line: int


@dataclass(frozen=True, slots=True)
class _Zoneless:
    line: int
    phone: str
    operator_code: str | None
    tag: str | None
    timezone: None


@dataclass(frozen=True, slots=True)
class _Changed:
    number: int
    zones: list[str]  # windows open there must look again


def import_clients(
    connection: Connection,
    actor: str,
    source: ClientFile,
    rejects: Rejects,
    *,
    default_timezone: str | None = None,
    dry_run: bool = False,
    progress: Progress = lambda _doing, _bytes: None,
) -> Imported:
    """Import a file in one transaction.

    New phones become clients, known ones take over what the file gives and keep the rest; the default
    time zone is for new ones only. A phone that comes again with other values is rejected; the first
    one counts.
    """
    with connection.transaction(force_rollback=dry_run):
        database.execute(connection, "client_import_memory")
        database.execute(connection, "client_import_stage")
        staged = _stage(connection, source, rejects, progress)
        progress("merging", source.position)
        database.execute(connection, "client_import_lock")
        database.execute(connection, "client_import_analyze")
        if default_timezone is None:
            staged -= _reject_zoneless(connection, source, rejects)
        staged -= _reject_repeats(connection, source, rejects)
        new = database.execute(connection, "client_import_insert", default_timezone=default_timezone).rowcount
        changed = _update(connection, source) if new < staged else _Changed(0, [])
        windows.reconsider(connection, changed.zones)
        done = Imported(new, changed.number, staged - new - changed.number, rejects.number)
        events.record(connection, actor, "clients imported", new=asdict(done))
        rejects.secure()
    return done


def _stage(connection: Connection, source: ClientFile, rejects: Rejects, progress: Progress) -> int:
    staged = 0
    with (
        connection.cursor() as cursor,
        cursor.copy(database.statement("client_import_copy")) as copy,
    ):
        for block in _blocks(source.rows(), rejects):
            copy.write("".join(block))
            staged += len(block)
            progress("reading", source.position)
    return staged


def _blocks(rows: Iterator[Row | Reject], rejects: Rejects) -> Iterator[list[str]]:
    """The rows as lines of COPY text, joined by the thousand: far faster than row by row."""
    block: list[str] = []
    for row in rows:
        if isinstance(row, Reject):
            rejects.add(row)
            continue
        line, phone, code, tag, zone = row
        tag = _NULL if tag is None else tag.translate(_ESCAPES)
        block.append(f"{line}\t{phone}\t{code or _NULL}\t{tag}\t{zone or _NULL}\n")
        if len(block) == BLOCK:
            yield block
            block = []
    if block:
        yield block


def _reject_zoneless(connection: Connection, source: ClientFile, rejects: Rejects) -> int:
    found = 0
    for row in _streamed(connection, "client_import_zoneless", _Zoneless):
        reason = "a new client needs one; give it, or --timezone for all rows without one"
        rejects.add(Reject(row.line, "timezone", reason, _cells(source, row)))
        found += 1
    if found:
        database.execute(connection, "client_import_drop_zoneless")
    return found


def _reject_repeats(connection: Connection, source: ClientFile, rejects: Rejects) -> int:
    found = 0
    for row in _streamed(connection, "client_import_repeats", _Repeat):
        reason = f"line {row.kept_line} has this number already, with other values; that one counts"
        rejects.add(Reject(row.line, "phone", reason, _cells(source, row)))
        found += 1
    return found


def _cells(source: ClientFile, row: _Repeat | _Zoneless) -> list[str]:
    """The cells of a row that was read well: as they were understood, in the order of the file."""
    header = source.header
    cells = ["" for _ in header.columns]
    cells[header.phone] = row.phone
    for place, value in (
        (header.operator_code, row.operator_code),
        (header.tag, row.tag),
        (header.timezone, row.timezone),
    ):
        if place is not None and value is not None:
            cells[place] = value
    return cells


def _update(connection: Connection, source: ClientFile) -> _Changed:
    changed = database.fetch_one(
        connection,
        "client_import_update",
        _Changed,
        operator_given=source.header.operator_code is not None,
        tag_given=source.header.tag is not None,
    )
    assert changed is not None  # noqa: S101 - an aggregate has a row
    return changed


def _streamed(connection: Connection, name: str, kind: type[T]) -> Iterator[T]:
    from psycopg.rows import class_row

    with connection.cursor(name, row_factory=class_row(kind)) as cursor:
        yield from cursor.execute(database.statement(name))
