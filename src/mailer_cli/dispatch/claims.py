"""Claims: who is sent to next. Each function is one short transaction on one shard."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mailer_cli import counters, database
from mailer_cli.database import Connection
from mailer_cli.dispatch.options import Options, clock
from mailer_cli.statuses import Status


@dataclass(frozen=True, slots=True)
class Item:
    """One client of a claim; `due_at` and `closes_at` are the ends of the client's window."""

    client_id: int
    phone: str
    zone: str
    turn: int  # how many times it has been claimed
    attempts: int  # requests made before
    due_at: datetime
    closes_at: datetime


@dataclass(slots=True, eq=False)
class Claim:
    """A batch of clients of one mailing that this dispatcher holds under a lease."""

    shard: int
    mailing_id: int
    version: int
    text: str = field(repr=False)
    not_after: datetime
    items: list[Item]
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    started: int = 0  # items[:started] may have been sent
    unrecorded: int = 0  # of those, how many have no result in the database yet
    given_up: bool = False  # the rest was handed on

    @property
    def left(self) -> int:
        """How many clients have not been started."""
        return 0 if self.given_up else len(self.items) - self.started

    @property
    def settled(self) -> bool:
        """Whether nothing of it is to be started or recorded any more."""
        return self.left == 0 and self.unrecorded == 0


@dataclass(frozen=True, slots=True)
class Slice:
    """Started messages, and until when, on this host's clock, they may be sent."""

    claim: Claim
    items: list[Item]
    send_before: float
    started_at: datetime  # by the database's clock
    clock_then: float  # by this host's, not later


@dataclass(frozen=True, slots=True)
class Due:
    """A shard in which something can be claimed."""

    shard: int
    kind: str  # window | retry | lapsed
    mailing_id: int | None  # of retries
    closes_at: datetime
    priority: int


def due(connection: Connection, run_id: int, options: Options, *, through: bool = False) -> list[Due]:
    """Return where something can be claimed now; soonest end first, then priority.

    `through` looks through a closed gate: what could be claimed if it were open.
    """
    found = database.fetch(connection, "work_due", Due, run_id=run_id, margin=options.margin, through=through)
    return sorted(found, key=lambda due: (due.closes_at, -due.priority))


def hold(connection: Connection, run_id: int, claim: Claim, options: Options) -> None:
    """Write the claim down, in the transaction that made its messages ours."""
    database.execute(
        connection,
        "claim_insert",
        shard=claim.shard,
        id=claim.id,
        mailing_id=claim.mailing_id,
        mailing_version=claim.version,
        run_id=run_id,
        client_ids=[item.client_id for item in claim.items],
        lease=options.claim_lease,
        not_after=claim.not_after,
    )


def start(connection: Connection, run_id: int, claim: Claim, number: int, options: Options) -> Slice | None:
    """Mark the next `number` clients as started; only what this returns may be sent.

    None: the lease has lapsed, the window is about to close, sending is held, the mailing was paused,
    cancelled or edited, or one of the clients was muted, removed, or given another phone or zone.
    The deadline is taken before the round trip, so it errs early.
    """
    before = clock()
    items = claim.items[claim.started : claim.started + number]
    upto = claim.started + len(items)
    row = database.execute(
        connection,
        "claim_start",
        shard=claim.shard,
        id=claim.id,
        run_id=run_id,
        started=claim.started,
        upto=upto,
        client_ids=[item.client_id for item in items],
        phones=[item.phone for item in items],
        zones=[item.zone for item in items],
        lease=options.claim_lease,
        margin=options.margin,
    ).fetchone()
    if row is None:
        return None
    claim.started = upto
    seconds = min(row[1], options.claim_lease) - options.http_timeout
    return Slice(claim, items, before + seconds, started_at=row[0], clock_then=before)


def hand_back(connection: Connection, run_id: int, claim: Claim) -> None:
    """Give the unstarted rest of a claim to whoever comes next; nothing if it was taken over already."""
    rest = claim.items[claim.started :]
    kept = [item.client_id for item in claim.items[: claim.started]]
    with database.transaction(connection):
        ours = database.execute(
            connection,
            "claim_shrink",
            shard=claim.shard,
            id=claim.id,
            run_id=run_id,
            started=claim.started,
            size=len(claim.items),
            client_ids=kept,
        )
        if ours.rowcount:
            hand_on(connection, claim.shard, claim.mailing_id, [item.client_id for item in rest])
    claim.given_up = True


def hand_on(connection: Connection, shard: int, mailing_id: int, client_ids: list[int]) -> None:
    """Put messages that were never started where the next claim finds them, due at once."""
    moved = move(
        connection,
        shard,
        [Move(mailing_id, client_id, Status.RETRYING) for client_id in client_ids],
        before=Status.SENDING,
    )
    queue_retries(connection, shard, [(mailing_id, client_id, 0.0) for _, client_id in moved])


@dataclass(frozen=True, slots=True)
class Move:
    """A message that is to have another status."""

    mailing_id: int
    client_id: int
    status: Status
    tried: int = 0
    phone: str | None = None
    error: str | None = None


def move(
    connection: Connection, shard: int, moves: list[Move], *, before: Status, run_id: int | None = None
) -> list[tuple[int, int]]:
    """Move messages that are still in status `before`, and the counters with them; return which moved.

    `run_id` is the run that may have made requests for them.
    """
    if not moves:
        return []
    found = database.execute(
        connection,
        "message_move",
        shard=shard,
        run_id=run_id,
        before=before.value,
        mailing_ids=[m.mailing_id for m in moves],
        client_ids=[m.client_id for m in moves],
        statuses=[m.status.value for m in moves],
        tried=[m.tried for m in moves],
        phones=[m.phone for m in moves],
        errors=[m.error for m in moves],
    ).fetchall()
    sums = counters.Moves()
    for mailing_id, _, after in found:
        sums.moved(mailing_id, before, after)
    counters.add(connection, shard, sums.changes)
    return [(mailing_id, client_id) for mailing_id, client_id, _ in found]


def queue_retries(connection: Connection, shard: int, retries: list[tuple[int, int, float]]) -> None:
    """Let messages (mailing, client, delay in seconds) be tried when the delay is over."""
    if retries:
        database.execute(
            connection,
            "retry_insert",
            shard=shard,
            mailing_ids=[mailing_id for mailing_id, _, _ in retries],
            client_ids=[client_id for _, client_id, _ in retries],
            delays=[delay for _, _, delay in retries],
        )


def delete(connection: Connection, run_id: int, settled: list[Claim]) -> None:
    """Forget claims of which everything is recorded."""
    shards: dict[int, list[Any]] = {}
    for claim in settled:
        shards.setdefault(claim.shard, []).append(claim.id)
    for shard, ids in shards.items():
        database.execute(connection, "claim_delete", shard=shard, ids=ids, run_id=run_id)
