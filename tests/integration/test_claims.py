"""A claim and its clients: what a dispatcher holds, starts, and hands back."""

from __future__ import annotations

import pytest

from mailer_cli import database, windows
from mailer_cli.database import Connection
from mailer_cli.dispatch import Options, Summary, claims, housekeeping, recover
from mailer_cli.dispatch.claim_windows import claim_next
from mailer_cli.dispatch.claims import Claim

OPTIONS = Options(concurrency=4, http_timeout=1, lease=8)
SHARD = 1


@pytest.fixture
def run_id(connection: Connection) -> int:
    number: int = database.fetch_value(connection, "run_start", host="a-host", pid=1)
    return number


@pytest.fixture
def claim(connection: Connection, run_id: int) -> Claim:
    """Ten clients of one shard, claimed and not started."""
    connection.execute(
        "INSERT INTO client (phone, operator_code, timezone)"
        " SELECT '7916' || lpad(i::text, 7, '0'), '916', 'UTC' FROM generate_series(1, 160) i"
    )
    connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at, zone)"
        " VALUES ('Hello', now() - interval '1 day', now() + interval '1 day', 'UTC')"
    )
    windows.derive(connection)
    housekeeping.open_windows(connection, housekeeping.untended(connection))
    found = claim_next(connection, run_id, SHARD, OPTIONS, Summary())
    assert found is not None
    assert len(found.items) == 10
    return found


def statuses(connection: Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT status, count(*)::int FROM message GROUP BY 1").fetchall())


def number_of(connection: Connection, table: str) -> int:
    row = connection.execute(f"SELECT count(*)::int FROM {table}".encode()).fetchone()  # noqa: S608 - our own names
    assert row is not None
    return int(row[0])


def test_a_start_whose_reply_was_lost_is_made_once_when_it_is_repeated(
    connection: Connection, claim: Claim, run_id: int
) -> None:
    assert claims.start(connection, run_id, claim, 4, OPTIONS)
    claim.started = 0  # as if the reply had been lost
    again = claims.start(connection, run_id, claim, 4, OPTIONS)
    assert again is not None
    assert [item.client_id for item in again.items] == [item.client_id for item in claim.items[:4]]
    assert connection.execute("SELECT started FROM claim").fetchall() == [(4,)]


def test_a_start_whose_reply_was_lost_and_that_is_refused_when_repeated_is_handed_back(
    connection: Connection, claim: Claim, run_id: int
) -> None:
    assert claims.start(connection, run_id, claim, 4, OPTIONS)
    claim.started = 0  # as if the reply had been lost
    connection.execute("UPDATE service SET held_at = now()")
    assert claims.start(connection, run_id, claim, 4, OPTIONS) is None
    claims.hand_back(connection, run_id, claim)
    claims.delete(connection, run_id, [claim])
    assert statuses(connection) == {"retrying": 10}
    assert number_of(connection, "retry") == 10
    assert number_of(connection, "claim") == 0


def test_what_was_started_is_not_handed_back(connection: Connection, claim: Claim, run_id: int) -> None:
    assert claims.start(connection, run_id, claim, 4, OPTIONS)
    claims.hand_back(connection, run_id, claim)
    assert statuses(connection) == {"sending": 4, "retrying": 6}
    claims.hand_back(connection, run_id, claim)  # its reply was lost
    assert number_of(connection, "retry") == 6


def test_a_claim_with_an_unstarted_rest_is_never_forgotten(
    connection: Connection, claim: Claim, run_id: int
) -> None:
    assert claims.start(connection, run_id, claim, 4, OPTIONS)
    claims.delete(connection, run_id, [claim])
    assert number_of(connection, "claim") == 1


def test_a_claim_that_lapsed_starts_nothing(connection: Connection, claim: Claim, run_id: int) -> None:
    connection.execute("UPDATE claim SET lease_until = now()")
    assert claims.start(connection, run_id, claim, 4, OPTIONS) is None


def test_a_message_in_doubt_names_the_run_that_may_have_sent_it(
    connection: Connection, claim: Claim, run_id: int
) -> None:
    assert claims.start(connection, run_id, claim, 4, OPTIONS)
    connection.execute("UPDATE claim SET lease_until = now()")
    assert recover.recover(connection, SHARD, OPTIONS, Summary())
    found = connection.execute("SELECT status, run_id, count(*)::int FROM message GROUP BY 1, 2 ORDER BY 1")
    assert found.fetchall() == [("retrying", None, 6), ("unknown", run_id, 4)]
