"""What an operator should hear beside the numbers: sending held, the service down, cron silent, doubts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from mailer_cli import database
from mailer_cli.database import Connection
from mailer_cli.ids import SHARDS

SILENCE = timedelta(minutes=2)  # cron comes round every minute
_SOON = timedelta(minutes=10)  # until a wait is over: then its seconds matter
_NAMED = 3  # mailings in doubt; the rest are only counted


class InDoubt(Protocol):
    """A mailing and how many of its messages are in doubt."""

    @property
    def mailing(self) -> int: ...  # noqa: D102 - says what it is by its name
    @property
    def unknown(self) -> int: ...  # noqa: D102 - says what it is by its name


class Home(Protocol):
    """Whether this database is the one that sent last, as it was then."""

    @property
    def copied(self) -> bool: ...  # noqa: D102 - says what it is by its name
    @property
    def promoted(self) -> bool: ...  # noqa: D102 - says what it is by its name


@dataclass(frozen=True, slots=True)
class Health:
    """How sending stands as a whole."""

    now: datetime
    mailings: int
    last_run_at: datetime | None
    neglected: bool  # work has been due for two minutes
    copied: bool  # another database sent last
    promoted: bool  # this one did, in another life: it was a standby then, or a backup
    held_at: datetime | None
    held_by: str | None
    hold_reason: str | None
    token_rejected_at: datetime | None
    blocked_until: datetime | None  # None once that is over
    block_reason: str | None
    broken_at: datetime | None  # since when the breaker is open
    break_reason: str | None
    probe_after: datetime | None  # when one message tries the service again
    probing: bool  # one is trying it now


def health(connection: Connection) -> Health:
    """Read how sending stands."""
    found = database.fetch_one(connection, "report_health", Health, shards=list(range(SHARDS)))
    if found is None:
        raise LookupError("the row that every database has is gone: service")
    return found


def hints(standing: Health, mailings: Iterable[InDoubt]) -> Iterator[str]:
    """Yield what the operator should know, and what to do about it."""
    yield from gate(standing)
    if standing.held_at is None and standing.neglected:
        yield from _silence(standing)
    yield from _in_doubt([mailing for mailing in mailings if mailing.unknown])


def gate(standing: Health) -> Iterator[str]:
    """Yield what stands between due messages and the service."""
    return (says for _, says in obstacles(standing))


def obstacles(standing: Health) -> Iterator[tuple[str, str]]:
    """Yield the same, each with a word for what it is: home, held, token, blocked, service."""
    if says := home(standing):
        yield "home", says
    if standing.held_at is not None:
        who = f" by {standing.held_by}" if standing.held_by else ""
        reason = f": {standing.hold_reason}" if standing.hold_reason else ""
        says = f"sending is held since {_at(standing.held_at)}{who}{reason}; `mailer release` starts it again"
        yield "held", says
    if standing.token_rejected_at is not None:
        when = _at(standing.token_rejected_at)
        says = f"the message service rejected the token at {when}; the next run tries it with one message"
        yield "token", says
    if standing.blocked_until is not None:
        reason = f": {standing.block_reason}" if standing.block_reason else ""
        yield "blocked", f"sending waits until {_until(standing.blocked_until, standing.now)}{reason}"
    if standing.broken_at is not None:
        reason = f" ({standing.break_reason})" if standing.break_reason else ""
        says = f"the message service fails since {_at(standing.broken_at)}{reason}; {_probe(standing)}"
        yield "service", says


def home(standing: Home) -> str | None:
    """Say why this is not the database to send from, None if it is."""
    if standing.copied:
        says = "this database is a copy of the one that sent before, and sends nothing"
        return f"{says}; see `mailer release --help` on --new-home"
    if standing.promoted:
        says = "this database was restored or promoted, and sends nothing until it is known who is in doubt"
        return f"{says}; see `mailer recover --help`"
    return None


def _probe(standing: Health) -> str:
    """Tell when it will be found out whether the service is well again."""
    if standing.probing:
        return "one message is trying it again now"
    if standing.held_at is not None:
        return "one message tries it again after the release"
    waits = [until for until in (standing.probe_after, standing.blocked_until) if until is not None]
    if waits and max(waits) > standing.now:
        return f"one message tries it again at {_until(max(waits), standing.now)}"
    return "one message tries it again with the next run"


def _silence(standing: Health) -> Iterator[str]:
    ask = "is cron running? see `mailer cron`"
    if standing.last_run_at is None:
        yield f"messages are due and no dispatch has ever run; {ask}"
    elif standing.now - standing.last_run_at > SILENCE:
        yield f"no dispatch has run for {age(standing.now - standing.last_run_at)}; {ask}"


def _in_doubt(mailings: Sequence[InDoubt]) -> Iterator[str]:
    for mailing in mailings[:_NAMED]:
        count = "1 message is" if mailing.unknown == 1 else f"{mailing.unknown} messages are"
        see = f"`mailer message list --mailing {mailing.mailing} --status unknown`"
        yield f"unknown: {count} in doubt; see {see}"
    if rest := sum(mailing.unknown for mailing in mailings[_NAMED:]):
        yield f"unknown: {rest} more in doubt in other mailings; see `mailer message list --status unknown`"


def age(span: timedelta) -> str:
    """Return a span in the largest unit that it fills at least twice: `14 minutes`, `3 hours`, `2 days`."""
    minutes = int(span.total_seconds()) // 60
    for unit, length in (("days", 1440), ("hours", 60)):
        if minutes >= 2 * length:
            return f"{minutes // length} {unit}"
    return f"{minutes} minutes"


def _until(instant: datetime, now: datetime) -> str:
    return _at(instant) if instant - now > _SOON else f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _at(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
