"""`mailer client`: the people who may be written to."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailer_cli.cli import client_export, client_import, client_options, completion, output
from mailer_cli.cli.client_options import OperatorsOption, TagsOption, ZonesOption
from mailer_cli.cli.output import Format, OutputOption
from mailer_cli.errors import InvalidValueError

if TYPE_CHECKING:
    from mailer_cli.tables import Client

app = typer.Typer(help="Clients: the people who may be written to.", no_args_is_help=True)

KEYS = ("id", "phone", "operator_code", "tag", "timezone", "muted_at", "mute_reason", "created_at")
_ON_A_TERMINAL = 50
_PAGE = 5_000  # rows of a table laid out at once

PhoneArgument = Annotated[str, typer.Argument(metavar="PHONE", help="The phone, as people write it.")]
ClientArgument = Annotated[str, typer.Argument(metavar="PHONE|ID", help="The client's phone or id.")]
ZoneOption = Annotated[
    str | None,
    typer.Option("--timezone", autocompletion=completion.zones, help="Time zone, such as Europe/Moscow."),
]
TagOption = Annotated[
    str | None, typer.Option("--tag", autocompletion=completion.tags, help="A free label; '' for none.")
]
CodeOption = Annotated[
    str | None,
    typer.Option("--operator-code", help="Three digits, if not those after the 7 (a ported number)."),
]


@app.command()
def add(
    phone: PhoneArgument,
    timezone: ZoneOption = None,
    tag: TagOption = None,
    operator_code: CodeOption = None,
    form: OutputOption = Format.TABLE,
) -> None:
    """Add a client; one who was removed comes back under the old id."""
    from mailer_cli import clients, localtime, phones, settings
    from mailer_cli.cli import wiring

    configured = settings.load()
    number = phones.normalise(phone)
    zone = configured.mailer_default_timezone if timezone is None else timezone
    if zone is None:
        raise InvalidValueError("timezone", "it is missing; add --timezone, or set MAILER_DEFAULT_TIMEZONE")
    canonical = localtime.canonical_zone(zone)
    code = phones.check_operator_code(operator_code) if operator_code else None
    with wiring.working(configured) as (session, connection):
        client, restored = clients.add(
            session, connection, wiring.actor(), phone=number, timezone=canonical, tag=tag, operator_code=code
        )
    done = "was removed once and is back" if restored else "was added"
    muted = f", still muted: `mailer client unmute {client.id}`" if client.muted_at else ""
    _show(client, form, given=phone)
    output.say(f"client {client.id} {done}{muted}; next: `mailer mailing create`, or `mailer client list`")


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
    cut = limit or (None if everything or not sys.stdout.isatty() else _ON_A_TERMINAL)
    wanted = client_options.wanted(operator, tag, timezone, muted=True if muted else None)
    with wiring.connected() as connection, connection.transaction():
        found = clients.listed(connection, wanted, cut and cut + 1)
        for page in _pages(islice(found, cut), form):
            output.rows(
                KEYS, page, form, empty="no such clients; add one with `mailer client add`", right=("id",)
            )
        if next(found, None) is not None:
            output.say(
                f"the first {cut}; there are more: --all shows them, `mailer client count` counts them"
            )


@app.command()
def show(client: ClientArgument, form: OutputOption = Format.TABLE) -> None:
    """Show one client, removed ones too."""
    from mailer_cli import clients
    from mailer_cli.cli import wiring

    with wiring.working() as (session, _):
        found = clients.find(session, client, lock=False)
    _show(found, form)


@app.command()
def update(
    client: ClientArgument,
    phone: Annotated[str | None, typer.Option("--phone", help="The new phone, and its code.")] = None,
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
    _show(found, form, given=phone)
    output.say(f"client {found.id} {'was changed' if changed else 'was so already'}")


@app.command()
def mute(
    client: ClientArgument,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the record.")] = None,
    form: OutputOption = Format.TABLE,
) -> None:
    """Send a client nothing until unmuted."""
    from mailer_cli import clients
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        found = clients.find(session, client)
        done = clients.mute(session, connection, wiring.actor(), found, reason)
    _show(found, form)
    state = "is muted" if done else "was muted already, nothing was changed"
    output.say(f"client {found.id} {state}; undo: `mailer client unmute {found.id}`")


@app.command()
def unmute(client: ClientArgument, form: OutputOption = Format.TABLE) -> None:
    """Let messages go to a client again."""
    from mailer_cli import clients
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        found = clients.find(session, client)
        done = clients.unmute(session, connection, wiring.actor(), found)
    _show(found, form)
    output.say(f"client {found.id} {'is no longer muted' if done else 'was not muted'}")


@app.command()
def remove(
    client: ClientArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show who would be removed, and stop.")] = False,
    form: OutputOption = Format.TABLE,
) -> None:
    """Remove a client: nothing more is sent to them. What was sent stays on record."""
    from mailer_cli import clients
    from mailer_cli.cli import wiring

    with wiring.working() as (session, _):
        found = clients.find(session, client, lock=False)
    if dry_run:
        _show(found, form)
        state = "was removed already" if found.removed_at else "would be removed"
        output.say(f"client {found.id} {state}; nothing was done: this was a dry run")
        return
    if found.removed_at is None:
        output.confirm(f"Remove client {found.id}, {found.phone}?", yes=yes)
    with wiring.working() as (session, connection):
        found = clients.find(session, str(found.id))
        done = clients.remove(session, connection, wiring.actor(), found)
    _show(found, form)
    state = "is removed; adding the phone again brings them back" if done else "was removed already"
    output.say(f"client {found.id} {state}")


@app.command()
def erase(
    client: ClientArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be erased, and stop.")] = False,
    form: OutputOption = Format.TABLE,
) -> None:
    """Forget who a client is, for good: phone, tag and reasons go from everywhere, numbers stay.

    The client is removed. Operator code and time zone stay, for reports by them. There is no way back.
    """
    from mailer_cli import erasing, messages
    from mailer_cli.cli import wiring

    with wiring.connected() as connection:
        client_id = messages.find_client(connection, client.strip())
        found = erasing.erase(connection, wiring.actor(), client_id, dry_run=dry_run or not yes)
        if found is not None and not dry_run and not yes:
            what = f"client {client_id}, and the phone in {found.messages} messages"
            output.confirm(f"Erase {what}? There is no way back.", yes=yes)
            found = erasing.erase(connection, wiring.actor(), client_id)
    if found is None:
        output.say(f"client {client_id} was erased already")
        return
    output.item(asdict(found), form)
    if dry_run:
        output.say(f"client {client_id} would be erased; nothing was done: this was a dry run")
    else:
        output.say(f"client {client_id} is erased; adding the phone again makes a new client")


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

    wanted = client_options.wanted(operator, tag, timezone, muted=muted)
    with wiring.connected() as connection:
        number = clients.count(connection, wanted)
    output.item({"clients": number}, form)


app.command("import")(client_import.import_file)
app.command("export")(client_export.export_file)


def _pages(found: Iterable[dict[str, Any]], form: Format) -> Iterator[Iterable[dict[str, Any]]]:
    """All rows at once where they are written as they come; a table page by page, to be of any length."""
    if form is not Format.TABLE:
        yield found
        return
    rows = iter(found)
    yield list(islice(rows, _PAGE))
    for first in rows:
        yield chain([first], islice(rows, _PAGE - 1))


def _show(client: Client, form: Format, *, given: str | None = None) -> None:
    """Write one client; tell it where a phone was given in another spelling."""
    if given is not None and given != client.phone:
        output.say(f"phone {given} is taken as {client.phone}")
    output.item({key: getattr(client, key) for key in (*KEYS, "removed_at")}, form)
