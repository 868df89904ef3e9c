"""`mailer purge`: the messages of mailings that were over long ago."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailer_cli.cli import columns, output, spans
from mailer_cli.cli.mailing_options import YesOption
from mailer_cli.cli.output import Format, OutputOption

if TYPE_CHECKING:
    from datetime import datetime

    from mailer_cli.database import Connection
    from mailer_cli.purging import Progress, Purgeable

KEYS = ("mailing", "finished_at", "messages", "attempts")
_NUMBERS = ("mailing", "messages", "attempts")


def purge(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="SPAN", help="Over for longer than that: 400d, 60w.")
    ],
    yes: YesOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and stop.")] = False,
    form: OutputOption = Format.TABLE,
) -> None:
    """Remove the messages of mailings that were over long ago, and old runs.

    Reports keep their numbers, also by zone, operator, tag, hour and error; who changed what stays too. What
    became of single messages is gone. It may be stopped at any time; the next purge goes on.
    """
    from mailer_cli import purging
    from mailer_cli.cli import wiring

    span = spans.length("older-than", older_than)
    with wiring.connected() as connection:
        before = purging.cutoff(connection, span)
        found = purging.purgeable(connection, before)
        runs = purging.purgeable_runs(connection, before)
        rows = [_row(each, each.messages, each.attempts) for each in found]
        if dry_run or not (found or runs):
            _show(rows, form)
            output.say(f"{_told(rows, runs)} would be removed, over since {columns.minute(before)}")
            return
        output.confirm(f"Remove {_told(rows, runs)}? Reports keep their numbers.", yes=yes)
        rows, runs = _purge(connection, found, runs, before)
    _show(rows, form)
    output.say(f"removed {_told(rows, runs)}; `mailer report` has the numbers as before")


def _purge(
    connection: Connection, found: Sequence[Purgeable], runs: int, before: datetime
) -> tuple[list[dict[str, Any]], int]:
    from mailer_cli import purging
    from mailer_cli.cli import wiring

    rows = []
    actor = wiring.actor()
    with _progress(sum(each.messages + each.attempts for each in found) + runs) as progress:
        for each in found:
            done = purging.purge(connection, actor, each, before, progress)
            rows.append(_row(each, done.messages, done.attempts))
            if done == purging.Removed(0, 0):
                output.say(
                    f"mailing {each.mailing} is being changed, or purged, by somebody else: left to them"
                )
        return rows, purging.purge_runs(connection, actor, before, progress)


@contextmanager
def _progress(total: int) -> Iterator[Progress]:
    try:
        with output.progress("purging", total) as bar:

            def advance(rows: int) -> None:
                if bar is not None:
                    bar.advance(bar.task_ids[0], rows)

            yield advance
    except KeyboardInterrupt:
        output.say("stopped between two steps; the next purge goes on from there")
        raise


def _row(found: Purgeable, messages: int, attempts: int) -> dict[str, Any]:
    return {
        "mailing": found.mailing,
        "finished_at": found.finished_at,
        "messages": messages,
        "attempts": attempts,
    }


def _show(rows: Sequence[dict[str, Any]], form: Format) -> None:
    output.rows(KEYS, rows, form, empty="no mailing has messages that old", right=_NUMBERS)


def _told(rows: Sequence[dict[str, Any]], runs: int) -> str:
    messages, attempts = (sum(row[name] for row in rows) for name in ("messages", "attempts"))
    parts = []
    if rows:
        of = f"{_number(messages, 'message')}, {_number(attempts, 'attempt')}"
        parts.append(f"{of} of {_number(len(rows), 'mailing')}")
    if runs:
        parts.append(_number(runs, "run"))
    return " and ".join(parts) or "nothing"


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
