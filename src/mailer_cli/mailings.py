"""Mailings: a text for an audience between two wall-clock times, and what may be done to one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from mailer_cli import database, events, windows
from mailer_cli.database import Connection
from mailer_cli.errors import InvalidStateError, InvalidValueError, NotFoundError
from mailer_cli.ids import MAX_MAILING_ID, SHARDS
from mailer_cli.statuses import MailingState
from mailer_cli.tables import Mailing

TEXT_LIMIT = 10_000  # characters
_OPEN = frozenset({MailingState.DRAFT, MailingState.ACTIVE, MailingState.PAUSED})


@dataclass(frozen=True, slots=True)
class Plan:
    """What an operator decides about a mailing; hours and weekdays as their canonical text."""

    text: str
    starts_at: datetime
    ends_at: datetime
    zone: str | None = None
    hours: str | None = None
    weekdays: str | None = None
    operator_codes: Sequence[str] = ()
    tags: Sequence[str] = ()
    priority: int = 0

    @property
    def schedule(self) -> windows.Schedule:
        """What of it decides the windows; id 0 stands for a mailing not made yet."""
        return windows.Schedule(0, self.starts_at, self.ends_at, self.zone, self.hours, self.weekdays)

    def checked(self) -> Plan:
        """Return the plan; raise InvalidValueError for what can never be sent."""
        if not self.text.strip():
            raise InvalidValueError("text", "it is empty; write what is to be sent")
        if "\x00" in self.text:
            raise InvalidValueError("text", "it holds a NUL character; leave it out")
        if len(self.text) > TEXT_LIMIT:
            raise InvalidValueError("text", f"it has {len(self.text)} characters; {TEXT_LIMIT} are the most")
        if self.starts_at >= self.ends_at:
            raise InvalidValueError("end", "it is not after the start; give a later --end")
        return self


def create(
    session: Session, connection: Connection, actor: str, plan: Plan, *, draft: bool = False
) -> Mailing:
    """Make a mailing and its windows; the engine does the rest as they open."""
    state = MailingState.DRAFT if draft else MailingState.ACTIVE
    values = asdict(plan.checked()) | {"operator_codes": list(plan.operator_codes), "tags": list(plan.tags)}
    mailing = Mailing(**values, state=state.value)
    session.add(mailing)
    session.flush()
    session.refresh(mailing)
    windows.derive(connection, [mailing.id or 0])
    events.record(connection, actor, "mailing created", mailing_id=mailing.id, new=_facts(plan_of(mailing)))
    return mailing


def find(session: Session, mailing_id: int) -> Mailing:
    """Return one mailing, locked until the transaction ends; raise NotFoundError."""
    found = None
    if 0 < mailing_id <= MAX_MAILING_ID:
        found = session.exec(select(Mailing).where(Mailing.id == mailing_id).with_for_update()).first()
    if found is None:
        raise NotFoundError(f"no mailing {mailing_id}; see `mailer mailing list`")
    return found


def plan_of(mailing: Mailing) -> Plan:
    """Return what was decided about a mailing."""
    return Plan(
        mailing.text,
        mailing.starts_at,
        mailing.ends_at,
        mailing.zone,
        mailing.hours,
        mailing.weekdays,
        tuple(mailing.operator_codes),
        tuple(mailing.tags),
        mailing.priority,
    )


def update(
    session: Session, connection: Connection, actor: str, mailing: Mailing, changes: dict[str, Any]
) -> list[str]:
    """Change a mailing for all who were not sent to yet; return the names of what changed.

    Claims made before are refused at their next start, and the clients in them claimed anew.
    """
    _require_unfinished(mailing)
    old = plan_of(mailing)
    new = replace(old, **changes).checked()
    before, after = _facts(old), _facts(new)
    changed = [name for name in after if after[name] != before[name]]
    if not changed:
        return []
    for name in changed:
        value = getattr(new, name)
        setattr(mailing, name, list(value) if isinstance(value, tuple) else value)
    _bump(session, mailing)
    windows.derive(connection, [mailing.id or 0])
    if {"operator_codes", "tags"} & set(changed):
        _each_shard(connection, "mailing_reconsider", mailing)
    events.record(
        connection,
        actor,
        "mailing updated",
        mailing_id=mailing.id,
        old={name: before[name] for name in changed},
        new={name: after[name] for name in changed},
    )
    return changed


def pause(session: Session, connection: Connection, actor: str, mailing: Mailing) -> bool:
    """Start nothing more of this mailing until it is resumed; False if it is paused already."""
    if mailing.state == MailingState.PAUSED:
        return False
    _require(mailing, {MailingState.ACTIVE}, "paused")
    _become(session, connection, actor, mailing, MailingState.PAUSED)
    return True


def resume(session: Session, connection: Connection, actor: str, mailing: Mailing) -> bool:
    """Send a paused mailing, or a draft; False if it is active already."""
    if mailing.state == MailingState.ACTIVE:
        return False
    _require(mailing, {MailingState.PAUSED, MailingState.DRAFT}, "resumed")
    drafted = mailing.state == MailingState.DRAFT
    _become(session, connection, actor, mailing, MailingState.ACTIVE)
    if drafted:
        database.execute(connection, "mailing_activate", mailing_id=mailing.id)
        windows.derive(connection, [mailing.id or 0])
    _each_shard(connection, "retry_wake", mailing)
    return True


def cancel(session: Session, connection: Connection, actor: str, mailing: Mailing) -> bool:
    """Send nothing more of this mailing, ever; False if it is cancelled already.

    Clients not reached get a cancelled message from the next tick on.
    """
    if mailing.state == MailingState.CANCELLED:
        return False
    _require(mailing, set(_OPEN), "cancelled")
    _become(session, connection, actor, mailing, MailingState.CANCELLED)
    _each_shard(connection, "retry_wake", mailing)
    return True


def refresh(session: Session, connection: Connection, actor: str, mailing: Mailing) -> int:
    """Admit clients who registered after their window had opened; return how many."""
    _require_unfinished(mailing)
    session.flush()
    admitted = 0
    for shard in range(SHARDS):
        admitted += database.fetch_value(connection, "mailing_newcomers", shard=shard, mailing_id=mailing.id)
        database.execute(connection, "mailing_refresh", shard=shard, mailing_id=mailing.id)
    if admitted:
        events.record(
            connection, actor, "mailing refreshed", mailing_id=mailing.id, new={"admitted": admitted}
        )
    return admitted


def _become(
    session: Session, connection: Connection, actor: str, mailing: Mailing, state: MailingState
) -> None:
    old = mailing.state
    mailing.state = state.value
    _bump(session, mailing)
    events.record(
        connection,
        actor,
        f"mailing {state.value}",
        mailing_id=mailing.id,
        old={"state": old},
        new={"state": state.value},
    )


def _bump(session: Session, mailing: Mailing) -> None:
    # What is claimed was claimed under another reading of the mailing: its next start is refused.
    mailing.version += 1
    session.add(mailing)
    session.flush()


def _each_shard(connection: Connection, name: str, mailing: Mailing) -> None:
    for shard in range(SHARDS):
        database.execute(connection, name, shard=shard, mailing_ids=[mailing.id])


def _require(mailing: Mailing, states: set[MailingState], participle: str) -> None:
    if mailing.state not in states:
        raise InvalidStateError(f"mailing {mailing.id} is {mailing.state} and cannot be {participle}")


def _require_unfinished(mailing: Mailing) -> None:
    if mailing.state not in _OPEN:
        raise InvalidStateError(
            f"mailing {mailing.id} is {mailing.state}; make a new one with `mailer mailing create`"
        )


def _facts(plan: Plan) -> dict[str, Any]:
    plain = replace(plan, operator_codes=tuple(plan.operator_codes), tags=tuple(plan.tags))
    return {
        name: value.isoformat(sep=" ") if isinstance(value, datetime) else value
        for name, value in asdict(plain).items()
    }
