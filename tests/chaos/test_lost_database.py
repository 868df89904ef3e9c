"""The database restarts, crashes, or drops everybody in the middle of a run: the run goes on by itself."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from chaos import oracle
from chaos.dispatchers import Nursery, environment
from chaos.storm import add_clients, own_server
from mailer_cli import database
from mailer_cli.database import Dsn, embedded, schema
from mailer_cli.sandbox import Faults, SandboxThread

CLIENTS = 500


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Path, Dsn]]:
    with own_server() as (place, address):
        dsn = Dsn(address)
        schema.upgrade(dsn)
        with database.connect(dsn) as connection:
            add_clients(connection, CLIENTS)
        yield place, dsn


def restart(place: Path, _: Dsn) -> None:
    embedded.stop(place)
    embedded.ensure(place)


def crash(place: Path, _: Dsn) -> None:
    pid = embedded.status(place).pid
    assert pid is not None
    os.kill(pid, signal.SIGQUIT)  # as `pg_ctl stop -m immediate` does
    while embedded.status(place).running:
        time.sleep(0.02)
    time.sleep(1)
    embedded.ensure(place)


def drop_everybody(_: Path, dsn: Dsn) -> None:
    for _again in range(10):
        with psycopg.connect(dsn.address, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'mailer' AND pid <> pg_backend_pid()"
            )
        time.sleep(0.1)


@pytest.mark.parametrize("lose", [restart, crash, drop_everybody])
def test_a_run_goes_on_by_itself_after_the_database_was_lost(
    server: tuple[Path, Dsn], tmp_path: Path, lose: Callable[[Path, Dsn], None]
) -> None:
    place, dsn = server
    ledger = tmp_path / "ledger.jsonl"
    with (
        Nursery(tmp_path) as nursery,
        SandboxThread(token="token", ledger=ledger, faults=Faults(latency=0.05)) as service,
    ):
        start_mailing(dsn)
        run = nursery.start(
            environment(tmp_path, dsn.address, service.url), "dispatch", "--max-seconds", "40"
        )
        while service.accepted < 50:
            assert run.code is None, nursery.log
            time.sleep(0.01)
        lose(place, dsn)
        assert run.code is None, "it ended before the database was lost"
        assert nursery.wait(run) == 0, nursery.log
        with database.connect(dsn) as connection:
            found = oracle.judge(connection, ledger)
            ending = connection.execute("SELECT ending FROM run ORDER BY id DESC LIMIT 1").fetchone()
            for table in ("message", "counter", "attempt", "mailing_window", "mailing"):
                connection.execute(f"DELETE FROM {table}".encode())  # noqa: S608 - our own names
    found.check()
    assert found.messages.total() == CLIENTS
    assert found.messages["unknown"] == 0, "the same run still knew what had become of them"
    assert ending == ("done",)


def start_mailing(dsn: Dsn) -> None:
    with database.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO mailing (text, starts_at, ends_at, zone)"
            " VALUES ('Hello', now() - interval '1 day', now() + interval '1 day', 'UTC')"
        )
