"""Migrations beside dispatchers that go on sending; those in tests/migrations play the next releases."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from conftest import Mailer, fresh_database
from mailer_cli import database
from mailer_cli.database import Connection, Dsn, schema, upgrading
from mailer_cli.errors import SchemaError, UnavailableError
from mailer_cli.sandbox import Faults, SandboxThread

NEXT = Path(__file__).parent.parent / "migrations"
MESSAGES = 1_000_000
CLIENTS = 5_000  # minutes for five at a time: longer than any migration here


@pytest.fixture
def expanding(tmp_path: Path) -> Path:
    """The folder of a release that only adds."""
    shutil.copy(NEXT / "2001_expand.py", tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def a_million(postgres: str, template: str) -> Iterator[Dsn]:
    """A database with a million messages of an old mailing, and another mailing that is due."""
    with fresh_database(postgres, template) as dsn, database.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO client (phone, operator_code, timezone)"
            " SELECT '79' || lpad(i::text, 9, '0'), '916', 'UTC' FROM generate_series(1, %s::int) i",
            [CLIENTS],
        )
        connection.execute(
            "INSERT INTO mailing (text, starts_at, ends_at, zone, state, finished_at)"
            " VALUES ('old', now() - interval '9 d', now() - interval '8 d', 'UTC', 'finished', now())"
        )
        connection.execute(
            "INSERT INTO message (shard, mailing_id, client_id, phone, status, attempts, sent_at)"
            " SELECT i %% 16, 1, i, '79161234567', 'sent', 1, now() FROM generate_series(1, %s::int) i",
            [MESSAGES],
        )
        connection.execute(
            "INSERT INTO mailing (text, starts_at, ends_at, zone)"
            " VALUES ('due', now() - interval '1 d', now() + interval '1 d', 'UTC')"
        )
        connection.execute("ANALYZE")
        yield dsn


def dispatcher(dsn: Dsn, url: str, home: Path, concurrency: int) -> subprocess.Popen[bytes]:
    env = {"PATH": os.environ["PATH"], "HOME": str(home), "DATABASE_URL": dsn.address}
    env |= {"MESSAGE_SERVICE_URL": url, "JWT_TOKEN": "t", "MAILER_CONCURRENCY": str(concurrency)}
    words = [sys.executable, "-m", "mailer_cli", "dispatch", "--max-seconds", "240"]
    return subprocess.Popen(words, env=env, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_a_million_messages_are_migrated_under_a_dispatcher_that_goes_on(
    a_million: Dsn, expanding: Path, tmp_path: Path
) -> None:
    with SandboxThread(token="t", faults=Faults(latency=0.3)) as service:
        run = dispatcher(a_million, service.url, tmp_path, concurrency=5)
        while service.accepted < 50:
            assert run.poll() is None, run.communicate()
        before, after = schema.upgrade(a_million, also=expanding)
        sent = service.accepted
        assert run.poll() is None, "the migration took longer than the run: nothing was shown"
        while service.accepted < sent + 50:  # and it goes on
            assert run.poll() is None, run.communicate()
        run.send_signal(signal.SIGTERM)
        said, _ = run.communicate()
        assert (run.returncode, b"bug" in said) == (143, False)
        assert (before, after) == ("0001", "2001")
        again = dispatcher(a_million, service.url, tmp_path, concurrency=200)
        assert (again.communicate()[0], again.returncode) == (b"", 0)
        assert service.accepted == CLIENTS
    with database.connect(a_million) as connection:
        assert schema.state(connection) == schema.State("2001", "0001")
        counted = connection.execute("SELECT status, count(*) FROM message WHERE mailing_id = 2 GROUP BY 1")
        assert counted.fetchall() == [("sent", CLIENTS)]
        left = "SELECT count(*) FROM message WHERE mailing_id = 1 AND length IS DISTINCT FROM 11"
        assert connection.execute(left.encode()).fetchone() == (0,)
        valid = "SELECT bool_and(indisvalid) FROM pg_index WHERE indrelid = 'message'::regclass"
        assert connection.execute(valid.encode()).fetchone() == (True,)


def test_a_migration_that_waits_for_a_lock_lets_others_pass(
    dsn: Dsn, connection: Connection, expanding: Path
) -> None:
    told: list[str] = []
    with psycopg.connect(dsn.address) as other:
        other.execute("SELECT count(*) FROM message")  # and its transaction stays open
        upgrade = threading.Thread(
            target=schema.upgrade, args=[dsn], kwargs={"also": expanding, "tell": told.append}
        )
        upgrade.start()
        while not any("somebody is using" in line for line in told):
            connection.execute("SET statement_timeout = '10 s'")
            connection.execute(
                "INSERT INTO client (phone, operator_code, timezone) VALUES ('79161234567', '916', 'UTC')"
            )
            connection.execute("SELECT count(*) FROM message")
            connection.execute("DELETE FROM client")
        assert schema.version(connection) == "0001"
    upgrade.join()
    assert schema.version(connection) == "2001"


def test_one_that_never_gets_its_lock_gives_up_and_has_done_nothing(
    dsn: Dsn, connection: Connection, expanding: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upgrading, "PATIENCE", 0.0)
    monkeypatch.setattr(upgrading, "LOCK_TIMEOUT", "100ms")
    with psycopg.connect(dsn.address) as other:
        other.execute("SELECT count(*) FROM message")
        with pytest.raises(UnavailableError, match="found its tables locked; nothing of it was done"):
            schema.upgrade(dsn, also=expanding)
    columns = "SELECT count(*) FROM information_schema.columns WHERE column_name = 'channel'"
    assert connection.execute(columns.encode()).fetchone() == (0,)


def test_what_a_killed_upgrade_left_behind_is_made_anew(
    dsn: Dsn, connection: Connection, expanding: Path
) -> None:
    connection.execute("ALTER TABLE message ADD COLUMN channel text DEFAULT 'sms'")
    connection.execute("CREATE INDEX message_channel ON message (channel)")
    connection.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'message_channel'::regclass"
    )
    connection.execute("ALTER TABLE message DROP COLUMN channel")
    schema.upgrade(dsn, also=expanding)
    definition = connection.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'message_channel'")
    assert "WHERE (channel <> 'sms'" in str(definition.fetchone())


def test_after_a_contraction_the_release_before_is_refused(
    dsn: Dsn, connection: Connection, mailer: Mailer
) -> None:
    schema.upgrade(dsn, also=NEXT)
    assert schema.state(connection) == schema.State("2002", "2002")
    with pytest.raises(SchemaError, match=r"\(2002\) is newer than this mailer"):
        schema.require(connection)
    for line in ("dispatch", "report", "db upgrade"):
        told = mailer(*line.split())
        assert told.code == 1
        assert "install a newer mailer" in told.err


def test_two_upgrades_at_once_do_the_work_once(dsn: Dsn, connection: Connection, expanding: Path) -> None:
    results: list[tuple[str | None, str]] = []

    def upgrade() -> None:
        results.append(schema.upgrade(dsn, also=expanding))

    threads = [threading.Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results, key=str) == [("0001", "2001"), ("2001", "2001"), ("2001", "2001")]
    assert schema.version(connection) == "2001"


@pytest.mark.parametrize(("make", "pending"), [("", []), ("DELETE FROM alembic_version", ["0001"])])
def test_what_is_pending_is_listed(
    mailer: Mailer,
    connection: Connection,
    make: str,
    pending: list[str],
    parsed: Callable[[str], dict[str, object]],
) -> None:
    if make:
        connection.execute(make.encode())
    found = parsed(mailer("db", "status", "-o", "json").out)
    assert [str(line).split()[0] for line in found["pending"]] == pending  # type: ignore[attr-defined]
    assert found["usable"] is not bool(pending)


@pytest.fixture
def parsed() -> Callable[[str], dict[str, object]]:
    import json

    return json.loads
