"""`mailer client import`: many clients from a file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from mailer_cli.cli import output
from mailer_cli.cli.output import Format, OutputOption
from mailer_cli.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from mailer_cli.client_import import Imported


def import_file(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A CSV file with a header; - is stdin.")],
    timezone: Annotated[
        str | None,
        typer.Option("--timezone", help="For new clients without one (MAILER_DEFAULT_TIMEZONE)."),
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help="Where rows that cannot be used go (FILE.rejects.csv).")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="utf-8 or cp1251, if it is mistaken.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="What separates columns, if it is mistaken.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and write the rejects; change nothing.")
    ] = False,
    form: OutputOption = Format.TABLE,
) -> None:
    """Add and change many clients from a CSV file, in one transaction.

    Columns: phone, and perhaps timezone, tag, operator_code. Known phones take over what the file gives.
    Rows that cannot be used go to the rejects file with the reason, and make the exit code 1.
    An apostrophe before =, +, - or @ is a spreadsheet's mark for text, and is taken off.
    """
    from mailer_cli import localtime, settings
    from mailer_cli.cli import wiring
    from mailer_cli.client_file import ClientFile
    from mailer_cli.client_import import Rejects, import_clients, rejects_place

    configured = settings.load()
    zone = configured.mailer_default_timezone if timezone is None else timezone
    default = None if zone is None else localtime.canonical_zone(zone)
    place = rejects_place(file, rejects)
    with _opened(file) as (stream, size), _progress(size) as progress:
        source = ClientFile(stream, encoding=encoding, delimiter=delimiter)
        if source.encoding == "cp1251" and encoding is None:
            output.say("the file is read as cp1251; if that is wrong, give --encoding")
        with wiring.connected(configured) as connection, Rejects(place, source) as kept:
            done = import_clients(
                connection,
                wiring.actor(),
                source,
                kept,
                default_timezone=default,
                dry_run=dry_run,
                progress=progress,
            )
    _tell(done, place, form, dry_run=dry_run)


def _tell(done: Imported, place: Path, form: Format, *, dry_run: bool) -> None:
    output.item(asdict(done), form)
    if dry_run:
        output.say("nothing was changed: this was a dry run")
    if done.rejected:
        rows, them = ("1 row was", "it") if done.rejected == 1 else (f"{done.rejected} rows were", "them")
        output.say(f"{rows} rejected; mend {them} in {place} and import that file")
        raise typer.Exit(ExitCode.REFUSED)
    if not dry_run:
        output.say("next: `mailer client count`, or `mailer mailing create`")


@contextmanager
def _opened(file: str) -> Iterator[tuple[IO[bytes], int | None]]:
    if file == "-":
        if sys.stdin.isatty():
            output.say("reading from the terminal; end with Ctrl-D")
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as source:
            yield source, None
        return
    try:
        stream = open(file, "rb", buffering=0)  # noqa: PTH123, SIM115 - a name such as ./- stays as typed
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None
    with stream:
        yield stream, Path(file).stat().st_size or None


@contextmanager
def _progress(size: int | None) -> Iterator[Callable[[str, int], None]]:
    with output.progress("reading", size) as bar:

        def show(doing: str, position: int) -> None:
            if bar is not None:
                bar.update(bar.task_ids[0], description=doing, completed=position)

        yield show
