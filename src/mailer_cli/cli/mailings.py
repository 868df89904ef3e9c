"""`mailer mailing`: what is sent to whom, and when."""

from __future__ import annotations

import sys
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailer_cli.cli import mailing_options as options
from mailer_cli.cli import output
from mailer_cli.cli.output import Format, OutputOption
from mailer_cli.errors import InvalidValueError, MailerError
from mailer_cli.ids import MAX_MAILING_ID
from mailer_cli.statuses import MailingState

if TYPE_CHECKING:
    from mailer_cli.database import Connection
    from mailer_cli.mailings import Plan
    from mailer_cli.previews import Preview
    from mailer_cli.tables import Mailing

app = typer.Typer(help="Mailings: what is sent to whom, and when.", no_args_is_help=True)

KEYS = (
    *("id", "state", "audience", "waiting", "starts_at", "ends_at", "zone", "hours", "weekdays"),
    *("operator_codes", "tags", "priority", "text", "opens_at", "closes_at", "created_at", "finished_at"),
)
_LISTED = ("id", "state", "starts_at", "ends_at", "zone", "operator_codes", "tags", "priority", "text")
_ZONES = ("zone", "clients", "local_start", "local_end", "opens_at", "closes_at", "late", "over", "note")

MailingArgument = Annotated[
    int, typer.Argument(metavar="MAILING", min=1, max=MAX_MAILING_ID, help="The mailing's id.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


class Retriable(StrEnum):
    """What may be tried again by hand."""

    FAILED = "failed"
    UNKNOWN = "unknown"


@app.command()
def create(
    words: Annotated[str | None, typer.Argument(metavar="[TEXT]", help="What to send (or --text).")] = None,
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
    """
    from mailer_cli import mailings
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
    plan = options.plan(given)
    with wiring.ready() as (_, connection):
        preview = _checked(connection, plan)
        asked = output.interactive() and not yes
        if dry_run or asked:
            _show_preview(preview, Format.TABLE if asked else form)
        if dry_run:
            output.say("nothing was created: this was a dry run")
            return
    if asked and not output.ask("Create this mailing?"):
        raise MailerError("nothing was created")
    with wiring.working() as (session, connection):
        mailing = mailings.create(session, connection, wiring.actor(), plan, draft=draft)
        row = _row(connection, mailing, drafted=preview.clients)
    output.item(row, form)
    _say_created(row, preview)


@app.command("list")
def list_mailings(
    state: Annotated[
        list[MailingState] | None, typer.Option("--state", help="In this state; repeatable.")
    ] = None,
    form: OutputOption = Format.TABLE,
) -> None:
    """List mailings, the newest first."""
    from psycopg.rows import dict_row

    from mailer_cli import database
    from mailer_cli.cli import wiring

    with wiring.connected() as connection:
        cursor = connection.cursor(row_factory=dict_row)
        states = [each.value for each in state] if state else None
        found = cursor.execute(database.statement("mailing_list"), {"states": states}).fetchall()
    keys = [key for key in KEYS if found and key in found[0]] or list(_LISTED)
    if form is Format.TABLE:
        keys = list(_LISTED)
        found = [row | {"zone": row["zone"] or "local", "text": _first_line(row["text"])} for row in found]
    output.rows(
        keys, found, form, empty="no such mailings; make one with `mailer mailing create`", right=("id",)
    )


@app.command()
def show(mailing: MailingArgument, form: OutputOption = Format.TABLE) -> None:
    """Show one mailing."""
    from mailer_cli import mailings, previews
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        found = mailings.find(session, mailing)
        drafted = previews.preview(connection, mailings.plan_of(found)).clients if _is_draft(found) else 0
        output.item(_row(connection, found, drafted=drafted), form)


@app.command()
def preview(
    mailing: Annotated[
        int | None, typer.Argument(metavar="[MAILING]", min=1, max=MAX_MAILING_ID, help="A mailing's id.")
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
    """Show, zone by zone, who would get a mailing and when: one that exists, or one made of the options."""
    from dataclasses import replace

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
    with wiring.working() as (session, connection):
        if mailing is None:
            plan = options.plan({"text": " ", **given} | ({} if text else {"text": "?"}))
        else:
            plan = replace(mailings.plan_of(mailings.find(session, mailing)), **given).checked()
        _show_preview(previews.preview(connection, plan), form)


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
    from mailer_cli import mailings
    from mailer_cli.cli import wiring

    changes = options.given(
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
    cleared: dict[str, Any] = {
        "zone": (no_zone, None),
        "operator_codes": (all_operators, ()),
        "tags": (all_tags, ()),
        "hours": (no_between, None),
        "weekdays": (no_days, None),
    }
    for name, (wanted, empty) in cleared.items():
        if wanted and name in changes:
            raise typer.BadParameter(f"{name.replace('_', ' ')}: given and cleared at once; do one of them")
        if wanted:
            changes[name] = empty
    if not changes:
        raise typer.BadParameter("nothing to change; see `mailer mailing update --help`")
    with wiring.working() as (session, connection):
        found = mailings.find(session, mailing)
        changed = mailings.update(session, connection, wiring.actor(), found, changes)
        row = _row(connection, found)
    output.item(row, form)
    said = (
        f"changed: {', '.join(changed)}; {row['sent']} messages were sent before"
        if changed
        else "it was so already"
    )
    output.say(f"mailing {mailing}: {said}")


@app.command()
def pause(mailing: MailingArgument) -> None:
    """Start nothing more of a mailing until it is resumed. Its windows go on closing."""
    from mailer_cli import mailings
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        done = mailings.pause(session, connection, wiring.actor(), mailings.find(session, mailing))
    state = "is paused" if done else "was paused already"
    output.say(f"mailing {mailing} {state}; go on with `mailer mailing resume {mailing}`")


@app.command()
def resume(mailing: MailingArgument) -> None:
    """Send a paused mailing, or a draft."""
    from mailer_cli import mailings
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        done = mailings.resume(session, connection, wiring.actor(), mailings.find(session, mailing))
    state = "is active" if done else "was active already"
    output.say(f"mailing {mailing} {state}; the next dispatch sends what is due")


@app.command()
def cancel(
    mailing: MailingArgument,
    yes: YesOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be cancelled, and stop.")
    ] = False,
) -> None:
    """Send nothing more of a mailing, ever. What was sent stays on record."""
    from mailer_cli import mailings, reports
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        found = mailings.find(session, mailing)
        [total] = reports.totals(connection, mailing=mailing)
        unsent = total.waiting + total.retrying
        if dry_run:
            output.say(
                f"mailing {mailing} would be cancelled: {unsent} messages unsent, {total.sent} sent before"
            )
            return
        if found.state != MailingState.CANCELLED:
            output.confirm(f"Cancel mailing {mailing}, with {unsent} messages unsent?", yes=yes)
        done = mailings.cancel(session, connection, wiring.actor(), found)
    state = "is cancelled; the next dispatch settles its messages" if done else "was cancelled already"
    output.say(f"mailing {mailing} {state}")


@app.command()
def refresh(mailing: MailingArgument) -> None:
    """Admit clients who registered after their window had opened."""
    from mailer_cli import mailings
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        admitted = mailings.refresh(session, connection, wiring.actor(), mailings.find(session, mailing))
    output.say(
        f"mailing {mailing}: {admitted} newcomers admitted (windows not open yet take everybody anyway)"
    )


@app.command()
def retry(
    mailing: MailingArgument,
    only: Annotated[
        Retriable | None, typer.Option("--only", help="Only these; without it, failed ones.")
    ] = None,
    code: Annotated[
        int | None,
        typer.Option("--code", min=100, max=599, help="Only those answered with this status."),
    ] = None,
    yes: YesOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show how many, and stop.")] = False,
) -> None:
    """Try messages again that have failed, or are in doubt, while their window is open.

    A message in doubt may have reached its client: trying it again may send it twice.
    """
    from mailer_cli import decisions, mailings
    from mailer_cli.cli import wiring
    from mailer_cli.statuses import Status

    statuses = [Status((only or Retriable.FAILED).value)]
    with wiring.working() as (session, _):
        _require_active(mailings.find(session, mailing))
    with wiring.connected() as connection:
        found = decisions.retry(connection, wiring.actor(), mailing, statuses, code=code, dry_run=True)
        number = sum(found.values())
        told = ", ".join(f"{count} {status.value}" for status, count in found.items())
        if dry_run or not number:
            output.say(f"mailing {mailing}: {told} would be tried again")
            return
        output.confirm(f"Try {told} of mailing {mailing} again?{_risk(only)}", yes=yes)
        done = decisions.retry(connection, wiring.actor(), mailing, statuses, code=code)
    output.say(f"mailing {mailing}: {sum(done.values())} messages are tried again by the next dispatch")


def _checked(connection: Connection, plan: Plan) -> Preview:
    from mailer_cli import previews

    found = previews.preview(connection, plan)
    if found.never_opens:
        raise InvalidValueError("start", "with this end, these hours and days it is never open in any zone")
    return found


def _row(connection: Connection, mailing: Mailing, *, drafted: int = 0) -> dict[str, Any]:
    from mailer_cli import reports

    [total] = reports.totals(connection, mailing=mailing.id)
    row = {key: getattr(mailing, key, None) for key in KEYS}
    row |= {"opens_at": total.opens_at, "closes_at": total.closes_at, "waiting": total.waiting}
    row |= {"audience": drafted if _is_draft(mailing) else total.audience}
    return row | total.by_status()


def _require_active(mailing: Mailing) -> None:
    if mailing.state not in {MailingState.ACTIVE, MailingState.PAUSED}:
        raise MailerError(f"mailing {mailing.id} is {mailing.state}; nothing of it can be tried again")


def _risk(only: Retriable | None) -> str:
    if only is not Retriable.UNKNOWN:
        return ""
    return " They are in doubt: whoever got the message already would get it a second time."


def _is_draft(mailing: Mailing) -> bool:
    return mailing.state == MailingState.DRAFT


def _show_preview(found: Preview, form: Format) -> None:
    from mailer_cli import previews

    rows = [asdict(zone) for zone in found.zones]
    keys = list(_ZONES)
    if form is Format.TABLE:
        keys = [key for key in keys if key not in {"late", "over", "note"} or any(row[key] for row in rows)]
    output.rows(keys, rows, form, empty="no clients match", right=("clients", "late", "over"))
    if form is Format.TABLE:
        for remark in previews.remarks(found):
            output.say(remark)


def _say_created(row: dict[str, Any], found: Preview) -> None:
    from mailer_cli import previews

    for remark in previews.remarks(found)[1:]:
        output.say(remark)
    number = row["id"]
    if row["state"] == MailingState.DRAFT:
        output.say(f"mailing {number} is a draft; send it with `mailer mailing resume {number}`")
    else:
        output.say(f"mailing {number} was created; next: `mailer mailing preview {number}`, or dispatch")


def _first_line(text: str) -> str:
    line, _, rest = text.partition("\n")
    short = len(line) > 60 and sys.stdout.isatty()
    return line[:59] + "…" if short else line + (" …" if rest else "")
