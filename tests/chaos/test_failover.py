"""A standby is promoted in the middle of a run: nothing is lost or sent twice, or it is told who may be."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from chaos import oracle
from chaos.dispatchers import Dispatcher, Nursery, environment
from chaos.storm import add_clients
from mailer_cli import database
from mailer_cli.database import Dsn, schema
from mailer_cli.sandbox import Faults, SandboxThread
from servers import Cluster, a_place, needs_postgresql

pytestmark = needs_postgresql
CLIENTS = 800


@contextmanager
def a_pair(*, synchronous: bool) -> Iterator[tuple[Cluster, Cluster]]:
    """A primary with a mailing that is due, and its standby."""
    with a_place() as place:
        primary, standby = Cluster(place / "primary"), Cluster(place / "standby")
        primary.make("-A", "trust")
        primary.start()
        try:
            standby.copy(primary, "standby")
            standby.start()
            dsn = Dsn(primary.address())
            schema.upgrade(dsn)
            attached(primary)
            with database.connect(dsn) as connection:
                if synchronous:
                    connection.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
                    connection.execute("SELECT pg_reload_conf()")
                add_clients(connection, CLIENTS)
                connection.execute(
                    "INSERT INTO mailing (text, starts_at, ends_at, zone)"
                    " VALUES ('Hello', now() - interval '1 day', now() + interval '1 day', 'UTC')"
                )
            yield primary, standby
        finally:
            for cluster in (primary, standby):
                if (cluster.data / "postmaster.pid").exists():
                    cluster.control("stop", "-m", "immediate")


def attached(primary: Cluster) -> None:
    """Wait until the standby follows."""
    with psycopg.connect(primary.address(), autocommit=True) as connection:
        while not connection.execute(
            "SELECT true FROM pg_stat_replication WHERE state = 'streaming'"
        ).fetchone():
            time.sleep(0.05)


def either(primary: Cluster, standby: Cluster) -> str:
    """Return an address that leads to whichever of the two takes writes."""
    hosts = f"host=127.0.0.1,127.0.0.1&port={primary.port},{standby.port}"
    return f"postgresql://mailer@/postgres?{hosts}&target_session_attrs=read-write"


def accepts(service: SandboxThread, number: int, run: Dispatcher, nursery: Nursery) -> None:
    while service.accepted < number:
        assert run.code is None, nursery.log
        time.sleep(0.01)


def fail_over(primary: Cluster, standby: Cluster) -> None:
    os.kill(primary.pid, signal.SIGQUIT)  # as `pg_ctl stop -m immediate` does, and does not wait
    standby.control("promote", "-w")


def test_a_synchronous_standby_is_promoted_and_the_same_run_goes_on(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with (
        a_pair(synchronous=True) as (primary, standby),
        Nursery(tmp_path) as nursery,
        SandboxThread(token="token", ledger=ledger, faults=Faults(latency=0.05)) as service,
    ):
        env = environment(tmp_path, either(primary, standby), service.url)
        run = nursery.start(env, "dispatch", "--max-seconds", "50")
        accepts(service, 100, run, nursery)
        fail_over(primary, standby)
        assert nursery.wait(run) == 0, nursery.log
        with database.connect(Dsn(standby.address())) as connection:
            found = oracle.judge(connection, ledger)
            ended = connection.execute("SELECT ending FROM run").fetchall()
    found.check()
    assert found.messages == {"sent": CLIENTS}
    assert ended == [("done",)]


def test_an_asynchronous_standby_sends_nothing_until_it_is_told_who_is_in_doubt(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with (
        a_pair(synchronous=False) as (primary, standby),
        Nursery(tmp_path) as nursery,
        SandboxThread(token="token", ledger=ledger, faults=Faults(latency=0.05)) as service,
    ):
        env = environment(tmp_path, either(primary, standby), service.url)
        run = nursery.start(env, "dispatch", "--max-seconds", "50")
        accepts(service, 100, run, nursery)
        cut_off(primary)
        accepts(service, 300, run, nursery)
        fail_over(primary, standby)
        assert nursery.wait(run) == 1, nursery.log
        settled = service.accepted
        again = nursery.start(env, "dispatch")
        assert nursery.wait(again) == 1
        assert service.accepted == settled, "it sent without knowing to whom it had sent"
        recovered = nursery.start(env, "recover", "--since", "10m", "--most", str(CLIENTS), "--yes")
        assert nursery.wait(recovered) == 0, nursery.log
        last = nursery.start(env, "dispatch")
        assert nursery.wait(last) == 0, nursery.log
        with database.connect(Dsn(standby.address())) as connection:
            found = oracle.judge(connection, ledger)
    found.check()
    assert found.messages["unknown"] >= found.accepted - found.messages["sent"]
    assert sum(found.messages.values()) == CLIENTS
    assert "mailer recover --since TIME" in nursery.log


def cut_off(primary: Cluster) -> None:
    """Let nothing more reach the standby: the primary goes on, and nobody notices."""
    with psycopg.connect(primary.address(), autocommit=True) as connection:
        hba = primary.data / "pg_hba.conf"
        hba.write_text("host replication all all reject\n" + hba.read_text())
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_replication")


@pytest.mark.parametrize("synchronous", [True, False])
def test_the_doctor_warns_of_standbys_that_may_lack_something(synchronous: bool, tmp_path: Path) -> None:
    with a_pair(synchronous=synchronous) as (primary, _), Nursery(tmp_path) as nursery:
        env = environment(tmp_path, primary.address(), "http://127.0.0.1:9/")
        nursery.wait(nursery.start(env, "doctor"))
    assert ("may not know who was sent to last" in nursery.log) != synchronous
