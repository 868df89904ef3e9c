"""What `mailer mailing` shows: one mailing, a list of them, a preview."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from mailer_cli.cli import columns, output
from mailer_cli.cli.output import Format
from mailer_cli.statuses import MailingState, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailer_cli.database import Connection
    from mailer_cli.previews import Preview
    from mailer_cli.tables import Mailing

KEYS = (
    *("id", "state", "audience", "waiting", "starts_at", "ends_at", "zone", "hours", "weekdays"),
    *("operator_codes", "tags", "priority", "text", "opens_at", "closes_at", "zones", "zones_over"),
    *("next_opening", "created_at", "finished_at"),
)
LIST_KEYS = (
    *("id", "state", "starts_at", "ends_at", "zone", "hours", "weekdays", "operator_codes", "tags"),
    *("priority", "text", "created_at", "finished_at"),
)
ZONE_KEYS = ("zone", "clients", "local_start", "local_end", "opens_at", "closes_at", "late", "over", "note")
_OPTIONS = {
    "starts_at": "start",
    "ends_at": "end",
    "operator_codes": "operators",
    "hours": "between",
    "weekdays": "days",
}
_ALWAYS = ("id", "state", "audience", "waiting")
_LOCAL = "each client's own clock"


def row(connection: Connection, mailing: Mailing) -> dict[str, Any]:
    """Return all there is to tell of a mailing. The audience of a draft is who matches now."""
    from mailer_cli import mailings, previews, reports

    [total] = reports.totals(connection, mailing=mailing.id)
    draft = mailing.state == MailingState.DRAFT
    found = {key: getattr(mailing, key, None) for key in KEYS}
    found |= {key: getattr(total, key) for key in ("audience", "waiting", "opens_at", "closes_at")}
    if draft:
        found["audience"] = previews.preview(connection, mailings.plan_of(mailing)).clients
    return found | asdict(mailings.outlook(connection, total.mailing)) | total.by_status()


def show(found: dict[str, Any], form: Format) -> None:
    """Write one mailing; in a table only what says something."""
    if form is Format.TABLE:
        found = found | {"zone": found["zone"] or _LOCAL}
        found = {key: value for key, value in found.items() if key in _ALWAYS or value not in (None, [], 0)}
    output.item(found, form)


def show_list(found: Sequence[dict[str, Any]], form: Format) -> None:
    """Write mailings; on a terminal as much of each as there is room for."""
    keys: Sequence[str] = LIST_KEYS
    if form is Format.TABLE:
        keys = [key for key in LIST_KEYS if key not in {"created_at", "finished_at"}]
        found = [each | {"zone": each["zone"] or "local"} for each in found]
        if sys.stdout.isatty():
            cells = [_cells(each) for each in found]
            give_up = ("priority", "weekdays", "hours", "operator_codes", "tags", "zone", "ends_at")
            width = output.console().width
            keys, found = columns.fit(
                columns.filled(keys, cells), cells, width, give_up=give_up, elastic="text"
            )
    empty = "no such mailings; make one with `mailer mailing create`"
    output.rows(keys, found, form, empty=empty, right=("id", "priority"))


def show_preview(found: Preview, form: Format, *, begun: bool = False) -> None:
    """Write a preview zone by zone; with a table, say on stderr what it comes to."""
    from mailer_cli import previews

    rows = [asdict(zone) for zone in found.zones]
    if form is not Format.TABLE:
        output.rows(ZONE_KEYS, rows, form)
        return
    narrow = sys.stdout.isatty()
    keys: Sequence[str] = columns.filled(ZONE_KEYS, rows)
    if narrow:
        keys, rows = _fitted(rows)
    if rows:
        output.rows(keys, rows, form, right=("clients", "late", "over"))
    for note in previews.notes(found) if narrow else ():
        output.say(f"* {note}")
    for remark in previews.remarks(found, begun=begun):
        output.say(remark)


def begun(found: dict[str, Any]) -> bool:
    """Whether messages of this mailing exist."""
    return any(found[status.value] for status in Status)


def say_standing(found: dict[str, Any]) -> None:
    """Say what a preview of a mailing that exists leaves out."""
    number, state = found["id"], found["state"]
    if state == MailingState.DRAFT:
        output.say(f"mailing {number} is a draft; send it with `mailer mailing resume {number}`")
    elif state == MailingState.PAUSED:
        output.say(f"mailing {number} is paused; go on with `mailer mailing resume {number}`")
    elif state != MailingState.ACTIVE:
        output.say(f"mailing {number} is {state}: nothing more of it is sent")
    if made := sum(found[status.value] for status in Status):
        output.say(f"{made} messages of mailing {number} are made already; see `mailer report {number}`")


def say_updated(found: dict[str, Any], changed: Sequence[str]) -> None:
    """Say what an edit did, and what it came too late for."""
    number = found["id"]
    if not changed:
        output.say(f"mailing {number}: it was so already")
        return
    if over := found["zones_over"]:
        output.say(f"{over} of {found['zones']} zones are over; what became of their clients stays so")
    output.say(
        f"mailing {number}: changed {', '.join(_OPTIONS.get(name, name) for name in changed)};"
        f" {found['sent']} messages were sent before, and stay as they are"
    )


def _fitted(rows: Sequence[dict[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    """Mark a zone that there is a note on with a star; the notes themselves are too long for a terminal."""
    cells = [
        _cells(row)
        | {
            "zone": f"{row['zone']} *" if row["note"] else row["zone"],
            "now": "late" if row["late"] else "over" if row["over"] else "",
        }
        for row in rows
    ]
    wide = ("zone", "clients", "opens_at", "closes_at", "now", "local_start", "local_end")
    give_up = ("local_end", "local_start", "now")
    return columns.fit(columns.filled(wide, cells), cells, output.console().width, give_up=give_up)


def _cells(found: dict[str, Any]) -> dict[str, Any]:
    return {
        key: columns.minute(value)
        if isinstance(value, datetime)
        else ",".join(value)
        if isinstance(value, list)
        else value
        for key, value in found.items()
    }
