"""`mailer dispatch`: what cron runs every minute."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from mailer_cli.cli import output
from mailer_cli.cli.output import Format, OutputOption

if TYPE_CHECKING:
    from mailer_cli.dispatch import Options, Summary
    from mailer_cli.service import MessageService
    from mailer_cli.settings import Settings


_MOST_PROCESSES = 64


def dispatch(
    max_seconds: Annotated[
        float, typer.Option(min=1, max=3600, help="Claim and start nothing more after this many seconds.")
    ] = 55.0,
    concurrency: Annotated[
        int | None, typer.Option(min=1, max=5000, help="Requests under way at once (MAILER_CONCURRENCY).")
    ] = None,
    processes: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto", help="Processes that share them; auto: one a core (MAILER_PROCESSES)."
        ),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, help="Messages a second, of all hosts together (MAILER_RATE_PER_SECOND)."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent and why; send and change nothing.")
    ] = False,
    at: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="With --dry-run: at another instant, such as 2026-12-01T09:00Z."),
    ] = None,
    form: OutputOption = Format.TABLE,
) -> None:
    """Send every message that is due, then stop. Cron runs this each minute; more at once do no harm.

    Off a terminal it prints nothing when all is well; a trouble when it begins, hourly, and when it is over.
    """
    if dry_run:
        _show(at, form)
        return
    if at is not None:
        raise typer.BadParameter("--at goes with --dry-run: nothing is ever sent at a made-up time")
    _send(max_seconds, concurrency, rate, processes)


def _show(at: str | None, form: Format) -> None:
    from mailer_cli import localtime
    from mailer_cli.cli import wiring
    from mailer_cli.dispatch.forecast import forecast

    instant = localtime.parse_instant(at, "at") if at else None
    with wiring.connected() as connection:
        found = [asdict(row) for row in forecast(connection, instant)]
    columns = ("mailing", "zone", "due", "waiting", "opens_at", "closes_at", "why")
    output.rows(
        columns, found, form, empty="nothing is waiting to be sent", right=("mailing", "due", "waiting")
    )


def _send(max_seconds: float, concurrency: int | None, rate: float | None, processes: str | None) -> None:
    from mailer_cli import settings
    from mailer_cli.cli import unattended, wiring
    from mailer_cli.dispatch import dispatch as tick

    with unattended.watched() as watch:
        configured = watch.configured = settings.load()
        options = engine_options(configured, max_seconds, concurrency, rate, processes)
        with wiring.ready(configured) as (dsn, _):
            watch.dsn = dsn
        with output.progress("sending") as bar:
            show = (
                None if bar is None else (lambda summary: bar.update(bar.task_ids[0], completed=summary.sent))
            )
            summary = tick(dsn, lambda: message_service(configured, options), options, show)
        watch.summary = summary
    if sys.stderr.isatty():
        output.say(describe(summary))


def engine_options(
    configured: Settings,
    max_seconds: float = 55.0,
    concurrency: int | None = None,
    rate: float | None = None,
    processes: str | None = None,
) -> Options:
    """Return how to dispatch: the command line's wishes before the settings'."""
    from mailer_cli.dispatch import Options

    return Options(
        concurrency=concurrency or configured.mailer_concurrency,
        max_seconds=max_seconds,
        http_timeout=configured.mailer_http_timeout,
        lease=configured.mailer_lease,
        max_attempts=configured.mailer_max_attempts,
        retry_base=configured.mailer_retry_base,
        retry_cap=configured.mailer_retry_cap,
        deduplicates=configured.message_service_deduplicates,
        rate_per_second=rate or configured.mailer_rate_per_second,
        rate_per_day=configured.mailer_rate_per_day,
        processes=_processes(configured.mailer_processes if processes is None else processes),
    )


def _processes(wanted: int | str) -> int:
    """Return how many processes are meant; raise BadParameter that says what may be."""
    if wanted == "auto":
        return len(os.sched_getaffinity(0))
    if str(wanted).isascii() and str(wanted).isdigit() and 1 <= int(wanted) <= _MOST_PROCESSES:
        return int(wanted)
    raise typer.BadParameter(f"a number from 1 to {_MOST_PROCESSES}, or auto", param_hint="--processes")


def message_service(configured: Settings, options: Options) -> MessageService:
    """Make the client of the configured message service."""
    from mailer_cli import settings
    from mailer_cli.service import MessageService

    return MessageService(
        settings.service_url(configured),
        settings.token(configured),
        connections=options.concurrency,
        timeout=options.http_timeout,
        ca_file=configured.message_service_ca_file,
    )


def describe(summary: Summary) -> str:
    """Tell in one line what a run did."""
    told = [f"{number} {name}" for name, number in summary.counts().items() if number and name != "claimed"]
    return ", ".join(told) if told else "nothing was due"
