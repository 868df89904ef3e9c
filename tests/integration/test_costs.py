"""What the engine asks of the database: by index, bounded, and an idle tick next to nothing, at any size."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from conftest import fresh_database
from mailer_cli import database
from mailer_cli.database import Connection, Dsn, statements
from mailer_cli.dispatch import Options, dispatch
from mailer_cli.errors import StoppedError
from mailer_cli.service import Accepted, Outcome

MANY = 1_000_000
ENOUGH = 4_000  # messages: every hot statement had its turn several times
HOT = {
    "work_due",
    "candidates",
    "message_insert",
    "claim_insert",
    "claim_start",
    "message_record",
    "counter_add",
    "pace_add",
    "claim_delete",
    "window_progress",
    "run_beat",
}
SETTINGS = {"transaction_guard", "report_jit_off", "report_snapshot"}  # no queries, and without a plan
_lock = threading.Lock()


@dataclass
class Plans:
    """The plans of the statements that ran, as PostgreSQL carried them out."""

    of: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def blocks(self) -> dict[str, int]:
        return {
            name: max(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans)
            for name, plans in self.of.items()
        }


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


class Instant:
    """A message service that takes everything at once, and stops the run when it has enough."""

    def __init__(self, most: int) -> None:
        self._left = most

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def send(self, *_: object) -> Outcome:
        self._left -= 1
        if not self._left:
            signal.raise_signal(signal.SIGTERM)
        return Accepted(200)


class Watcher:
    """Carries each statement out for its plan, rolled back, before it is carried out for real."""

    def __init__(self, plans: Plans, most: int) -> None:
        self._plans = plans
        self._most = most

    def watching(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def run(connection: Connection, name: str, *shape: Any, **values: Any) -> Any:
            with _lock:
                wanted = len(self._plans.of.setdefault(name, [])) < self._most
            if wanted and name not in SETTINGS:
                self._plans.of[name].append(self._explained(connection, name, values))
            return real(connection, name, *shape, **values)

        return run

    def _explained(self, connection: Connection, name: str, values: dict[str, Any]) -> dict[str, Any]:
        query = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statements.statement(name)
        rows = []
        for _ in range(2):  # the first time, a fresh session reads the catalog, too
            with connection.transaction(force_rollback=True):
                rows.append(connection.execute(query, values).fetchone())
        plan: dict[str, Any] = rows[-1][0][0]["Plan"]  # type: ignore[index]  # EXPLAIN has a row
        return plan


@contextmanager
def watched(monkeypatch: pytest.MonkeyPatch, most: int = 3) -> Iterator[Plans]:
    """Have the plans of everything that the block asks of a database, the first few times."""
    plans = Plans()
    watcher = Watcher(plans, most)
    with monkeypatch.context() as patched:
        for way in ("execute", "fetch", "fetch_one", "fetch_value"):
            patched.setattr(database, way, watcher.watching(getattr(database, way)))
        yield plans
    for name in [name for name, found in plans.of.items() if not found]:
        del plans.of[name]


def add_clients(connection: Connection, number: int) -> None:
    connection.execute(
        "INSERT INTO client (phone, operator_code, timezone)"
        " SELECT '79' || lpad(i::text, 9, '0'), '916', 'UTC' FROM generate_series(1, %s::int) i",
        [number],
    )


def add_finished_mailings(connection: Connection, number: int) -> None:
    connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at, zone, state, finished_at)"
        " SELECT 'old', now() - interval '9 d', now() - interval '8 d', 'UTC', 'finished', now()"
        " FROM generate_series(1, %s::int)",
        [number],
    )
    connection.execute(
        "INSERT INTO mailing_window (shard, mailing_id, zone, opens_at, closes_at, sendable_from,"
        " sendable_until, state, audience, claimed, frozen_at, last_client_id)"
        " SELECT s, id, 'UTC', starts_at, ends_at, starts_at, ends_at, 'closed', 9, 9, starts_at, 1"
        " FROM mailing, generate_series(0, 15) AS s"
    )


def add_old_messages(connection: Connection, number: int) -> None:
    """Those of a mailing that is over: in a small table, reading all of it would be the right plan."""
    add_finished_mailings(connection, 1)
    connection.execute(
        "INSERT INTO message (shard, mailing_id, client_id, phone, status, attempts, sent_at)"
        " SELECT i %% 16, 1, i, '79161234567', 'sent', 1, now() FROM generate_series(1, %s::int) i",
        [number],
    )


def add_due_mailing(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at, zone)"
        " VALUES ('Hello', now() - interval '1 d', now() + interval '1 d', 'UTC')"
    )


def connect(most: int = 0) -> Any:
    """Return a service that takes so many messages; all there are, without a number."""
    return Instant(most)


@pytest.mark.parametrize("clients", [100, 50_000])
def test_an_idle_tick_touches_forty_blocks_at_the_most_whatever_the_clients(
    dsn: Dsn, connection: Connection, monkeypatch: pytest.MonkeyPatch, clients: int
) -> None:
    add_clients(connection, clients)
    add_finished_mailings(connection, 100)
    connection.execute("INSERT INTO run (host, pid) SELECT 'a', 1 FROM generate_series(1, 300)")
    connection.execute("VACUUM ANALYZE")
    dispatch(dsn, connect, Options())
    with watched(monkeypatch) as plans:
        dispatch(dsn, connect, Options())
    touched = plans.blocks()
    assert {"service_state", "run_start", "work_due", "run_end"} <= touched.keys()
    assert sum(touched.values()) <= 40, touched


@pytest.fixture(scope="module")
def a_million(postgres: str, template: str) -> Iterator[Dsn]:
    """A database with a million clients and messages and a due mailing, of which no statistics know."""
    with fresh_database(postgres, template) as dsn, database.connect(dsn) as connection:
        for table in ("client", "message", "mailing_window", "claim", "retry"):
            connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
        add_clients(connection, MANY)
        add_old_messages(connection, MANY)
        add_due_mailing(connection)
        yield dsn


@pytest.fixture(params=["nothing", "everything"])
def known(request: pytest.FixtureRequest, a_million: Dsn) -> Dsn:
    """The same, before and after its statistics are made."""
    with database.connect(a_million) as connection:
        if request.param == "everything":
            connection.execute("ANALYZE")
        else:
            connection.execute(
                "DELETE FROM pg_statistic WHERE starelid IN ('client'::regclass, 'message'::regclass)"
            )
    return a_million


def assert_bounded(name: str, plan: dict[str, Any], rows: int) -> None:
    for node in nodes(plan):
        big = node.get("Relation Name") in {"client", "message"}
        assert not (big and node["Node Type"] == "Seq Scan"), (name, node)
        read = node.get("Actual Rows", 0) + node.get("Rows Removed by Filter", 0)
        assert read * node.get("Actual Loops", 1) <= rows, (name, node)


def test_the_hot_statements_go_by_index_and_read_no_more_than_their_batch(
    known: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watched(monkeypatch, most=5) as plans, pytest.raises(StoppedError):
        dispatch(known, lambda: connect(ENOUGH), Options())
    missing = HOT - plans.of.keys()
    assert not missing
    for name in HOT:
        for plan in plans.of[name]:
            assert_bounded(name, plan, rows=8 * 500)
            blocks = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
            assert blocks <= 30 * 500, (name, blocks)


def test_an_answer_is_written_beside_its_message_and_no_index_is_touched(
    dsn: Dsn, connection: Connection
) -> None:
    add_clients(connection, 5_000)
    add_due_mailing(connection)
    dispatch(dsn, connect, Options())
    connection.execute("SELECT pg_stat_force_next_flush()")
    answered, beside = connection.execute(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'message'"
    ).fetchone() or (0, 0)
    assert answered == 5_000
    assert beside >= 0.98 * answered
