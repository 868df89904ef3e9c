"""All that decides whether one client gets one mailing, read in two statements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from mailer_cli import database, windows
from mailer_cli.database import Connection
from mailer_cli.errors import NotFoundError
from mailer_cli.ids import MAX_MAILING_ID, SHARDS, message_id, shard_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What there is to know, at `now` by the database's clock. None of it is decided here."""

    now: datetime

    client_id: int
    phone: str
    operator_code: str
    tag: str | None
    timezone: str
    muted_at: datetime | None
    mute_reason: str | None
    removed_at: datetime | None
    registered_at: datetime
    gone_at: datetime | None  # when last muted or removed, even if that is undone
    gone_action: str | None
    gone_reason: str | None

    mailing_id: int
    state: str
    starts_at: datetime
    ends_at: datetime
    zone: str | None
    hours: str | None
    weekdays: str | None
    operator_codes: list[str]
    tags: list[str]
    priority: int
    activated_at: datetime
    finished_at: datetime | None
    purged_at: datetime | None  # since then, no message does not mean that there was none
    state_since: datetime | None
    state_by: str | None

    window_state: str | None  # None: not stored yet; then `load` works out the times
    opens_at: datetime
    closes_at: datetime
    sendable_from: datetime
    sendable_until: datetime
    frozen_at: datetime | None
    last_client_id: int | None
    position: int | None
    catching_up: bool

    status: str | None  # None: no message yet
    sent_to: str | None
    attempts: int | None
    turn: int | None
    claimed_at: datetime | None
    sent_at: datetime | None
    http_status: int | None
    error: str | None
    retry_at: datetime | None
    attempted_at: datetime | None  # the last request that was not accepted
    last_error: str | None
    settled_at: datetime | None  # by an operator, when it was in doubt
    settled_by: str | None
    settled_as: str | None
    started: bool | None  # of a claim: whether the request may be under way
    lease_until: datetime | None
    run_id: int | None
    host: str | None
    run_started_at: datetime | None

    held_at: datetime | None
    held_by: str | None
    hold_reason: str | None
    token_rejected_at: datetime | None
    broken_at: datetime | None
    break_reason: str | None
    probe_after: datetime | None
    blocked_until: datetime | None
    block_reason: str | None
    copied: bool
    promoted: bool

    last_run_id: int | None
    last_run_host: str | None
    last_run_at: datetime | None
    last_run_ending: str | None
    per_second: float | None  # what all dispatchers together send at present

    ahead: int | None = None  # in its window, in its shard
    ahead_elsewhere: int | None = None  # in more urgent windows, in its shard

    @property
    def message_id(self) -> int:
        """The number the message has, or would have."""
        return message_id(self.mailing_id, self.client_id)

    @property
    def expected_at(self) -> datetime | None:
        """When its turn comes at the present rate; the shards are worked through side by side."""
        if not self.per_second or self.ahead is None:
            return None
        seconds = (self.ahead + (self.ahead_elsewhere or 0)) * SHARDS / self.per_second
        return self.now + timedelta(seconds=min(seconds, 10.0**8))


@dataclass(frozen=True, slots=True)
class _Ahead:
    ahead: int
    ahead_elsewhere: int


def load(connection: Connection, client_id: int, mailing_id: int) -> Facts:
    """Read what concerns a client and a mailing; raise NotFoundError for an unknown mailing."""
    found = None
    if mailing_id <= MAX_MAILING_ID:
        shard = shard_of(client_id)
        found = database.fetch_one(
            connection, "why", Facts, shard=shard, client_id=client_id, mailing_id=mailing_id
        )
    if found is None:
        raise NotFoundError(f"no mailing {mailing_id}; see `mailer mailing list`")
    return _with_window(found)


def with_queue(connection: Connection, facts: Facts) -> Facts:
    """Count who comes before a client that is waiting."""
    position = facts.position or 0
    passed = facts.client_id <= position and not facts.catching_up
    found = database.fetch_one(
        connection,
        "why_ahead",
        _Ahead,
        shard=shard_of(facts.client_id),
        zone=facts.timezone,
        after=position,
        # Behind the cursor: the catch-up pass comes when this one is through.
        before=(facts.last_client_id or facts.client_id) + 1 if passed else facts.client_id,
        frozen_at=facts.frozen_at,
        operator_codes=facts.operator_codes,
        tags=facts.tags,
        catching_up=facts.catching_up,
        mailing_id=facts.mailing_id,
        closes_at=facts.closes_at,
        priority=facts.priority,
    )
    assert found is not None  # noqa: S101 - an aggregate always has a row
    return replace(facts, ahead=found.ahead, ahead_elsewhere=found.ahead_elsewhere)


def _with_window(facts: Facts) -> Facts:
    """Work out the window that no dispatch has stored yet, or not since its last stretch of hours ended."""
    stale = facts.window_state is None or facts.sendable_until <= facts.now < facts.closes_at
    if not stale:
        return facts
    schedule = windows.Schedule(
        facts.mailing_id, facts.starts_at, facts.ends_at, facts.zone, facts.hours, facts.weekdays
    )
    span = windows.span(schedule, facts.timezone, facts.now)
    return replace(
        facts,
        opens_at=span.opens_at,
        closes_at=span.closes_at,
        sendable_from=span.sendable_from,
        sendable_until=span.sendable_until,
    )
