"""`mailer mailing`: what is sent to whom, and when."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mailer_cli.cli import mailing_options as options
from mailer_cli.cli import mailing_screens as screens
from mailer_cli.cli import mailing_simulate, mailing_states, mailing_test, output
from mailer_cli.cli.mailing_options import MailingArgument, YesOption
from mailer_cli.cli.output import Format, OutputOption
from mailer_cli.errors import MailerError
from mailer_cli.ids import MAX_MAILING_ID
from mailer_cli.statuses import MailingState

if TYPE_CHECKING:
    from mailer_cli.previews import Preview

app = typer.Typer(help="Mailings: what is sent to whom, and when.", no_args_is_help=True)


@app.command()
def create(
    words: Annotated[str | None, typer.Argument(metavar="TEXT", help="What to send (or --text).")] = None,
    text: options.TextOption = None,
    start: options.StartOption = None,
    end: options.EndOption = None,
    zone: options.ZoneOption = None,
    operator: options.OperatorOption = None,
    tag: options.TagOption = None,
    between: options.BetweenOption = None,
    days: options.DaysOption = None,
    priority: options.PriorityOption = None,
    draft: Annotated[bool, typer.Option("--draft", help="Send nothing until it is resumed.")] = False,
    yes: YesOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the preview, and stop.")] = False,
    form: OutputOption = Format.TABLE,
) -> None:
    """Make a mailing. On a terminal it shows what would be sent when, and asks.

    Start and end are wall-clock times, read on each client's own clock unless --zone is given.
    Operators and tags: any of those given; with both, only who matches both.
    """
    from mailer_cli import mailings, previews
    from mailer_cli.cli import wiring

    if (words is None) == (text is None):
        raise typer.BadParameter("give the text once: as TEXT, or by --text (- reads stdin)")
    given = options.given(
        text=words if text is None else text,
        start=start,
        end=end,
        zone=zone,
        operator=operator,
        tag=tag,
        between=between,
        days=days,
        priority=priority,
    )
    plan = options.plan(given).checked()
    with wiring.connected() as connection:
        mailings.require_opens(connection, plan)
        preview = previews.preview(connection, plan)
    if dry_run:
        screens.show_preview(preview, form)
        output.say("nothing was created: this was a dry run")
        return
    asked = output.interactive() and not yes
    if asked:
        _ask(preview)
    with wiring.working() as (session, connection):
        mailing = mailings.create(session, connection, wiring.actor(), plan, draft=draft)
        row = screens.row(connection, mailing)
    screens.show(row, form)
    for remark in () if asked else previews.remarks(preview):
        output.say(remark)
    output.say(_created(row["id"], draft=draft))


def _ask(preview: Preview) -> None:
    # A question and what it is about are talk: stdout may be a pipe that waits for the mailing alone.
    with redirect_stdout(sys.stderr):
        screens.show_preview(preview, Format.TABLE)
    if not output.ask("Create this mailing?"):
        raise MailerError("nothing was created")


def _created(mailing: int, *, draft: bool) -> str:
    if draft:
        return f"mailing {mailing} is a draft; send it with `mailer mailing resume {mailing}`"
    look = f"`mailer mailing preview {mailing}`, `mailer dispatch --dry-run`"
    return f"mailing {mailing} was created; next: {look}"


@app.command("list")
def list_mailings(
    state: Annotated[
        list[MailingState] | None,
        typer.Option("--state", metavar="STATE", help=f"Only {', '.join(MailingState)}; repeatable."),
    ] = None,
    form: OutputOption = Format.TABLE,
) -> None:
    """List mailings, the newest first."""
    from mailer_cli import mailings
    from mailer_cli.cli import wiring

    with wiring.connected() as connection:
        screens.show_list(mailings.listed(connection, state or None), form)


@app.command()
def show(mailing: MailingArgument, form: OutputOption = Format.TABLE) -> None:
    """Show one mailing: what was decided, its windows, and its messages by status."""
    from mailer_cli import mailings
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        row = screens.row(connection, mailings.find(session, mailing, lock=False))
    screens.show(row, form)


@app.command()
def preview(
    mailing: Annotated[
        int | None, typer.Argument(metavar="MAILING", min=1, max=MAX_MAILING_ID, help="A mailing's id.")
    ] = None,
    text: options.TextOption = None,
    start: options.StartOption = None,
    end: options.EndOption = None,
    zone: options.ZoneOption = None,
    operator: options.OperatorOption = None,
    tag: options.TagOption = None,
    between: options.BetweenOption = None,
    days: options.DaysOption = None,
    form: OutputOption = Format.TABLE,
) -> None:
    """Show, zone by zone, who would get a mailing and when.

    A mailing that exists, one made of the options, or with both: the mailing as it would be then.
    """
    from mailer_cli import mailings, previews
    from mailer_cli.cli import wiring

    given = options.given(
        text=text,
        start=start,
        end=end,
        zone=zone,
        operator=operator,
        tag=tag,
        between=between,
        days=days,
        priority=None,
    )
    if mailing is None:
        with wiring.connected() as connection:
            screens.show_preview(previews.preview(connection, options.plan(given)), form)
        return
    with wiring.working() as (session, connection):
        found = mailings.find(session, mailing, lock=False)
        plan = replace(mailings.plan_of(found), **given).checked()
        row = screens.row(connection, found)
        preview = previews.preview(connection, plan)
    screens.show_preview(preview, form, begun=screens.begun(row))
    if form is Format.TABLE:
        screens.say_standing(row)


@app.command()
def update(
    mailing: MailingArgument,
    text: options.TextOption = None,
    start: options.StartOption = None,
    end: options.EndOption = None,
    zone: options.ZoneOption = None,
    no_zone: Annotated[bool, typer.Option("--no-zone", help="On each client's own clock again.")] = False,
    operator: options.OperatorOption = None,
    all_operators: Annotated[bool, typer.Option("--all-operators", help="Any operator code.")] = False,
    tag: options.TagOption = None,
    all_tags: Annotated[bool, typer.Option("--all-tags", help="Any tag, or none.")] = False,
    between: options.BetweenOption = None,
    no_between: Annotated[bool, typer.Option("--no-between", help="At any hour.")] = False,
    days: options.DaysOption = None,
    no_days: Annotated[bool, typer.Option("--no-days", help="On any day.")] = False,
    priority: options.PriorityOption = None,
    form: OutputOption = Format.TABLE,
) -> None:
    """Change a mailing for everybody it was not sent to yet; what was sent stays as it is."""
    from mailer_cli import mailings, previews
    from mailer_cli.cli import wiring

    given = options.given(
        text=text,
        start=start,
        end=end,
        zone=zone,
        operator=operator,
        tag=tag,
        between=between,
        days=days,
        priority=priority,
    )
    wanted = {"--no-zone": no_zone, "--all-operators": all_operators, "--all-tags": all_tags}
    changes = options.cleared(given, wanted | {"--no-between": no_between, "--no-days": no_days})
    if not changes:
        raise typer.BadParameter("nothing to change; see `mailer mailing update --help`")
    with wiring.working() as (session, connection):
        found = mailings.find(session, mailing)
        changed = mailings.update(session, connection, wiring.actor(), found, changes)
        row = screens.row(connection, found)
        preview = previews.preview(connection, mailings.plan_of(found))
    screens.show(row, form)
    for remark in previews.remarks(preview, begun=screens.begun(row)) if changed else ():
        output.say(remark)
    screens.say_updated(row, changed)


app.command()(mailing_states.pause)
app.command()(mailing_states.resume)
app.command()(mailing_states.cancel)
app.command()(mailing_states.refresh)
app.command()(mailing_states.retry)
app.command()(mailing_simulate.simulate)
app.command()(mailing_test.test)
