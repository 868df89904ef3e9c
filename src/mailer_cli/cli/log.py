"""`mailer log`: what has happened, and who has changed what."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailer_cli.aspects import Kind
from mailer_cli.cli import output, spans
from mailer_cli.cli.output import Format, OutputOption
from mailer_cli.ids import MAX_MAILING_ID

if TYPE_CHECKING:
    from mailer_cli.database import Connection
    from mailer_cli.history import Conceal, Entry, Wanted

KEYS = ("time", "kind", "actor", "mailing", "message", "client", "run", "text", "details")
POLL_SECONDS = 1.0
_ON_A_TERMINAL = 100
_BEFORE_FOLLOWING = 10
_LARGEST_ID = 2**63 - 1
_JWT = r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"

MailingOption = Annotated[
    int | None, typer.Option("--mailing", min=1, max=MAX_MAILING_ID, help="What concerns one mailing.")
]
MessageOption = Annotated[
    int | None,
    typer.Option("--message", min=1, max=_LARGEST_ID, help="One message, its mailing and its client."),
]
ClientOption = Annotated[
    str | None, typer.Option("--client", metavar="PHONE|ID", help="What concerns one client.")
]
RunOption = Annotated[
    int | None, typer.Option("--run", min=1, max=_LARGEST_ID, help="One run of `mailer dispatch`.")
]
KindOption = Annotated[
    list[Kind] | None,
    typer.Option("--kind", metavar="KIND", help=f"Only {', '.join(Kind)}; repeatable."),
]
SinceOption = Annotated[
    str | None, typer.Option("--since", metavar="TIME", help="From 2h, 7d ago, or 2026-11-23T10:00Z, on.")
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="The newest so many; 100 on a terminal, else all.")
]


def log(
    mailing: MailingOption = None,
    message: MessageOption = None,
    client: ClientOption = None,
    run: RunOption = None,
    kind: KindOption = None,
    since: SinceOption = None,
    limit: LimitOption = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with what happens, until Ctrl-C.")
    ] = False,
    idle: Annotated[bool, typer.Option("--idle", help="Also runs that had nothing to do.")] = False,
    show_phones: Annotated[bool, typer.Option("--show-phones", help="Show phones in full.")] = False,
    form: OutputOption = Format.TABLE,
) -> None:
    """Show what has happened, the newest last: runs, requests that failed, and who has changed what.

    Of one client or message also what was sent. Phones are masked.
    """
    from mailer_cli.cli import wiring

    if sum(each is not None for each in (mailing, message, client, run)) > 1:
        raise typer.BadParameter("give only one of --mailing, --message, --client and --run")
    if follow and form is Format.JSON:
        raise typer.BadParameter("a log that is followed has no end, and an array must: use -o jsonl")
    conceal = _concealer(show_phones=show_phones)
    with wiring.connected() as connection:
        wanted = _wanted(connection, mailing, message, client, run, kinds=kind, idle=idle)
        start = _start(connection, since)
        if follow:
            # To be interrupted is how it ends, so it is no failure.
            with suppress(KeyboardInterrupt):
                _write(_followed(connection, wanted, start, limit, conceal), form)
        else:
            _show(connection, wanted, start, limit, conceal, form)


def _wanted(
    connection: Connection,
    mailing: int | None,
    message: int | None,
    client: str | None,
    run: int | None,
    *,
    kinds: list[Kind] | None,
    idle: bool,
) -> Wanted:
    from dataclasses import replace

    from mailer_cli import history, messages

    wanted = history.Wanted()
    if mailing is not None:
        wanted = history.of_mailing(connection, mailing)
    elif message is not None:
        wanted = history.of_message(connection, message)
    elif client is not None:
        wanted = history.Wanted(client_id=messages.find_client(connection, client))
    elif run is not None:
        wanted = history.of_run(connection, run)
    return replace(wanted, kinds=frozenset(kinds or Kind), idle=idle or wanted.idle)


def _start(connection: Connection, since: str | None) -> datetime | None:
    from mailer_cli import database

    return None if since is None else spans.since(since, database.fetch_value(connection, "now"))


def _show(
    connection: Connection,
    wanted: Wanted,
    start: datetime | None,
    limit: int | None,
    conceal: Conceal,
    form: Format,
) -> None:
    from mailer_cli import history, reports

    limit = limit or (_ON_A_TERMINAL if sys.stdout.isatty() else None)
    with reports.snapshot(connection):
        if limit is None:
            _write(history.entries(connection, wanted, since=start, conceal=conceal), form)
            return
        found, older = history.newest(connection, wanted, limit, since=start, conceal=conceal)
    _write(found, form)
    if older:
        output.say(f"the newest {limit}; there are older ones: --limit {limit * 10} shows more")


def _followed(
    connection: Connection,
    wanted: Wanted,
    start: datetime | None,
    limit: int | None,
    conceal: Conceal,
) -> Iterator[Entry]:
    from mailer_cli import history, reports

    with reports.snapshot(connection):
        follower = history.Follower(connection, wanted, conceal)
        if start is not None and limit is None:
            yield from history.entries(connection, wanted, since=start, conceal=conceal)
        else:
            number = limit or _BEFORE_FOLLOWING
            yield from history.newest(connection, wanted, number, since=start, conceal=conceal)[0]
    while True:
        sys.stdout.flush()
        time.sleep(POLL_SECONDS)
        yield from follower.news()


def _write(found: Iterable[Entry], form: Format) -> None:
    if form is not Format.TABLE:
        output.rows(KEYS, map(_row, found), form)
        return
    told = 0
    for told, entry in enumerate(found, 1):  # noqa: B007 - only their number is asked for afterwards
        output.log([(entry.time, _line(entry))])
    if not told:
        output.say("nothing to show; runs that had nothing to do are shown with --idle")


def _row(entry: Entry) -> dict[str, Any]:
    return {key: getattr(entry, key) for key in KEYS}


def _line(entry: Entry) -> str:
    return f"{entry.text} ({entry.actor})" if entry.actor else entry.text


def _concealer(*, show_phones: bool) -> Conceal:
    """Return what hides tokens in a text, and phones unless they are to be shown."""
    import re

    from mailer_cli import phones, settings
    from mailer_cli.errors import ConfigurationError
    from mailer_cli.service.texts import Secrets

    try:
        secrets = Secrets(settings.token(settings.load()))
    except ConfigurationError:
        secrets = Secrets()

    def conceal(text: str) -> str:
        text = re.sub(_JWT, "[token]", secrets.mask(text))
        return text if show_phones else phones.mask_all(text)

    return conceal
