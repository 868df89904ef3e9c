"""`mailer client`: the people who may be written to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from mailer_cli.cli import output
from mailer_cli.cli.output import Format, OutputOption
from mailer_cli.errors import ConfigurationError, ExitCode, InvalidValueError

if TYPE_CHECKING:
    from mailer_cli.client_import import Imported
    from mailer_cli.tables import Client

app = typer.Typer(help="Clients: the people who may be written to.", no_args_is_help=True)

KEYS = ("id", "phone", "operator_code", "tag", "timezone", "muted_at", "mute_reason", "created_at")
_ON_A_TERMINAL = 50

PhoneArgument = Annotated[str, typer.Argument(metavar="PHONE", help="The phone, as people write it.")]
ClientArgument = Annotated[str, typer.Argument(metavar="PHONE|ID", help="The client's phone or id.")]
ZoneOption = Annotated[str | None, typer.Option("--timezone", help="Time zone, such as Europe/Moscow.")]
TagOption = Annotated[str | None, typer.Option("--tag", help="A free label; '' for none.")]
CodeOption = Annotated[
    str | None,
    typer.Option("--operator-code", help="Three digits, if not those after the 7 (a ported number)."),
]
OperatorsOption = Annotated[
    list[str] | None, typer.Option("--operator", help="With this operator code; repeatable, any of them.")
]
TagsOption = Annotated[
    list[str] | None, typer.Option("--tag", help="With this tag; repeatable, any of them.")
]
ZonesOption = Annotated[
    list[str] | None, typer.Option("--timezone", help="In this time zone; repeatable, any of them.")
]


@app.command()
def add(
    phone: PhoneArgument,
    timezone: ZoneOption = None,
    tag: TagOption = None,
    operator_code: CodeOption = None,
    form: OutputOption = Format.TABLE,
) -> None:
    """Add a client."""
    from mailer_cli import clients, localtime, phones, settings
    from mailer_cli.cli import wiring

    configured = settings.load()
    number = phones.normalise(phone)
    zone = timezone or configured.mailer_default_timezone
    if zone is None:
        raise InvalidValueError("timezone", "it is missing; add --timezone, or set MAILER_DEFAULT_TIMEZONE")
    canonical = localtime.canonical_zone(zone)
    code = phones.check_operator_code(operator_code) if operator_code else None
    with wiring.working(configured) as (session, connection):
        client, restored = clients.add(
            session, connection, wiring.actor(), phone=number, timezone=canonical, tag=tag, operator_code=code
        )
        row = _row(client)
    _say_normalised(phone, number)
    output.item(row, form)
    verb = "was removed once and is back" if restored else "was added"
    output.say(f"client {row['id']} {verb}; next: `mailer mailing create`, or `mailer client list`")


@app.command("list")
def list_clients(
    operator: OperatorsOption = None,
    tag: TagsOption = None,
    timezone: ZonesOption = None,
    muted: Annotated[bool, typer.Option("--muted", help="Only those who are muted.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many; 50 on a terminal, else all.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them, on a terminal too.")] = False,
    form: OutputOption = Format.TABLE,
) -> None:
    """List clients in the order of their ids."""
    from mailer_cli import clients
    from mailer_cli.cli import wiring

    if everything and limit is not None:
        raise typer.BadParameter("--all and --limit contradict each other; give one of them")
    cut = _ON_A_TERMINAL if limit is None and not everything and sys.stdout.isatty() else None
    wanted = clients.Filter(operator or (), tag or (), timezone or (), muted=True if muted else None)
    with wiring.connected() as connection:
        with connection.transaction():
            found = clients.listed(connection, wanted, limit or cut)
            output.rows(
                KEYS, found, form, empty="no such clients; add one with `mailer client add`", right=("id",)
            )
        if cut is not None and (total := clients.count(connection, wanted)) > cut:
            output.say(f"{cut} of {total} clients; --all shows all of them")


@app.command()
def show(client: ClientArgument, form: OutputOption = Format.TABLE) -> None:
    """Show one client."""
    from mailer_cli import clients
    from mailer_cli.cli import wiring

    with wiring.working() as (session, _):
        output.item(_row(clients.find(session, client)), form)


@app.command()
def update(
    client: ClientArgument,
    phone: Annotated[str | None, typer.Option("--phone", help="The new phone.")] = None,
    timezone: ZoneOption = None,
    tag: TagOption = None,
    operator_code: CodeOption = None,
    form: OutputOption = Format.TABLE,
) -> None:
    """Change a client; it takes effect for every message that is not claimed yet."""
    from mailer_cli import clients, localtime, phones
    from mailer_cli.cli import wiring

    changes: dict[str, Any] = {}
    if phone is not None:
        changes["phone"] = phones.normalise(phone)
        changes["operator_code"] = phones.operator_code(changes["phone"])
    if timezone is not None:
        changes["timezone"] = localtime.canonical_zone(timezone)
    if tag is not None:
        changes["tag"] = tag
    if operator_code is not None:
        changes["operator_code"] = phones.check_operator_code(operator_code)
    if not changes:
        raise typer.BadParameter("nothing to change; give --phone, --timezone, --tag or --operator-code")
    with wiring.working() as (session, connection):
        found = clients.find(session, client)
        changed = clients.update(session, connection, wiring.actor(), found, changes)
        row = _row(found)
    if phone is not None:
        _say_normalised(phone, row["phone"])
    output.item(row, form)
    output.say(f"client {row['id']} {'was changed' if changed else 'was so already'}")


@app.command()
def mute(
    client: ClientArgument,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the record.")] = None,
) -> None:
    """Send a client nothing until unmuted."""
    from mailer_cli import clients
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        found = clients.find(session, client)
        done = clients.mute(session, connection, wiring.actor(), found, reason)
        state = "is muted" if done else "was muted already"
        output.say(f"client {found.id} {state}; undo: `mailer client unmute {found.id}`")


@app.command()
def unmute(client: ClientArgument) -> None:
    """Let messages go to a client again."""
    from mailer_cli import clients
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        found = clients.find(session, client)
        done = clients.unmute(session, connection, wiring.actor(), found)
        output.say(f"client {found.id} {'is no longer muted' if done else 'was not muted'}")


@app.command()
def remove(
    client: ClientArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show who would be removed, and stop.")] = False,
) -> None:
    """Remove a client: nothing more is sent to them. What was sent stays on record."""
    from mailer_cli import clients
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        found = clients.find(session, client)
        if dry_run:
            output.say(f"client {found.id}, {found.phone}, would be removed")
            return
        output.confirm(f"Remove client {found.id}, {found.phone}?", yes=yes)
        done = clients.remove(session, connection, wiring.actor(), found)
        state = "is removed; adding the phone again restores it" if done else "was removed already"
        output.say(f"client {found.id} {state}")


@app.command()
def count(
    operator: OperatorsOption = None,
    tag: TagsOption = None,
    timezone: ZonesOption = None,
    muted: Annotated[bool, typer.Option("--muted", help="Count those who are muted instead.")] = False,
    form: OutputOption = Format.TABLE,
) -> None:
    """Count the clients a filter matches, as a mailing would: muted and removed ones are not in it."""
    from mailer_cli import clients
    from mailer_cli.cli import wiring

    wanted = clients.Filter(operator or (), tag or (), timezone or (), muted=muted)
    with wiring.connected() as connection:
        output.item({"clients": clients.count(connection, wanted)}, form)


@app.command("import")
def import_file(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A CSV file with a header; - is stdin.")],
    timezone: Annotated[
        str | None, typer.Option("--timezone", help="For rows without one (MAILER_DEFAULT_TIMEZONE).")
    ] = None,
    rejects: Annotated[
        Path | None, typer.Option("--rejects", help="Where rows that cannot be used go (FILE.rejects.csv).")
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="utf-8 or cp1251, if it is mistaken.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="What separates columns, if it is mistaken.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")
    ] = False,
    form: OutputOption = Format.TABLE,
) -> None:
    """Add and change many clients from a CSV file, in one transaction.

    Columns: phone, and perhaps timezone, tag, operator_code. Known phones take over what the file gives.
    Rows that cannot be used go to the rejects file with the reason, and make the exit code 1.
    """
    from mailer_cli import localtime, settings
    from mailer_cli.cli import wiring
    from mailer_cli.client_file import ClientFile
    from mailer_cli.client_import import Rejects, import_clients

    configured = settings.load()
    zone = timezone or configured.mailer_default_timezone
    default = localtime.canonical_zone(zone) if zone else None
    place = rejects or (Path("clients.rejects.csv") if file == "-" else Path(f"{file}.rejects.csv"))
    with (
        _opened(file) as (source, size),
        wiring.connected(configured) as connection,
        output.progress("importing", size) as bar,
    ):
        clients = ClientFile(source, encoding=encoding, delimiter=_tab(delimiter), default_timezone=default)
        show = None if bar is None else (lambda _: bar.update(bar.task_ids[0], completed=_position(source)))
        with Rejects(place, clients.header.columns) as kept:
            done = import_clients(connection, wiring.actor(), clients, kept, dry_run=dry_run, progress=show)
    _tell_imported(done, place, form, dry_run=dry_run)


def _tell_imported(done: Imported, place: Path, form: Format, *, dry_run: bool) -> None:
    from dataclasses import asdict

    output.item(asdict(done), form)
    if dry_run:
        output.say("nothing was changed: this was a dry run")
    if done.rejected:
        output.say(f"{done.rejected} rows were rejected; mend them in {place} and import that file")
        raise typer.Exit(ExitCode.REFUSED)


@contextmanager
def _opened(file: str) -> Iterator[tuple[IO[bytes], int | None]]:
    if file == "-":
        if sys.stdin.isatty():
            output.say("reading from the terminal; end with Ctrl-D")
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as source:
            yield source, None
        return
    try:
        with Path(file).open("rb", buffering=0) as source:
            yield source, Path(file).stat().st_size
    except OSError as error:
        if error.filename != file:
            raise
        raise ConfigurationError(f"{file}: {error.strerror}") from None


def _position(source: IO[bytes]) -> int:
    try:
        return source.tell()
    except OSError:
        return 0


def _tab(delimiter: str | None) -> str | None:
    if delimiter is None:
        return None
    delimiter = {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise InvalidValueError("delimiter", f"{delimiter!r} is not one character; use , ; or tab")
    return delimiter


def _row(client: Client) -> dict[str, Any]:
    return {key: getattr(client, key) for key in (*KEYS, "removed_at")}


def _say_normalised(given: str, phone: str) -> None:
    if given != phone:
        output.say(f"phone {given} is taken as {phone}")
