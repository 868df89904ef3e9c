"""`mailer report --daily`: what happened on one day, fit for a mail from cron."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mailer_cli.cli import output, spans
from mailer_cli.cli.output import Format
from mailer_cli.errors import InvalidValueError
from mailer_cli.statuses import Status

if TYPE_CHECKING:
    from mailer_cli.reports import Day, DayPart

STATUSES = tuple(status.value for status in Status)
KEYS = ("date", "mailing", "text", "state", "sent_that_day", "audience", "waiting", *STATUSES)
_TABLE_KEYS = ("mailing", "text", "state", "sent_that_day", "waiting", "failed", "unknown", "expired")
_TEXT = 24  # characters of a mailing's text: a mail is read in any width


def show(wanted: str | None, form: Format) -> None:
    """Write what happened on a day of UTC, yesterday unless named; nothing if nothing did."""
    from mailer_cli import reports
    from mailer_cli.cli import wiring

    day = _date(wanted)
    with wiring.connected() as connection, reports.snapshot(connection):
        found = reports.day(connection, day)
    if form is not Format.TABLE:
        output.rows(KEYS, [_row(day, part) for part in found.mailings], form)
    elif found.mailings or found.errors or found.runs.bad:
        _write(day, found)


def _date(wanted: str | None) -> date:
    if wanted is None:
        return (datetime.now(UTC) - timedelta(days=1)).date()
    try:
        return date.fromisoformat(wanted)
    except ValueError:
        raise InvalidValueError("date", f"{wanted[:40]!r} is no date; give one such as 2026-12-01") from None


def _row(day: date, part: DayPart) -> dict[str, Any]:
    total = part.total
    return {
        "date": day.isoformat(),
        **{key: getattr(total, key) for key in KEYS if hasattr(total, key)},
        "sent_that_day": part.sent,
    }


def _write(day: date, found: Day) -> None:
    sent = sum(part.sent for part in found.mailings)
    late = found.lateness and spans.lateness(*asdict(found.lateness).values())
    output.line(f"{day.isoformat()} (UTC): {sent} sent{f'; {late}' if late else ''}")
    output.line(
        f"{found.runs.runs} runs of dispatch on {found.runs.hosts} hosts, {found.runs.bad} of them went wrong"
    )
    rows = [_row(day, part) | {"text": part.total.text[:_TEXT]} for part in found.mailings]
    if rows:
        output.line("")
        output.rows(_TABLE_KEYS, rows, Format.TABLE, right=_TABLE_KEYS[3:])
    if found.errors:
        output.line("\nerrors of attempts")
        keys = ("mailing", "count", "http_status", "error")
        output.rows(keys, [asdict(error) for error in found.errors], Format.TABLE, right=keys[:3])
