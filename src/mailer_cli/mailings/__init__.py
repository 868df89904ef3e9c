"""Mailings: a text for an audience between two wall-clock times, and what may be done to one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from mailer_cli import database, events, windows
from mailer_cli.database import Connection
from mailer_cli.errors import InvalidStateError, NotFoundError, PurgedError
from mailer_cli.ids import MAX_MAILING_ID, SHARDS
from mailer_cli.mailings.plan import Plan, facts, plan_of, require_opens
from mailer_cli.statuses import MailingState
from mailer_cli.tables import Mailing

__all__ = [
    "Outlook",
    "Plan",
    "cancel",
    "cancellable",
    "create",
    "find",
    "listed",
    "outlook",
    "pause",
    "plan_of",
    "refresh",
    "require_opens",
    "resume",
    "update",
]

_OPEN = frozenset({MailingState.DRAFT, MailingState.ACTIVE, MailingState.PAUSED})
_NEW_ONE = "make a new one with `mailer mailing create`"


@dataclass(frozen=True, slots=True)
class Outlook:
    """Zones that have a window, those where it is over, and when the next one opens."""

    zones: int
    zones_over: int
    next_opening: datetime | None


def create(
    session: Session, connection: Connection, actor: str, plan: Plan, *, draft: bool = False
) -> Mailing:
    """Make a mailing and its windows; the engine does the rest as they open."""
    require_opens(connection, plan)
    state = MailingState.DRAFT if draft else MailingState.ACTIVE
    values = asdict(plan.checked()) | {"operator_codes": list(plan.operator_codes), "tags": list(plan.tags)}
    mailing = Mailing(**values, state=state.value)
    session.add(mailing)
    session.flush()
    session.refresh(mailing)
    windows.derive(connection, [mailing.id or 0])
    events.record(connection, actor, "mailing created", mailing_id=mailing.id, new=facts(plan_of(mailing)))
    return mailing


def find(session: Session, mailing_id: int, *, lock: bool = True) -> Mailing:
    """Return one mailing, locked until the transaction ends if `lock`; raise NotFoundError."""
    found = None
    if 0 < mailing_id <= MAX_MAILING_ID:
        query = select(Mailing).where(Mailing.id == mailing_id)
        # Not against new windows, which only point at the mailing: a tick does not wait for an edit.
        found = session.exec(query.with_for_update(key_share=True) if lock else query).first()
    if found is None:
        raise NotFoundError(f"no mailing {mailing_id}; see `mailer mailing list`")
    return found


def listed(connection: Connection, states: Collection[MailingState] | None) -> list[dict[str, Any]]:
    """Return the mailings in these states, or all, newest first."""
    from psycopg.rows import dict_row

    names = None if states is None else [state.value for state in states]
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(database.statement("mailing_list"), {"states": names}).fetchall()


def outlook(connection: Connection, mailing_id: int) -> Outlook:
    """Return how far the clock has come with a mailing."""
    found = database.fetch_one(connection, "mailing_windows", Outlook, mailing_id=mailing_id)
    return found or Outlook(0, 0, None)


def update(
    session: Session, connection: Connection, actor: str, mailing: Mailing, changes: dict[str, Any]
) -> list[str]:
    """Change a mailing for all who were not sent to yet; return the names of what changed.

    Claims made before are refused at their next start, and the clients in them claimed anew.
    """
    _require_unfinished(mailing)
    old = plan_of(mailing)
    new = replace(old, **changes).checked()
    before, after = facts(old), facts(new)
    changed = [name for name in after if after[name] != before[name]]
    if not changed:
        return []
    require_opens(connection, new)
    for name in changed:
        value = getattr(new, name)
        setattr(mailing, name, list(value) if isinstance(value, tuple) else value)
    _bump(session, mailing)
    windows.derive(connection, [mailing.id or 0])
    if {"operator_codes", "tags"} & set(changed):
        _reconsider(connection, mailing)
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
    _require_kept(mailing)
    if mailing.state == MailingState.PAUSED:
        return False
    _require(mailing, {MailingState.ACTIVE}, "paused")
    _become(session, connection, actor, mailing, MailingState.PAUSED)
    return True


def resume(session: Session, connection: Connection, actor: str, mailing: Mailing) -> bool:
    """Send a paused mailing, or a draft; False if it is active already."""
    _require_kept(mailing)
    if mailing.state == MailingState.ACTIVE:
        return False
    _require(mailing, {MailingState.PAUSED, MailingState.DRAFT}, "resumed")
    drafted = mailing.state == MailingState.DRAFT
    _become(session, connection, actor, mailing, MailingState.ACTIVE)
    if drafted:
        database.execute(connection, "mailing_activate", mailing_id=mailing.id)
        windows.derive(connection, [mailing.id or 0])
    _wake(connection, mailing)
    return True


def cancel(session: Session, connection: Connection, actor: str, mailing: Mailing) -> bool:
    """Send nothing more of this mailing, ever; False if it is cancelled already.

    Clients not reached get a cancelled message from the next tick on.
    """
    if not cancellable(mailing):
        return False
    _become(session, connection, actor, mailing, MailingState.CANCELLED)
    _wake(connection, mailing)
    return True


def cancellable(mailing: Mailing) -> bool:
    """Tell whether there is anything to cancel: False if it is cancelled already; raise if it is over."""
    _require_kept(mailing)
    if mailing.state == MailingState.CANCELLED:
        return False
    _require(mailing, set(_OPEN), "cancelled")
    return True


def refresh(connection: Connection, actor: str, mailing: Mailing) -> int:
    """Admit clients who registered after their window had opened; return how many."""
    _require_unfinished(mailing)
    windows.derive(connection, [mailing.id or 0])
    last_client_id: int | None = database.fetch_value(connection, "mailing_last_client")
    admitted = sum(_admit(connection, shard, mailing, last_client_id or 0) for shard in range(SHARDS))
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


def _wake(connection: Connection, mailing: Mailing) -> None:
    for shard in range(SHARDS):
        database.execute(connection, "retry_wake", shard=shard, mailing_ids=[mailing.id])


def _reconsider(connection: Connection, mailing: Mailing) -> None:
    for shard in range(SHARDS):
        database.execute(connection, "mailing_lock", shard=shard, mailing_id=mailing.id)
        database.execute(connection, "mailing_reconsider", shard=shard, mailing_id=mailing.id)


def _admit(connection: Connection, shard: int, mailing: Mailing, last_client_id: int) -> int:
    where = {"shard": shard, "mailing_id": mailing.id}
    database.execute(connection, "mailing_lock", **where)
    database.execute(connection, "mailing_open", **where)
    found = database.execute(connection, "mailing_newcomers", last_client_id=last_client_id, **where)
    newcomers: dict[str, int] = dict(found.fetchall())
    if newcomers:
        zones, numbers = list(newcomers), list(newcomers.values())
        values = where | {"zones": zones, "newcomers": numbers, "last_client_id": last_client_id}
        database.execute(connection, "mailing_refresh", **values)
    return sum(newcomers.values())


def _require(mailing: Mailing, states: set[MailingState], participle: str) -> None:
    if mailing.state in states:
        return
    draft = mailing.state == MailingState.DRAFT
    way_out = f"nothing of it is sent until `mailer mailing resume {mailing.id}`" if draft else _NEW_ONE
    raise InvalidStateError(f"mailing {mailing.id} is {_noun(mailing)} and cannot be {participle}; {way_out}")


def _require_unfinished(mailing: Mailing) -> None:
    _require_kept(mailing)
    if mailing.state not in _OPEN:
        raise InvalidStateError(f"mailing {mailing.id} is {mailing.state}; {_NEW_ONE}")


def _require_kept(mailing: Mailing) -> None:
    if mailing.purged_at is not None:
        raise PurgedError(mailing.id or 0, mailing.purged_at)


def _noun(mailing: Mailing) -> str:
    return "a draft" if mailing.state == MailingState.DRAFT else mailing.state
