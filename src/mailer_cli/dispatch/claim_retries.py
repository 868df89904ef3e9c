"""Claim messages that are to be tried again, or settle those that are not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailer_cli import database
from mailer_cli.database import Connection
from mailer_cli.dispatch import claims
from mailer_cli.dispatch.claims import Claim, Item, Move
from mailer_cli.dispatch.options import Options, Summary
from mailer_cli.statuses import MailingState, Status

UNPLANNED = timedelta(minutes=1)  # until the next tick has derived the window of a zone new to a mailing


@dataclass(frozen=True, slots=True)
class Retry:
    """A message whose time to be tried has come, and what there is to know about it now."""

    mailing_id: int
    client_id: int
    turn: int
    attempts: int
    phone: str
    zone: str
    gone: bool
    mailing_state: str
    version: int
    text: str
    sendable_from: datetime | None
    sendable_until: datetime | None
    closes_at: datetime | None
    due_at: datetime
    now: datetime


def claim_due(
    connection: Connection,
    run_id: int,
    shard: int,
    mailing_id: int,
    options: Options,
    summary: Summary,
) -> list[Claim]:
    """Claim due retries of a mailing in one shard in one short transaction: a claim per closing time."""
    with database.transaction(connection):
        found = database.fetch(
            connection, "retry_due", Retry, shard=shard, mailing_id=mailing_id, wanted=options.batch
        )
        margin = timedelta(seconds=options.margin)
        fates = [(retry, fate(retry, margin)) for retry in found]
        _postpone(connection, shard, [(r, f) for r, f in fates if isinstance(f, datetime)])
        settled = [(r, f) for r, f in fates if isinstance(f, Status)]
        _forget(connection, shard, [r for r, _ in settled])
        moves = [_move(r, f) for r, f in settled]
        moved = set(claims.move(connection, shard, moves, before=Status.RETRYING))
        made = _claims(shard, (r for r, f in settled if f is Status.SENDING), moved)
        for claim in made:
            claims.hold(connection, run_id, claim, options)
    for retry, status in settled:
        if (retry.mailing_id, retry.client_id) in moved:
            summary.count(status)
    summary.claimed += sum(len(claim.items) for claim in made)
    return made


def fate(retry: Retry, margin: timedelta) -> Status | datetime:
    """Decide what becomes of a due retry: a status (SENDING: try it now), or when to look again."""
    if retry.gone or retry.mailing_state == MailingState.CANCELLED:
        return Status.CANCELLED
    if retry.closes_at is None or retry.sendable_from is None or retry.sendable_until is None:
        return retry.now + UNPLANNED
    if retry.closes_at <= retry.now:
        return Status.EXPIRED
    if retry.mailing_state != MailingState.ACTIVE:
        return retry.closes_at
    if retry.now < retry.sendable_from:
        return retry.sendable_from
    if retry.sendable_until - margin <= retry.now:
        return max(retry.sendable_until, retry.now + timedelta(seconds=1))
    return Status.SENDING


def _move(retry: Retry, status: Status) -> Move:
    phone = retry.phone if status is Status.SENDING else None
    return Move(retry.mailing_id, retry.client_id, status, phone=phone)


def _postpone(connection: Connection, shard: int, later: list[tuple[Retry, datetime]]) -> None:
    if later:
        database.execute(
            connection,
            "retry_postpone",
            shard=shard,
            mailing_ids=[retry.mailing_id for retry, _ in later],
            client_ids=[retry.client_id for retry, _ in later],
            retry_at=[instant for _, instant in later],
        )


def _forget(connection: Connection, shard: int, retries: list[Retry]) -> None:
    if retries:
        database.execute(
            connection,
            "retry_delete",
            shard=shard,
            mailing_ids=[retry.mailing_id for retry in retries],
            client_ids=[retry.client_id for retry in retries],
        )


def _claims(shard: int, retries: Iterable[Retry], moved: set[tuple[int, int]]) -> list[Claim]:
    grouped: dict[tuple[int, datetime], Claim] = {}
    for retry in retries:
        if (retry.mailing_id, retry.client_id) not in moved:
            continue
        assert retry.sendable_until is not None  # noqa: S101 - `fate` answers SENDING only with a window
        assert retry.closes_at is not None  # noqa: S101 - likewise
        claim = grouped.setdefault(
            (retry.mailing_id, retry.sendable_until),
            Claim(shard, retry.mailing_id, retry.version, retry.text, retry.sendable_until, []),
        )
        claim.items.append(
            Item(
                retry.client_id,
                retry.phone,
                retry.zone,
                retry.turn + 1,
                retry.attempts,
                retry.due_at,
                retry.closes_at,
            )
        )
    return list(grouped.values())
