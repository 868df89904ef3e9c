"""A dispatcher that dies at a named point, or between any two statements, leaves what others can take up."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos import oracle, points
from chaos.dispatchers import Nursery, environment
from conftest import fresh_database
from mailer_cli import database
from mailer_cli.database import Connection, Dsn
from mailer_cli.sandbox import Faults, SandboxThread

FAULTS = Faults(latency=0.02, error_rate=0.1, reset_rate=0.05, seed=20261123)
MESSAGES = 90  # 60 clients get one, 30 of them a second one that is too late


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery")) as started:
        yield started


def prepare(connection: Connection) -> None:
    """One window to be opened, one that is over, and clients who do not match; a dead dispatcher's claim."""
    connection.execute(
        "INSERT INTO client (phone, operator_code, tag, timezone)"
        " SELECT '7916' || lpad(i::text, 7, '0'), '916', (ARRAY['vip', NULL])[1 + i % 2],"
        " (ARRAY['Europe/Moscow', 'Asia/Omsk'])[1 + i % 2] FROM generate_series(1, 60) i"
    )
    connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at, zone, tags) VALUES"
        " ('Due', now() - interval '1 day', now() + interval '1 day', 'UTC', '{}'),"
        " ('Over', now() - interval '3 days', now() - interval '1 day', 'UTC', '{vip}')"
    )


def play(nursery: Nursery, dsn: Dsn, home: Path, point: str, *words: str) -> tuple[oracle.Findings, int]:
    """Let dispatchers die at a point, others finish, and judge; how many died there, too.

    The first dies when all is new, the second in what another left behind, started and not recorded.
    """
    ledger = home / "ledger.jsonl"
    with (
        database.connect(dsn) as connection,
        SandboxThread(token="token", ledger=ledger, faults=FAULTS) as service,
    ):
        prepare(connection)
        env = environment(home, dsn.address, service.url)
        died = 0
        for killer in (point, "after starting", point):
            code = nursery.wait(nursery.start(env, "dispatch", *words, point=killer))
            died += code == -signal.SIGKILL and killer == point
            lapse(connection)
        for _ in range(12):
            if not oracle.still_due(connection):
                break
            assert nursery.wait(nursery.start(env, "dispatch")) == 0, nursery.log
            lapse(connection)
        assert oracle.still_due(connection) == 0
        return oracle.judge(connection, ledger), died


def lapse(connection: Connection) -> None:
    """Leases end, and retries are due: time passes."""
    connection.execute("UPDATE claim SET lease_until = now()")
    connection.execute("UPDATE retry SET retry_at = now()")


@pytest.mark.parametrize("point", points.NAMES)
def test_killed_at_a_named_point_it_loses_and_repeats_nothing(
    nursery: Nursery, dsn: Dsn, tmp_path: Path, point: str
) -> None:
    # Too slow to send all in its time, it hands back what it has claimed.
    slowly = ("--rate", "20", "--max-seconds", "1") if point == "after handing back" else ()
    found, died = play(nursery, dsn, tmp_path, point, *slowly)
    found.check()
    assert found.messages.total() == MESSAGES
    assert died, "the point was never reached"


@pytest.mark.chaos
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_statement_it_loses_and_repeats_nothing(
    nursery: Nursery, postgres: str, template: str, tmp_path: Path, when: str
) -> None:
    def die_at(point: str) -> None:
        home = tmp_path / point.replace("/", "_")
        home.mkdir()
        with fresh_database(postgres, template) as dsn:
            found, _ = play(nursery, dsn, home, point)
        found.check()
        assert found.messages.total() == MESSAGES, point

    trace = tmp_path / "trace"
    die_at(f"trace {trace}")
    for statement in sorted(set(trace.read_text().split())):
        die_at(f"{when} {statement}")
        die_at(f"{when} {statement} *3")
