"""`mailer recover`: after a promotion or a restore."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailer_cli.cli import columns, output, spans
from mailer_cli.cli.mailing_options import YesOption
from mailer_cli.cli.output import Format, OutputOption

if TYPE_CHECKING:
    from mailer_cli.database import Connection
    from mailer_cli.recovery import Doubtful, Extent

KEYS = ("mailing", "under_way", "waiting")


def recover(
    since: Annotated[
        str,
        typer.Option("--since", metavar="TIME", help="What may be lost begins here: 10m ago, an instant."),
    ],
    mailing: Annotated[int | None, typer.Option("--mailing", help="Only this one.")] = None,
    most: Annotated[
        int | None,
        typer.Option("--most", min=1, help="No more than so many can have been sent: rate x seconds."),
    ] = None,
    yes: YesOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be marked, and stop.")] = False,
    form: OutputOption = Format.TABLE,
) -> None:
    """Mark who may have been sent to without this database knowing, after a promotion or a restore.

    They become unknown, and are never sent to again by themselves: messages that were under way, and clients
    who came next in windows that were open since then. Without --most, that is everybody who was waiting.
    """
    from mailer_cli import database, recovery
    from mailer_cli.cli import wiring

    with wiring.connected() as connection:
        recovery.require_stopped(connection)
        extent = recovery.Extent(spans.since(since, database.fetch_value(connection, "now")), mailing, most)
        found = recovery.doubtful(connection, extent)
        output.rows(KEYS, map(_row, found), form, empty="nothing was being sent since then", right=KEYS)
        total = sum(each.tried + each.waiting for each in found)
        told = f"{_most(total, extent)} since {columns.minute(extent.since)}"
        if dry_run:
            output.say(f"{told} would be marked as in doubt (unknown)")
            return
        output.confirm(f"Mark {told} as in doubt?", yes=yes)
        marked = _mark(connection, extent, found, total)
        if mailing is None:
            recovery.settle(connection, wiring.actor())
    _tell(marked, mailing)


def _mark(connection: Connection, extent: Extent, found: list[Doubtful], total: int) -> int:
    from mailer_cli import recovery
    from mailer_cli.cli import wiring

    with output.progress("marking", total) as bar:

        def advance(number: int) -> None:
            if bar is not None:
                bar.advance(bar.task_ids[0], number)

        return recovery.mark(connection, wiring.actor(), extent, found, advance)


def _row(each: Doubtful) -> dict[str, Any]:
    return {"mailing": each.mailing_id, "under_way": each.tried, "waiting": each.waiting}


def _most(total: int, extent: Extent) -> str:
    bound = "" if extent.most is None else f", {extent.most} of each queue at the most,"
    return f"up to {total} messages{bound}"


def _tell(marked: int, mailing: int | None) -> None:
    output.say(f"{marked} messages are in doubt now; `mailer message list --status unknown` names them")
    output.say("settle them by the service's own log: `mailer message resolve`, `mailer mailing retry`")
    if mailing is None:
        output.say("this database sends from now on; where sending is held: `mailer release`")
