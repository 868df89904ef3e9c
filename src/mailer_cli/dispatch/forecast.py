"""What a dispatch would send at some instant, and why: read only, nothing is claimed or derived."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from mailer_cli import database, localtime, windows
from mailer_cli.database import Connection
from mailer_cli.statuses import MailingState


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would be sent of one mailing in one zone."""

    mailing: int
    zone: str
    due: int
    opens_at: datetime
    closes_at: datetime
    waiting: int
    why: str


@dataclass(frozen=True, slots=True)
class _Number:
    mailing_id: int
    zone: str
    number: int


def forecast(connection: Connection, at: datetime | None = None) -> list[Forecast]:
    """Return, for each unfinished mailing and zone with clients left, what a dispatch at `at` would send.

    `at` is an instant with an offset; None means now, by the database's clock. Most urgent first.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        now: datetime = database.fetch_value(connection, "now")
        at = at or now
        held: str | None = database.fetch_value(connection, "hold_reason")
        mailings = {m.mailing_id: m for m in windows.unfinished(connection)}
        waiting = _numbers(database.fetch(connection, "forecast_waiting", _Number))
        retries = _numbers(database.fetch(connection, "forecast_retries", _Number, at=at))
    found = [
        _judge(mailings[mailing_id], zone, at, waiting.get(key, 0), retries.get(key, 0), held)
        for key in sorted(waiting.keys() | retries.keys())
        for mailing_id, zone in [key]
        if localtime.is_known(zone)
    ]
    urgency = {mailing_id: -mailing.priority for mailing_id, mailing in mailings.items()}
    return sorted(found, key=lambda f: (f.due == 0, f.closes_at, urgency[f.mailing], f.mailing, f.zone))


def _numbers(rows: list[_Number]) -> dict[tuple[int, str], int]:
    return {(row.mailing_id, row.zone): row.number for row in rows}


def _judge(
    mailing: windows.Unfinished, zone: str, at: datetime, waiting: int, retries: int, held: str | None
) -> Forecast:
    span = windows.span(mailing, zone, at)
    why = _hindrance(mailing, span, at, held)
    due = 0 if why else waiting + retries
    if not why:
        why = f"open until {_clock(span.sendable_until)}"
        if retries:
            why += f"; {retries} of them are retries"
    return Forecast(mailing.mailing_id, zone, due, span.opens_at, span.closes_at, waiting + retries, why)


def _hindrance(mailing: windows.Unfinished, span: windows.Span, at: datetime, held: str | None) -> str | None:
    """Say what keeps this window from being sent at `at`; None if nothing does."""
    if span.opens_at >= span.closes_at:
        return "never opens here: its start and end leave no time"
    if at >= span.closes_at:
        return f"closed {_clock(span.closes_at)}: these would expire"
    if mailing.state != MailingState.ACTIVE:
        return f"the mailing is {'a draft' if mailing.state == MailingState.DRAFT else mailing.state}"
    if held is not None:
        return f"sending is held: {held}"
    if at < span.opens_at:
        return f"opens {_clock(span.opens_at)}"
    if not span.sendable_from <= at < span.sendable_until:
        return f"outside the allowed hours or days until {_clock(span.sendable_from)}"
    return None


def _clock(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
