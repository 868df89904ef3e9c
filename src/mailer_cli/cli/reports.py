"""`mailer report`: what has happened to whom."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailer_cli.aspects import Breakdown
from mailer_cli.cli import charts, columns, completion, output, spans
from mailer_cli.cli.output import Format, OutputOption
from mailer_cli.ids import MAX_MAILING_ID
from mailer_cli.statuses import Status

if TYPE_CHECKING:
    from mailer_cli.reports import Part, Total

    Parts = dict[Breakdown, Sequence[Part] | None]  # None: there are too many messages to read them all

STATUSES = tuple(status.value for status in Status)
LATE_KEYS = ("late_p50", "late_p95", "late_max")  # seconds from when messages could be sent until they were
KEYS = (
    *("mailing", "state", "text", "starts_at", "ends_at", "opens_at", "closes_at", "finished_at"),
    *("audience", "waiting"),
    *STATUSES,
    *LATE_KEYS,
)
PART_KEYS = {
    Breakdown.ZONE: ("mailing", "zone", "opens_at", "closes_at", "audience", "waiting", *STATUSES),
    Breakdown.OPERATOR: ("mailing", "operator", *STATUSES),
    Breakdown.TAG: ("mailing", "tag", *STATUSES),
    Breakdown.HOUR: ("mailing", "hour", "sent"),
    Breakdown.ERROR: ("mailing", "http_status", "error", "count", "message_id", *STATUSES),
}
_COUNTS = ("audience", "waiting", *STATUSES, "count", "http_status")
_ON_A_TERMINAL = 20  # mailings
_WIDE = 100  # columns of a terminal that have room for the whole bar
_BAR, _SHORT_BAR = 10, 6
_NO_MAILINGS = 'no mailings yet; make one with `mailer mailing create --text "…" --start … --end …`'

MailingArgument = Annotated[
    int | None,
    typer.Argument(
        min=1,
        max=MAX_MAILING_ID,
        autocompletion=completion.mailings,
        help="One mailing, in detail; without it, all of them.",
    ),
]
ByOption = Annotated[
    Breakdown | None, typer.Option("--by", help="Only the messages by this, a row for each.")
]
LimitOption = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="The newest so many mailings; a table on a terminal shows 20."),
]


SinceOption = Annotated[
    str | None,
    typer.Option("--since", metavar="TIME", help="Leave out what was over before: 7d, 12h, 2026-12-01."),
]
DailyOption = Annotated[
    bool, typer.Option("--daily", help="What happened on one day of UTC; nothing if nothing did.")
]
DateOption = Annotated[
    str | None, typer.Option("--date", metavar="DATE", help="With --daily: another day than yesterday.")
]


def report(
    mailing: MailingArgument = None,
    by: ByOption = None,
    since: SinceOption = None,
    limit: LimitOption = None,
    daily: DailyOption = False,
    date: DateOption = None,
    form: OutputOption = Format.TABLE,
) -> None:
    """Show how far mailings have come: all of them, or one in detail, or what happened on one day.

    Waiting and all statuses add up to the audience. With MAILING, json has arrays by zone, operator, tag,
    hour and error beside the totals; csv has the totals alone, or what --by asks for. late_p50, late_p95
    and late_max are the seconds from when messages could be sent until they were.
    """
    from mailer_cli.cli import daily_report

    if daily:
        if mailing is not None or by is not None or since is not None or limit is not None:
            raise typer.BadParameter("--daily goes with --date and -o only")
        daily_report.show(date, form)
        return
    if date is not None:
        raise typer.BadParameter("--date goes with --daily")
    _report(mailing, by, since, limit, form)


def _report(
    mailing: int | None, by: Breakdown | None, since: str | None, limit: int | None, form: Format
) -> None:
    from mailer_cli import database, hints, purged, reports, summaries
    from mailer_cli.cli import wiring

    if limit is None and form is Format.TABLE and sys.stdout.isatty():
        limit = _ON_A_TERMINAL
    wanted = _wanted(detail=mailing is not None, by=by, form=form)
    with wiring.connected() as connection, reports.snapshot(connection):
        begins = None if since is None else spans.since(since, database.fetch_value(connection, "now"))
        totals = reports.totals(connection, mailing=mailing, limit=limit, since=begins)
        parts: Parts = {by: summaries.asked_for(connection, totals, by)} if by else {}
        if by is None:
            parts = {aspect: summaries.parts(connection, totals[0], aspect) for aspect in wanted}
        standing = hints.health(connection)
    _show(totals, parts, by, form, detail=mailing is not None)
    if form is Format.TABLE:
        if mailing is None and since is None and len(totals) < standing.mailings:
            output.say(f"the newest {len(totals)} of {standing.mailings} mailings; --limit shows more")
        if unread := [aspect.value for aspect, found in parts.items() if found is None]:
            output.say(f"by {', '.join(unread)}: kept when it is over; --by reads all of its messages now")
        if mailing is not None and (purged_at := totals[0].purged_at):
            output.say(purged.told(mailing, purged_at))
        for hint in hints.hints(standing, [total for total in totals if total.purged_at is None]):
            output.say(hint)


def _wanted(*, detail: bool, by: Breakdown | None, form: Format) -> list[Breakdown]:
    if by is not None:
        return [by]
    return list(Breakdown) if detail and form is not Format.CSV else []


def _show(
    totals: list[Total],
    parts: Parts,
    by: Breakdown | None,
    form: Format,
    *,
    detail: bool,
) -> None:
    if by is not None:
        _show_parts(parts[by] or (), by, form, totals)
    elif form is not Format.TABLE:
        arrays = {
            f"{aspect}s": None if found is None else [_array_row(part, aspect) for part in found]
            for aspect, found in parts.items()
        }
        found = [{**_values(total, KEYS), **arrays} for total in totals]
        output.rows([*KEYS, *arrays], found, form)
    elif detail:
        _show_detail(totals[0], parts)
    else:
        show_totals(totals)


def show_totals(totals: Sequence[Total]) -> None:
    """Write mailings as a table, a row each, as wide as the terminal allows."""
    width = output.console().width
    bar = _BAR if width >= _WIDE else _SHORT_BAR
    rows = [
        {"id": t.mailing, **_cells(t, KEYS), "progress": charts.progress(t.final, t.audience, bar)}
        for t in totals
    ]
    counts = ["audience", "waiting", *columns.filled(STATUSES, rows)]
    wide = ["id", "state", "text", "starts_at", "ends_at", *counts, "progress"]
    kept, fitting = columns.fit(wide, rows, width, give_up=("ends_at", "starts_at", "state"), elastic="text")
    if "text" not in kept:  # then a mailing cannot be recognised: put its statuses below each other
        rows = [{**row, "messages": _statuses(row)} for row in rows]
        narrow = ["id", "state", "text", "audience", "messages", "progress"]
        kept, fitting = columns.fit(narrow, rows, width, give_up=("state",), elastic="text")
    output.rows(kept, fitting, Format.TABLE, empty=_NO_MAILINGS, right=("id", *_COUNTS))


def _show_detail(total: Total, parts: Parts) -> None:
    values = _values(total, KEYS)
    kept = [key for key in KEYS if key not in (*STATUSES, *LATE_KEYS)] + columns.filled(STATUSES, [values])
    shown = {key: values[key] for key in kept} | {
        "progress": charts.progress(total.final, total.audience, _BAR)
    }
    if lateness := spans.lateness(total.late_p50, total.late_p95, total.late_max):
        shown["sent late by"] = lateness
    output.item(shown, Format.TABLE)
    for aspect, found in parts.items():
        if found:
            output.line(f"\nby {aspect}")
            _show_parts(found, aspect, Format.TABLE, [total])


def _show_parts(parts: Sequence[Part], by: Breakdown, form: Format, totals: Sequence[Total]) -> None:
    if form is not Format.TABLE:
        output.rows(PART_KEYS[by], (_values(part, PART_KEYS[by]) for part in parts), form)
        return
    keys: Sequence[str] = PART_KEYS[by]
    rows = [_cells(part, keys) for part in parts]
    if by is Breakdown.HOUR:
        keys, rows = _histogram(keys, rows)
    counts = [key for key in keys if key in STATUSES]
    silent = {*counts} - {*columns.filled(counts, rows)}
    if len(totals) == 1:
        silent.add("mailing")
    kept, fitting = columns.fit(
        [key for key in keys if key not in silent],
        rows,
        output.console().width,
        give_up=("closes_at", "opens_at", "message_id"),
        elastic=by.value if by in {Breakdown.TAG, Breakdown.ERROR} else None,
    )
    empty = "no messages yet" if totals else _NO_MAILINGS
    output.rows(kept, fitting, Format.TABLE, empty=empty, right=("mailing", "message_id", *_COUNTS))


def _histogram(keys: Sequence[str], rows: list[dict[str, Any]]) -> tuple[Sequence[str], list[dict[str, Any]]]:
    most = max((row["sent"] for row in rows), default=0)
    drawn = [{**row, "histogram": charts.bar(row["sent"], most)} for row in rows]
    return (*keys, "histogram"), drawn


def _statuses(row: dict[str, Any]) -> str:
    return "\n".join(f"{status} {row[status]}" for status in ("waiting", *STATUSES) if row[status]) or "none"


def _values(value: Total | Part, keys: Sequence[str]) -> dict[str, Any]:
    return {key: getattr(value, key) for key in keys}


def _array_row(part: Part, by: Breakdown) -> dict[str, Any]:
    return _values(part, PART_KEYS[by][1:])


def _cells(value: Total | Part, keys: Sequence[str]) -> dict[str, Any]:
    return {
        key: columns.minute(found) if isinstance(found, datetime) else found
        for key, found in _values(value, keys).items()
    }
