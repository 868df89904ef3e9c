"""Behind a transaction pooler, where each transaction may be another server session's, all works the same."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from chaos import oracle
from chaos.dispatchers import Nursery, environment
from chaos.storm import add_clients, own_server
from chaos.test_lost_database import crash, restart, start_mailing
from conftest import Mailer
from mailer_cli import database
from mailer_cli.database import Dsn, schema
from mailer_cli.sandbox import Faults, SandboxThread

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
CLIENTS = 600
POOL = 3  # sessions for two dispatchers that want six each

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="no pgbouncer: apt-get install pgbouncer")


@pytest.fixture
def pooled(dsn: Dsn, tmp_path: Path) -> Iterator[Dsn]:
    """The test's database through pgbouncer in transaction mode."""
    with pooler(dsn, tmp_path) as through:
        yield through


@contextmanager
def pooler(dsn: Dsn, tmp_path: Path) -> Iterator[Dsn]:
    """A pgbouncer of the test's own before a database while the `with` block lasts."""
    port = free_port()
    parts = conninfo_to_dict(dsn.address)
    target = " ".join(
        f"{name}='{parts[name]}'" for name in ("host", "port", "dbname", "user") if name in parts
    )
    ini = tmp_path / "pgbouncer.ini"
    ini.write_text(
        f"[databases]\nmailer = {target} pool_size={POOL}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n"
        "max_client_conn = 200\nserver_reset_query_always = 0\n"
        "server_login_retry = 1\n"  # seconds until it asks again for a database that was lost; else 15
    )
    assert PGBOUNCER is not None
    log = tmp_path / "pgbouncer.log"
    with (
        ini.open() as readable,
        log.open("w") as written,
    ):  # pgbouncer refuses to run as root, and pytest's directories are root's own
        process = subprocess.Popen(
            [PGBOUNCER, "/dev/stdin"],
            stdin=readable,
            stderr=written,
            user="nobody" if os.geteuid() == 0 else None,
        )
    address = make_conninfo(host="127.0.0.1", port=port, dbname="mailer", user=str(parts.get("user", "")))
    try:
        wait_for(address, log)
        yield Dsn(address)
    finally:
        process.terminate()
        process.wait(10)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def wait_for(address: str, log: Path) -> None:
    end = time.monotonic() + 10
    while True:
        try:
            psycopg.connect(address, connect_timeout=2).close()
        except psycopg.OperationalError:
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        else:
            return


def test_commands_and_two_dispatchers_work_behind_it(
    pooled: Dsn, run: Mailer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", pooled.address)
    people = tmp_path / "clients.csv"
    rows = "".join(f"7916{number:07d},Europe/Moscow\n" for number in range(CLIENTS))
    people.write_text("phone,timezone\n" + rows)
    assert run("db", "upgrade").code == 0
    assert run("client", "import", str(people)).code == 0
    times = ("--start", "2020-01-01 10:00", "--end", "2035-01-01 10:00")
    assert run("mailing", "create", "Hello", *times, "--yes").code == 0

    ledger = tmp_path / "ledger.jsonl"
    faults = Faults(latency=0.01, error_rate=0.05, seed=20261123)
    with Nursery(tmp_path) as nursery, SandboxThread(token="token", ledger=ledger, faults=faults) as service:
        env = environment(tmp_path, pooled.address, service.url)
        both = [nursery.start(env, "dispatch") for _ in range(2)]
        assert [nursery.wait(each) for each in both] == [0, 0], nursery.log
        with database.connect(pooled) as connection:
            while oracle.still_due(connection):
                connection.execute("UPDATE retry SET retry_at = now()")
                assert nursery.wait(nursery.start(env, "dispatch")) == 0, nursery.log
            found = oracle.judge(connection, ledger)
    found.check()
    assert found.messages.total() == CLIENTS
    [row] = json.loads(run("report", "1", "-o", "json").out)
    assert row["audience"] == CLIENTS == sum(row[status] for status in found.messages)
    assert run("mailing", "pause", "1").code == 0
    assert run("hold", "--reason", "tea").code == 0
    assert run("release").code == 0
    assert "prepared statement" not in nursery.log


def test_no_session_keeps_what_was_set_for_a_transaction(pooled: Dsn) -> None:
    with database.connect(pooled) as connection:
        with database.transaction(connection):
            inside = connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
        outside = [
            connection.execute("SHOW idle_in_transaction_session_timeout").fetchone() for _ in range(2 * POOL)
        ]
    assert inside == ("10s",)
    assert set(outside) == {("0",)}


def test_a_run_behind_it_goes_on_by_itself_after_the_database_restarted_and_then_crashed(
    tmp_path: Path,
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with (
        own_server() as (place, address),
        pooler(prepared(Dsn(address)), tmp_path) as pooled,
        Nursery(tmp_path) as nursery,
        SandboxThread(token="token", ledger=ledger, faults=Faults(latency=0.05)) as service,
    ):
        env = environment(tmp_path, pooled.address, service.url)
        run = nursery.start(env, "dispatch", "--max-seconds", "40")
        for lose, sent in ((restart, 50), (crash, CLIENTS // 2)):
            while service.accepted < sent:
                assert run.code is None, nursery.log
                time.sleep(0.01)
            lose(place, pooled)
            assert run.code is None, "it ended before the database was lost"
        assert nursery.wait(run) == 0, nursery.log
        with database.connect(pooled) as connection:
            found = oracle.judge(connection, ledger)
            endings = connection.execute("SELECT ending FROM run").fetchall()
    found.check()
    assert found.messages == {"sent": CLIENTS}
    assert endings == [("done",)]


def prepared(dsn: Dsn) -> Dsn:
    """The database, with its schema, clients and a mailing that is due."""
    schema.upgrade(dsn)
    with database.connect(dsn) as connection:
        add_clients(connection, CLIENTS)
    start_mailing(dsn)
    return dsn
