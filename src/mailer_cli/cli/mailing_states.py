"""What is done to a mailing as a whole: pause, resume, cancel, refresh, retry."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailer_cli.cli import mailing_screens as screens
from mailer_cli.cli import output
from mailer_cli.cli.mailing_options import MailingArgument, YesOption
from mailer_cli.errors import MailerError, PurgedError
from mailer_cli.statuses import MailingState

if TYPE_CHECKING:
    from mailer_cli.tables import Mailing


class Retriable(StrEnum):
    """What may be tried again by hand."""

    FAILED = "failed"
    UNKNOWN = "unknown"


def pause(mailing: MailingArgument) -> None:
    """Start nothing more of a mailing until it is resumed. Its windows go on closing."""
    from mailer_cli import mailings
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        done = mailings.pause(session, connection, wiring.actor(), mailings.find(session, mailing))
    state = "is paused" if done else "was paused already"
    output.say(f"mailing {mailing} {state}; go on with `mailer mailing resume {mailing}`")


def resume(mailing: MailingArgument) -> None:
    """Send a paused mailing, or a draft."""
    from mailer_cli import mailings, previews
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        found = mailings.find(session, mailing)
        drafted = found.state == MailingState.DRAFT
        done = mailings.resume(session, connection, wiring.actor(), found)
        preview = previews.preview(connection, mailings.plan_of(found)) if drafted else None
    for remark in previews.remarks(preview) if preview else ():
        output.say(remark)
    state = "is active" if done else "was active already"
    output.say(f"mailing {mailing} {state}; the next dispatch sends what is due")


def cancel(
    mailing: MailingArgument,
    yes: YesOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be cancelled, and stop.")
    ] = False,
) -> None:
    """Send nothing more of a mailing, ever. What was sent stays on record."""
    from mailer_cli import mailings
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        found = mailings.find(session, mailing, lock=False)
        due = mailings.cancellable(found)
        told = _stakes(screens.row(connection, found))
    if due and dry_run:
        output.say(f"mailing {mailing} would be cancelled: {told}")
        return
    if due:  # asked without a lock: a person may take their time
        output.confirm(f"Cancel mailing {mailing}? {told}.", yes=yes)
        with wiring.working() as (session, connection):
            due = mailings.cancel(session, connection, wiring.actor(), mailings.find(session, mailing))
    state = "is cancelled; the next dispatch settles its messages" if due else "was cancelled already"
    output.say(f"mailing {mailing} {state}")


def refresh(mailing: MailingArgument) -> None:
    """Admit clients who registered after their window had opened."""
    from mailer_cli import mailings
    from mailer_cli.cli import wiring

    with wiring.working() as (session, connection):
        found = mailings.find(session, mailing)
        admitted = mailings.refresh(connection, wiring.actor(), found)
    newcomers = "1 newcomer" if admitted == 1 else f"{admitted} newcomers"
    output.say(f"mailing {mailing}: {newcomers} admitted; windows not open yet take everybody anyway")


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
        _require_active(mailings.find(session, mailing, lock=False))
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


def _stakes(row: dict[str, Any]) -> str:
    if row["state"] == MailingState.DRAFT:
        return "it is a draft, and nothing of it was sent"
    unsent = row["waiting"] + row["retrying"] + row["sending"]
    return f"{unsent} messages unsent, {row['sent']} sent before"


def _require_active(mailing: Mailing) -> None:
    if mailing.purged_at is not None:
        raise PurgedError(mailing.id or 0, mailing.purged_at)
    if mailing.state not in {MailingState.ACTIVE, MailingState.PAUSED}:
        raise MailerError(f"mailing {mailing.id} is {mailing.state}; nothing of it can be tried again")


def _risk(only: Retriable | None) -> str:
    if only is not Retriable.UNKNOWN:
        return ""
    return " They are in doubt: whoever got the message already would get it a second time."
