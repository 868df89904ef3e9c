"""How times, people and errors are put into a sentence."""

from __future__ import annotations

from datetime import UTC, datetime

from mailer_cli import localtime
from mailer_cli.explanations.facts import Facts


def moment(facts: Facts, instant: datetime | None) -> str:
    """Return an instant in UTC and on the client's clock: `2026-11-23 07:00Z (10:00 in Europe/Moscow)`."""
    if instant is None:
        return "an unknown time"
    here, there = instant.astimezone(UTC), local(facts, instant)
    day = "" if here.date() == there.date() else f"{there:%Y-%m-%d} "
    return f"{here:%Y-%m-%d %H:%M}Z ({day}{there:%H:%M} in {facts.timezone})"


def second(facts: Facts, instant: datetime | None) -> str:
    """The same to the second, for what has happened to a message."""
    if instant is None:
        return "an unknown time"
    here, there = instant.astimezone(UTC), local(facts, instant)
    day = "" if here.date() == there.date() else f"{there:%Y-%m-%d} "
    return f"{here:%Y-%m-%d %H:%M:%S}Z ({day}{there:%H:%M:%S} in {facts.timezone})"


def clock(facts: Facts, instant: datetime) -> str:
    """Return what the client's clock shows, and UTC; days only where they are not today's."""
    there, today = local(facts, instant), local(facts, facts.now).date()
    form = "%H:%M" if there.date() == today else "%Y-%m-%d %H:%M"
    here = instant.astimezone(UTC)
    utc_form = "%H:%MZ" if here.date() == facts.now.astimezone(UTC).date() else "%Y-%m-%d %H:%MZ"
    return f"{there.strftime(form)} ({here.strftime(utc_form)})"


def local(facts: Facts, instant: datetime) -> datetime:
    """Return an instant on the client's clock."""
    return instant.astimezone(localtime.find_zone(facts.timezone))


def because(reason: str | None) -> str:
    """Return a reason in brackets, nothing without one."""
    return f" ({reason})" if reason else ""


def by(actor: str | None) -> str:
    """Return who did it, nothing if that is not known."""
    return f" by {actor}" if actor else ""


def by_run(facts: Facts) -> str:
    """Return which run did it, and where."""
    if facts.run_id is None:
        return ""
    return f" by run {facts.run_id}" + (f" on {facts.host}" if facts.host else "")


def tries(facts: Facts) -> str:
    """Return how often the service was asked."""
    return "1 attempt" if facts.attempts == 1 else f"{facts.attempts or 0} attempts"


def error(facts: Facts) -> str:
    """Return what went wrong last."""
    return facts.error or facts.last_error or "no reason was kept"
