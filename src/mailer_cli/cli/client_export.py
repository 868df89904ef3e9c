"""`mailer client export`: the clients as a file that `client import` reads."""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from mailer_cli.cli import client_options, output
from mailer_cli.cli.client_options import OperatorsOption, TagsOption, ZonesOption
from mailer_cli.errors import ConfigurationError, ConflictError

if TYPE_CHECKING:
    from rich.progress import Progress

    from mailer_cli.clients import Filter
    from mailer_cli.database import Connection

_STDOUT = "-"
_STEP = 1_000  # rows from one move of the bar to the next


class FileFormat(StrEnum):
    """How clients are written to a file."""

    CSV = "csv"
    JSONL = "jsonl"


@dataclass(slots=True)
class _Count:
    """Who has been written so far."""

    clients: int = 0
    muted: int = 0


def export_file(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="Where to; - is stdout.")] = _STDOUT,
    operator: OperatorsOption = None,
    tag: TagsOption = None,
    timezone: ZonesOption = None,
    muted: Annotated[bool, typer.Option("--muted", help="Only those who are muted.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    form: Annotated[
        FileFormat, typer.Option("--output", "-o", help="csv, which import reads, or jsonl.")
    ] = FileFormat.CSV,
) -> None:
    """Write clients to a file that `mailer client import` reads, in the order of their phones.

    Columns: phone, timezone, tag, operator_code. Removed clients are left out, muted ones are not; but muting
    is not in the file: an import leaves it as it is here, and knows nothing of it in another database.

    In CSV, what a spreadsheet would take for a formula has an apostrophe in front; import takes it off.
    """
    from mailer_cli.cli import wiring

    wanted = client_options.wanted(operator, tag, timezone, muted=True if muted else None)
    target = None if file == _STDOUT else _free_place(file, force=force)
    with wiring.connected() as connection, connection.transaction():
        if target is None:
            done = _write(connection, wanted, _stdout(), form)
        else:
            with _replacing(target, file, force=force) as stream:
                done = _write(connection, wanted, stream, form)
    _tell(done, file, form)


def _stdout() -> TextIO:
    """Where a pipe or a file takes them: in UTF-8, which import expects, whatever the locale."""
    if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
        sys.stdout.reconfigure(encoding="utf-8")
    return sys.stdout


def _write(connection: Connection, wanted: Filter, stream: TextIO, form: FileFormat) -> _Count:
    from mailer_cli import client_export

    done = _Count()
    with _progress(connection, wanted, stream) as bar:
        rows = _counted(client_export.exported(connection, wanted), done, bar)
        output.records(client_export.COLUMNS, rows, output.Format(form), stream)
    return done


def _counted(
    rows: Iterable[Mapping[str, Any]], done: _Count, bar: Progress | None
) -> Iterator[Mapping[str, Any]]:
    for row in rows:
        yield row
        done.clients += 1
        done.muted += row["muted"]
        if bar is not None and done.clients % _STEP == 0:
            bar.update(bar.task_ids[0], completed=done.clients)


@contextmanager
def _progress(connection: Connection, wanted: Filter, stream: TextIO) -> Iterator[Progress | None]:
    """A bar, unless the rows themselves are on the terminal."""
    from mailer_cli import clients

    if stream.isatty() or not sys.stderr.isatty():
        yield None
        return
    with output.progress("exporting", clients.count(connection, wanted)) as bar:
        yield bar


def _tell(done: _Count, file: str, form: FileFormat) -> None:
    number = "1 client" if done.clients == 1 else f"{done.clients} clients"
    place = "" if file == _STDOUT else f" to {file}"
    output.say(f"{number} exported{place}{'' if done.clients else '; see `mailer client count`'}")
    if done.muted:
        them = "1 of them is muted" if done.muted == 1 else f"{done.muted} of them are muted"
        output.say(f"{them}, which the file does not tell: mute them again where it is new")
    if done.clients and place and form is FileFormat.CSV:
        output.say(f"next: `mailer client import {shlex.quote(file)}`, here or with another database")


def _free_place(file: str, *, force: bool) -> Path:
    """Return where the file is to be, a link followed; refuse what must not be replaced."""
    with _told(file):
        path = Path(os.path.realpath(file))
        if path.is_dir():
            raise ConflictError(f"{file} is a directory; name a file in it")
        if path.exists() and not path.is_file():
            raise ConflictError(f"{file} is no regular file; `mailer client export -` writes to stdout")
        if path.exists() and not force:
            raise ConflictError(f"{file} is there already; name another, or replace it with --force")
        if not path.parent.is_dir():
            raise ConfigurationError(f"{path.parent} is no directory; make it, or name another")
    return path


@contextmanager
def _replacing(path: Path, file: str, *, force: bool) -> Iterator[TextIO]:
    """Give a file to write to, its owner's only, which takes its place once it is whole and on disk."""
    import tempfile

    with _told(file):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
                yield stream
                stream.flush()
                os.fsync(handle)
            _free_place(file, force=force)  # somebody may have made it meanwhile
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


@contextmanager
def _told(file: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error.strerror}") from None
