"""Take over what a dispatcher left behind when it was killed, cut off or put to sleep."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from mailer_cli import database
from mailer_cli.database import Connection
from mailer_cli.dispatch import claims
from mailer_cli.dispatch.claims import Move
from mailer_cli.dispatch.options import Options, Summary
from mailer_cli.statuses import Status

IN_DOUBT = "the dispatcher stopped before the service's answer was recorded"


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A claim that nobody has renewed in time."""

    shard: int
    id: uuid.UUID
    mailing_id: int
    run_id: int
    client_ids: list[int]
    started: int


def recover(connection: Connection, shard: int, options: Options, summary: Summary) -> bool:
    """Settle one lapsed claim of a shard in one transaction; False if there is none.

    What was never started is handed on. What was started and has no result may have reached the
    service: it becomes `unknown`, or is tried again under the same id where the service deduplicates.
    """
    with database.transaction(connection):
        lapsed = database.fetch_one(connection, "claim_lapsed", Lapsed, shard=shard)
        if lapsed is None:
            return False
        doubtful, unstarted = lapsed.client_ids[: lapsed.started], lapsed.client_ids[lapsed.started :]
        database.execute(connection, "claim_take", shard=shard, id=lapsed.id)
        status = Status.RETRYING if options.deduplicates else Status.UNKNOWN
        moves = [Move(lapsed.mailing_id, client, status, tried=1, error=IN_DOUBT) for client in doubtful]
        moved = claims.move(connection, shard, moves, before=Status.SENDING, run_id=lapsed.run_id)
        if options.deduplicates:
            claims.queue_retries(connection, shard, [(mailing, client, 0.0) for mailing, client in moved])
        claims.hand_on(connection, shard, lapsed.mailing_id, unstarted)
    summary.count(status, len(moved))
    return True


def hand_on_forgotten(connection: Connection, run_id: int) -> int:
    """Hand on what a run claimed without knowing: the reply to the COMMIT was lost. Return how many claims.

    Only for a run that has nothing in hand: nobody would start these until their lease has lapsed.
    """
    forgotten = database.fetch(connection, "claim_forgotten", Lapsed, run_id=run_id)
    for claim in forgotten:
        with database.transaction(connection):
            if database.execute(connection, "claim_take", shard=claim.shard, id=claim.id).rowcount:
                claims.hand_on(connection, claim.shard, claim.mailing_id, claim.client_ids)
    return len(forgotten)
