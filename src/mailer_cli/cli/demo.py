"""`mailer demo`: the whole thing in a minute, on a database and a message service of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailer_cli.cli import output

if TYPE_CHECKING:
    from mailer_cli.database import Connection, Dsn
    from mailer_cli.demo import DemoMailing
    from mailer_cli.dispatch import Summary

TOKEN = "demo"  # noqa: S105 - the sandbox on the next line of the screen is all it opens


def demo(
    reset: Annotated[bool, typer.Option("--reset", help="Forget earlier demonstrations first.")] = False,
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop the demonstration's database, and no more.")
    ] = False,
) -> None:
    """Show the whole thing in a minute: clients, three mailings, sending, the report.

    Nothing of yours is touched: the database is the demonstration's own, and the message service
    is a sandbox on this machine. It can be run again and again.
    """
    from mailer_cli import database
    from mailer_cli import demo as script

    if stop:
        _stop()
        return
    dsn = _database(reset=reset)
    with database.connect(dsn) as connection:
        made = script.prepare(connection)
        _introduce(connection, made)
        summary = _send(dsn)
        output.say(f"sent     {_told(summary)}\n")
        _report(connection)
    _farewell(dsn, made[0][0])


def _home() -> Path:
    from mailer_cli import settings
    from mailer_cli.cli import wiring

    return wiring.home(settings.load()) / "demo"


def _stop() -> None:
    from mailer_cli.database import embedded

    stopped = embedded.stop(_home())
    output.say(f"the demonstration's database {'was stopped' if stopped else 'was not running'}")


def _database(*, reset: bool) -> Dsn:
    """Start the demonstration's own database, beside the operator's, and bring its schema up to date."""
    from mailer_cli.database import Dsn, connect, embedded, schema

    dsn = Dsn(embedded.ensure(_home()), embedded=True)
    with connect(dsn) as connection:
        if reset:
            connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        up_to_date = schema.version(connection) == schema.HEAD
    if not up_to_date:
        schema.upgrade(dsn)
    return dsn


def _introduce(connection: Connection, made: list[tuple[int, DemoMailing]]) -> None:
    row = connection.execute("SELECT count(*), count(DISTINCT timezone) FROM client").fetchone()
    people, zones = row or (0, 0)
    output.say(f"clients  {people} in {zones} time zones")
    for mailing_id, mailing in made:
        output.say(f"mailing  {mailing_id}, {mailing.shows}: {mailing.text}")


@contextmanager
def _sandbox() -> Iterator[str]:
    """A message service on a free port that is busy now and then, as the real ones are."""
    from mailer_cli.sandbox import Faults, SandboxThread

    with SandboxThread(token=TOKEN, faults=Faults(error_rate=0.02, seed=7)) as sandbox:
        yield sandbox.url


def _send(dsn: Dsn) -> Summary:
    from mailer_cli.dispatch import Options, dispatch
    from mailer_cli.service import MessageService

    options = Options(concurrency=50, max_seconds=30)
    with _sandbox() as url, output.progress("sending") as bar:
        show = None if bar is None else (lambda done: bar.update(bar.task_ids[0], completed=done.sent))
        service = MessageService(url, TOKEN, connections=options.concurrency, timeout=options.http_timeout)
        return dispatch(dsn, lambda: service, options, show)


def _told(summary: Summary) -> str:
    from mailer_cli.cli.dispatch import describe

    return describe(summary)


def _report(connection: Connection) -> None:
    """Show the newest mailings as `mailer report` does."""
    from mailer_cli import reports
    from mailer_cli.cli.reports import show_totals

    with reports.snapshot(connection):
        totals = reports.totals(connection, mailing=None, limit=3)
    show_totals(totals)


def _farewell(dsn: Dsn, mailing_id: int) -> None:
    if sys.stdout.isatty():
        output.line("")
    output.say(
        "look closer at this demonstration:\n"
        f"  export DATABASE_URL='{dsn.address}'\n"
        f"  mailer report {mailing_id}\n"
        "  mailer demo --stop\n"
        "or leave it, and begin with your own:\n"
        '  mailer client add "+7 916 123-45-67" --timezone Europe/Moscow'
    )
