"""How each kind of row of the history is told: what an entry has, and its line of text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mailer_cli.aspects import Kind
from mailer_cli.ids import message_id
from mailer_cli.statuses import Status

_SILENCE = timedelta(minutes=2)
_LONGEST = 80  # characters of a value in a line; the details have all of it

Conceal = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened."""

    time: datetime
    kind: Kind
    actor: str | None  # who did it, or on which host it was done
    mailing: int | None
    message: int | None
    client: int | None
    run: int | None
    text: str
    details: dict[str, Any]
    key: tuple[object, ...]  # tells it from every other


@dataclass(frozen=True, slots=True)
class Change:
    """Somebody changed a client, a mailing or a decision."""

    id: int
    at: datetime
    actor: str
    action: str
    mailing_id: int | None
    client_id: int | None
    old: dict[str, Any] | None
    new: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that was not accepted."""

    mailing_id: int
    client_id: int
    at: datetime
    attempt: int
    status: str
    http_status: int | None
    error: str | None
    run_id: int
    host: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was accepted."""

    at: datetime
    mailing_id: int
    client_id: int
    phone: str
    attempts: int
    http_status: int | None
    run_id: int | None
    host: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """One dispatch, under way or over."""

    at: datetime
    now: datetime
    id: int
    host: str
    pid: int
    started_at: datetime
    heartbeat_at: datetime
    ended_at: datetime | None
    claimed: int
    sent: int
    retrying: int
    failed: int
    unknown: int
    expired: int
    cancelled: int
    ending: str | None


def told_change(row: Change, conceal: Conceal) -> Entry:
    """Tell who changed what."""
    old, new = _concealed(row.old, conceal), _concealed(row.new, conceal)
    both = row.mailing_id is not None and row.client_id is not None
    message = message_id(row.mailing_id or 0, row.client_id or 0) if both else None
    difference = _difference(old or {}, new or {})
    return Entry(
        time=row.at,
        kind=Kind.CHANGE,
        actor=conceal(row.actor),
        mailing=row.mailing_id,
        message=message,
        client=row.client_id,
        run=None,
        text=_headline(row, message) + (f": {difference}" if difference else ""),
        details={"action": row.action, "old": old, "new": new},
        key=(Kind.CHANGE, row.id),
    )


def told_attempt(row: Attempt, conceal: Conceal) -> Entry:
    """Tell why a message was not accepted."""
    number = message_id(row.mailing_id, row.client_id)
    error = None if row.error is None else conceal(row.error)
    became = "in doubt" if row.status == Status.UNKNOWN else row.status
    return Entry(
        time=row.at,
        kind=Kind.ATTEMPT,
        actor=None if row.host is None else conceal(row.host),
        mailing=row.mailing_id,
        message=number,
        client=row.client_id,
        run=row.run_id,
        text=f"message {number}, attempt {row.attempt}, {became}: {error or 'no answer was kept'}",
        details={
            "attempt": row.attempt,
            "status": row.status,
            "http_status": row.http_status,
            "error": error,
        },
        key=(Kind.ATTEMPT, row.mailing_id, row.client_id, row.at),
    )


def told_sent(row: Sent, conceal: Conceal) -> Entry:
    """Tell when and by whom a message was sent."""
    number, phone = message_id(row.mailing_id, row.client_id), conceal(row.phone)
    by = "" if row.run_id is None else f" by run {row.run_id}"
    return Entry(
        time=row.at,
        kind=Kind.SENT,
        actor=None if row.host is None else conceal(row.host),
        mailing=row.mailing_id,
        message=number,
        client=row.client_id,
        run=row.run_id,
        text=f"message {number} sent to {phone}{by}, attempt {row.attempts}",
        details={"phone": phone, "attempt": row.attempts, "http_status": row.http_status},
        key=(Kind.SENT, row.mailing_id, row.client_id),
    )


def told_run(row: Run, conceal: Conceal) -> Entry:
    """Tell how a dispatch went."""
    counts = {name: getattr(row, name) for name in ("claimed", *_COUNTED)}
    return Entry(
        time=row.at,
        kind=Kind.RUN,
        actor=conceal(row.host),
        mailing=None,
        message=None,
        client=None,
        run=row.id,
        text=_course(row, counts),
        details={
            "pid": row.pid,
            "started_at": row.started_at,
            "heartbeat_at": row.heartbeat_at,
            "ended_at": row.ended_at,
            "ending": row.ending,
            **counts,
        },
        key=(Kind.RUN, row.id, row.ended_at is not None),
    )


_COUNTED = ("sent", "retrying", "failed", "unknown", "expired", "cancelled")


def _course(row: Run, counts: dict[str, int]) -> str:
    """Say how a run went."""
    done = ", ".join(f"{name} {number}" for name, number in counts.items() if number) or "nothing to do"
    if row.ended_at is not None:
        seconds = (row.ended_at - row.started_at).total_seconds()
        return f"run {row.id} ended after {seconds:.1f} s, {row.ending}: {done}"
    if row.now - row.heartbeat_at <= _SILENCE:
        return f"run {row.id} started and is under way: {done}"
    heard = row.heartbeat_at.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
    return f"run {row.id} started and never ended, last heard of at {heard}: {done}"


def _headline(row: Change, message: int | None) -> str:
    """Put the id into what was done: `mailing paused` is `mailing 3 paused`."""
    subject, _, rest = row.action.partition(" ")
    number = {"mailing": row.mailing_id, "client": row.client_id, "message": message}.get(subject)
    if number is not None:
        return f"{subject} {number} {rest}"
    return row.action if row.mailing_id is None else f"{row.action} (mailing {row.mailing_id})"


def _difference(old: dict[str, Any], new: dict[str, Any]) -> str:
    parts = []
    for name in dict.fromkeys([*old, *new]):
        if name not in old:
            parts.append(f"{name} {_short(new[name])}" if new[name] not in (None, [], "") else "")
        elif name not in new:
            parts.append(f"{name} was {_short(old[name])}" if old[name] not in (None, [], "") else "")
        elif old[name] != new[name]:
            parts.append(f"{name} {_short(old[name])} → {_short(new[name])}")
    return ", ".join(filter(None, parts))


def _short(value: object) -> str:
    if isinstance(value, list):
        value = ",".join(map(str, value))
    text = " ".join(str("" if value is None else value).split())
    return "none" if not text else text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _concealed(value: Any, conceal: Conceal) -> Any:
    """Conceal every text in a value, however deep."""
    if isinstance(value, str):
        return conceal(value)
    if isinstance(value, Sequence):
        return [_concealed(each, conceal) for each in value]
    if isinstance(value, dict):
        return {conceal(name): _concealed(each, conceal) for name, each in value.items()}
    return value
