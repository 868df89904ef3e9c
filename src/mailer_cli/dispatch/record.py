"""Write down what the service answered: batches, in one short transaction per shard."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from mailer_cli import counters, database, pace
from mailer_cli.database import Connection
from mailer_cli.dispatch import claims
from mailer_cli.dispatch.claims import Claim, Item
from mailer_cli.dispatch.options import Options, Summary
from mailer_cli.service import Accepted, InDoubt, Later, NotSent, Outcome, Refused, TokenRejected
from mailer_cli.statuses import Status


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one started message; `at` is by the database's clock, as near as this host can tell."""

    claim: Claim
    item: Item
    at: datetime
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be written of a result."""

    result: Result
    status: Status
    tried: int
    http_status: int | None
    error: str | None
    delay: float = 0.0  # seconds before it is tried again

    @property
    def place(self) -> tuple[int, int]:
        """The mailing and the client."""
        return self.result.claim.mailing_id, self.result.item.client_id

    @property
    def attempts(self) -> int:
        """How many requests have been made for this message."""
        return self.result.item.attempts + self.tried


def verdict(result: Result, options: Options, jitter: random.Random) -> Verdict:
    """Decide what an outcome means for its message."""
    outcome, attempt = result.outcome, result.item.attempts + 1
    match outcome:
        case NotSent():
            return Verdict(result, Status.RETRYING, 0, None, None)
        case Accepted(http_status=code):
            return Verdict(result, Status.SENT, 1, code, None)
        case Refused(http_status=code, error=error):
            return Verdict(result, Status.FAILED, 1, code, error)
        case InDoubt(http_status=code, error=error) if not options.deduplicates:
            return Verdict(result, Status.UNKNOWN, 1, code, error)
        case TokenRejected(http_status=code, error=error):
            # The message is not to blame, so the attempt does not count against it.
            return Verdict(result, Status.RETRYING, 0, code, error)
        case Later(http_status=code, error=error) | InDoubt(http_status=code, error=error):
            asked = outcome.retry_after if isinstance(outcome, Later) else None
            delay = max(backoff(attempt, options, jitter), asked or 0.0)
            return _again(result, attempt, code, error, delay, options)


def _again(
    result: Result, attempt: int, code: int | None, error: str, delay: float, options: Options
) -> Verdict:
    if attempt >= options.max_attempts:
        return Verdict(result, Status.FAILED, 1, code, f"{error} ({attempt} attempts)")
    if result.at + timedelta(seconds=delay) >= result.item.closes_at:
        return Verdict(result, Status.EXPIRED, 1, code, error)
    return Verdict(result, Status.RETRYING, 1, code, error, delay)


def backoff(attempt: int, options: Options, jitter: random.Random) -> float:
    """Return the seconds to wait after this attempt: exponential, with full jitter, capped."""
    ceiling = min(options.retry_cap, options.retry_base * 2.0 ** min(attempt - 1, 30))
    return jitter.uniform(0, ceiling)


def record(connection: Connection, run_id: int, verdicts: Iterable[Verdict], summary: Summary) -> None:
    """Write results; each shard's in a transaction of its own. Safe to repeat after a lost reply."""
    shards: dict[int, list[Verdict]] = {}
    for one in verdicts:
        shards.setdefault(one.result.claim.shard, []).append(one)
    for shard in sorted(shards):
        _record_shard(connection, run_id, shard, shards[shard], summary)


def _record_shard(
    connection: Connection, run_id: int, shard: int, verdicts: list[Verdict], summary: Summary
) -> None:
    with database.transaction(connection):
        rows = _update(connection, run_id, shard, verdicts)
        written = {(mailing_id, client_id) for mailing_id, client_id, _, _ in rows}
        retries = [(*v.place, v.delay) for v in verdicts if v.status is Status.RETRYING]
        claims.queue_retries(connection, shard, [retry for retry in retries if retry[:2] in written])
        _forget_retries(connection, shard, [row[:2] for row in rows if row[2] == Status.RETRYING])
        _keep_failures(connection, run_id, shard, [v for v in verdicts if v.error is not None])
        _keep_pace(connection, shard, verdicts, {row[:2] for row in rows if row[3] == Status.SENT})
        sums = counters.Moves()
        for mailing_id, _, before, after in rows:
            sums.moved(mailing_id, before, after)
        counters.add(connection, shard, sums.changes)
    for _, _, _, after in rows:
        summary.count(after)


def _update(
    connection: Connection, run_id: int, shard: int, verdicts: list[Verdict]
) -> list[tuple[int, int, str, str]]:
    """Write down what became of messages; return which moved, from what, to what."""
    verdicts = sorted(verdicts, key=lambda v: v.place)  # two batches take the same locks in the same order
    rows: list[tuple[int, int, str, str]] = database.execute(
        connection,
        "message_record",
        shard=shard,
        run_id=run_id,
        mailing_ids=[v.result.claim.mailing_id for v in verdicts],
        client_ids=[v.result.item.client_id for v in verdicts],
        statuses=[v.status.value for v in verdicts],
        turns=[v.result.item.turn for v in verdicts],
        attempts=[v.attempts for v in verdicts],
        sent_at=[v.result.at if v.status is Status.SENT else None for v in verdicts],
        http_statuses=[v.http_status for v in verdicts],
        errors=[v.error for v in verdicts],
    ).fetchall()
    written = {row[:2] for row in rows}
    late = [v for v in verdicts if v.status is Status.SENT and v.place not in written]
    return rows + _upgrade(connection, run_id, shard, late)


def _upgrade(
    connection: Connection, run_id: int, shard: int, late: list[Verdict]
) -> list[tuple[int, int, str, str]]:
    if not late:
        return []
    return database.execute(
        connection,
        "message_upgrade",
        shard=shard,
        run_id=run_id,
        mailing_ids=[v.result.claim.mailing_id for v in late],
        client_ids=[v.result.item.client_id for v in late],
        attempts=[v.attempts for v in late],
        sent_at=[v.result.at for v in late],
        http_statuses=[v.http_status for v in late],
    ).fetchall()


def _forget_retries(connection: Connection, shard: int, upgraded: list[tuple[int, int]]) -> None:
    # A late success overtook a message that had been handed on: it must not be tried again.
    if upgraded:
        database.execute(
            connection,
            "retry_delete",
            shard=shard,
            mailing_ids=[mailing_id for mailing_id, _ in upgraded],
            client_ids=[client_id for _, client_id in upgraded],
        )


def _keep_pace(
    connection: Connection, shard: int, verdicts: list[Verdict], sent: set[tuple[int, int]]
) -> None:
    sendings = pace.Sendings()
    for result in (one.result for one in verdicts):
        place = result.claim.mailing_id, result.item.client_id
        if place in sent:
            sent.discard(place)  # a verdict that came twice was written once
            sendings.sent(result.claim.mailing_id, result.item.due_at, result.at)
    sendings.write(connection, shard)


def _keep_failures(connection: Connection, run_id: int, shard: int, failures: list[Verdict]) -> None:
    if failures:
        database.execute(
            connection,
            "attempt_insert",
            shard=shard,
            run_id=run_id,
            mailing_ids=[v.result.claim.mailing_id for v in failures],
            client_ids=[v.result.item.client_id for v in failures],
            attempted_at=[v.result.at for v in failures],
            attempts=[v.attempts for v in failures],
            statuses=[v.status.value for v in failures],
            http_statuses=[v.http_status for v in failures],
            errors=[v.error for v in failures],
        )
