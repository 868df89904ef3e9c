"""`mailer message`: what has become of single messages."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailer_cli.cli import columns, completion, output
from mailer_cli.cli.output import Format, OutputOption
from mailer_cli.ids import MAX_MAILING_ID
from mailer_cli.statuses import Status

if TYPE_CHECKING:
    from mailer_cli.database import Connection
    from mailer_cli.messages import Detail, Failure, Message

app = typer.Typer(help="Messages: what has become of each.", no_args_is_help=True)

KEYS = (
    *("id", "mailing_id", "client_id", "phone", "status", "attempts"),
    *("created_at", "sent_at", "retry_at", "http_status", "error"),
)
_CLIENT = ("operator_code", "tag", "timezone", "muted_at", "removed_at")
_WINDOW = ("opens_at", "closes_at", "sendable_from", "sendable_until")
_FAILURE = ("attempted_at", "attempt", "status", "http_status", "error", "run_id")
_NUMBERS = ("id", "mailing_id", "client_id", "attempts", "attempt", "http_status", "run_id")
_ON_A_TERMINAL = 50
_LONG_FOR_A_TABLE = 100_000
_LARGEST_ID = 2**63 - 1

MailingOption = Annotated[
    int | None,
    typer.Option(
        "--mailing", min=1, max=MAX_MAILING_ID, autocompletion=completion.mailings, help="Of one mailing."
    ),
]
ClientOption = Annotated[
    str | None, typer.Option("--client", metavar="PHONE|ID", help="To one client, by phone or id.")
]
StatusOption = Annotated[list[Status] | None, typer.Option("--status", help="With this status; repeatable.")]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="At most so many; 50 on a terminal, else all.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All of them, on a terminal too.")]
MessageArgument = Annotated[int, typer.Argument(min=1, max=_LARGEST_ID, help="The message's id.")]


class Resolution(StrEnum):
    """What may have become of a message in doubt."""

    SENT = "sent"
    FAILED = "failed"


@app.command("list")
def list_messages(
    mailing: MailingOption = None,
    client: ClientOption = None,
    status: StatusOption = None,
    limit: LimitOption = None,
    everything: AllOption = False,
    form: OutputOption = Format.TABLE,
) -> None:
    """List messages, the newest mailing's first.

    json, jsonl and csv are written as they are read, whatever the number.
    """
    from mailer_cli import messages, reports
    from mailer_cli.cli import wiring

    default = _default_limit(limit, everything=everything)
    limit = limit or default
    statuses = status or []
    with wiring.connected() as connection, reports.snapshot(connection):
        client_id = None if client is None else messages.find_client(connection, client)
        places = messages.places(connection, mailing_id=mailing, client_id=client_id, statuses=statuses)
        if client_id is None:
            found: Iterable[Message] = messages.listed(connection, places, statuses, limit=limit)
            total = sum(place.messages for place in places)
        else:
            of_client = messages.listed_for_client(connection, places, client_id, statuses)
            found, total = of_client[:limit], len(of_client)
        _show(found, form, min(total, limit or total))
        gone = _purged(connection, mailing, client_id)
    if gone:
        output.say(gone)
    if default is not None and total > default:
        output.say(f"{default} of {total} messages; --all shows all of them")


@app.command()
def show(message: MessageArgument, form: OutputOption = Format.TABLE) -> None:
    """Show one message: its mailing, client and window, and the requests that failed."""
    from mailer_cli import messages, reports
    from mailer_cli.cli import wiring

    with wiring.connected() as connection, reports.snapshot(connection):
        detail, failures = messages.shown(connection, message)
    if form is Format.TABLE:
        _show_sheet(detail, failures)
    else:
        output.item(_nested(detail, failures), form)


@app.command()
def resolve(
    message: MessageArgument,
    outcome: Annotated[Resolution, typer.Option("--as", help="What has become of it.")],
) -> None:
    """Settle a message in doubt, by what you found out about it."""
    from mailer_cli import decisions
    from mailer_cli.cli import wiring

    with wiring.connected() as connection:
        decisions.resolve(connection, wiring.actor(), message, Status(outcome.value))
    output.say(f"message {message} is {outcome.value} now")


def _purged(connection: Connection, mailing: int | None, client_id: int | None) -> str | None:
    """Say what is not in the list because it was purged; of all messages together, the reports say it."""
    from mailer_cli import purged

    if mailing is not None:
        since = purged.since(connection, mailing)
        return purged.told(mailing, since) if since else None
    number = 0 if client_id is None else purged.number(connection, client_id)
    if not number:
        return None
    mailings = "1 mailing was" if number == 1 else f"{number} mailings were"
    return f"{mailings} purged, and messages of theirs are not listed; `mailer report` has the sums"


def _default_limit(limit: int | None, *, everything: bool) -> int | None:
    if everything and limit is not None:
        raise typer.BadParameter("--all and --limit contradict each other; give one of them")
    return _ON_A_TERMINAL if limit is None and not everything and sys.stdout.isatty() else None


def _show(found: Iterable[Message], form: Format, number: int) -> None:
    rows: Iterable[dict[str, Any]] = map(_row, found)
    shown: Sequence[str] = KEYS
    if form is Format.TABLE:
        if number > _LONG_FOR_A_TABLE:
            output.say(
                f"a table of {number} messages takes a while; -o csv or -o jsonl is written as it is read"
            )
        if sys.stdout.isatty():
            shown, rows = _narrow(list(rows))
    output.rows(
        shown, rows, form, empty="no such messages; `mailer report` shows what there is", right=_NUMBERS
    )


def _narrow(rows: list[dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    """Keep what a terminal has room for; what is empty in all rows is left out."""
    cells = [{k: columns.minute(v) if isinstance(v, datetime) else v for k, v in row.items()} for row in rows]
    give_up = ("created_at", "client_id", "attempts", "mailing_id", "http_status", "sent_at", "retry_at")
    width = output.console().width
    return columns.fit(columns.filled(KEYS, cells), cells, width, give_up=give_up, elastic="error")


def _row(message: Message) -> dict[str, Any]:
    return {key: getattr(message, key) for key in KEYS}


def _show_sheet(detail: Detail, failures: Sequence[Failure]) -> None:
    output.item({key: value for key, value in asdict(detail).items() if value is not None}, Format.TABLE)
    if failures:
        output.line("\nrequests that failed")
        output.rows(_FAILURE, [asdict(failure) for failure in failures], Format.TABLE, right=_NUMBERS)


def _nested(detail: Detail, failures: Sequence[Failure]) -> dict[str, Any]:
    """Tell apart what belongs to the message and what to its mailing, client and window."""
    values = asdict(detail)
    return {
        **{key: values[key] for key in (*KEYS, "run_id", "host")},
        "text": values["text"],
        "mailing": {"id": detail.mailing_id, "state": detail.mailing_state},
        "client": {"id": detail.client_id, "phone": detail.client_phone, **_of(values, _CLIENT)},
        "window": {"zone": detail.timezone, **_of(values, _WINDOW), "state": detail.window_state},
        "failures": [asdict(failure) for failure in failures],
    }


def _of(values: dict[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    return {key: values[key] for key in keys}
