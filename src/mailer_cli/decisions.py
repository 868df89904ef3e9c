"""What only an operator may decide about messages: to try them again, and what became of those in doubt."""

from __future__ import annotations

from collections.abc import Sequence

from mailer_cli import counters, database, events, pace, purged
from mailer_cli.database import Connection
from mailer_cli.errors import InvalidStateError, NotFoundError
from mailer_cli.ids import SHARDS, mailing_and_client, shard_of
from mailer_cli.statuses import Status

# By hand, for a handful of messages: an end this near leaves no time for another attempt.
MARGIN = 30.0  # seconds


def retry(
    connection: Connection,
    actor: str,
    mailing_id: int,
    statuses: Sequence[Status],
    *,
    code: int | None = None,
    dry_run: bool = False,
) -> dict[Status, int]:
    """Put messages with these statuses back while their window is open; return how many of each.

    None, once the mailing is cancelled.

    `code` takes only those that the service answered with it. A message in doubt may reach its client
    a second time: that is the operator's to decide, and nobody else's.
    """
    done = dict.fromkeys(statuses, 0)
    with database.transaction(connection, force_rollback=dry_run):
        purged.require_kept(connection, mailing_id)
        if not database.fetch_value(connection, "mailing_retriable", mailing_id=mailing_id):
            return done
        for shard in range(SHARDS):
            for status in statuses:
                done[status] += _retry_shard(connection, shard, mailing_id, status, code)
        if sum(done.values()):
            facts = {status.value: number for status, number in done.items()} | {"code": code}
            events.record(connection, actor, "messages put back", mailing_id=mailing_id, new=facts)
    return done


def resolve(connection: Connection, actor: str, message_id: int, status: Status) -> None:
    """Settle a message in doubt as sent or failed; raise if it is not in doubt."""
    mailing_id, client_id = mailing_and_client(message_id)
    shard = shard_of(client_id)
    with database.transaction(connection):
        purged.require_kept(connection, mailing_id)
        found = database.execute(
            connection,
            "message_resolve",
            shard=shard,
            mailing_id=mailing_id,
            client_id=client_id,
            status=status.value,
        )
        row = found.fetchone()
        if row is None:
            raise _unresolvable(connection, shard, mailing_id, client_id, message_id)
        if status is Status.SENT:
            sendings = pace.Sendings()
            sendings.sent(mailing_id, None, row[0])
            sendings.write(connection, shard)
        sums = counters.Moves()
        sums.moved(mailing_id, Status.UNKNOWN, status)
        counters.add(connection, shard, sums.changes)
        events.record(
            connection,
            actor,
            "message resolved",
            mailing_id=mailing_id,
            client_id=client_id,
            old={"status": Status.UNKNOWN.value},
            new={"status": status.value},
        )


def _retry_shard(
    connection: Connection, shard: int, mailing_id: int, status: Status, code: int | None
) -> int:
    rows = database.execute(
        connection,
        "message_put_back",
        shard=shard,
        mailing_id=mailing_id,
        statuses=[status.value],
        code=code,
        margin=MARGIN,
    ).fetchall()
    if rows:
        database.execute(
            connection,
            "retry_insert",
            shard=shard,
            mailing_ids=[mailing_id] * len(rows),
            client_ids=[client_id for (client_id,) in rows],
            delays=[0.0] * len(rows),
        )
        sums = counters.Moves()
        for _ in rows:
            sums.moved(mailing_id, status, Status.RETRYING)
        counters.add(connection, shard, sums.changes)
    return len(rows)


def _unresolvable(
    connection: Connection, shard: int, mailing_id: int, client_id: int, message_id: int
) -> InvalidStateError | NotFoundError:
    status = database.fetch_value(
        connection, "message_status", shard=shard, mailing_id=mailing_id, client_id=client_id
    )
    if status is None:
        return NotFoundError(f"no message {message_id}; see `mailer message list --status unknown`")
    return InvalidStateError(f"message {message_id} is {status}; only one in doubt (unknown) can be resolved")
