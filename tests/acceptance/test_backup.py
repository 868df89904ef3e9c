"""A backup and coming back from it, rehearsed: embedded and server; the copy sends nothing by itself."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import factories
from conftest import Mailer
from mailer_cli import database, roles
from mailer_cli.database import Connection, Dsn
from mailer_cli.sandbox import SandboxThread
from servers import Cluster, a_place, needs_postgresql

NOW = datetime.now(UTC)
CLIENTS = 40


def fill(connection: Connection) -> None:
    factories.clients(connection, CLIENTS, timezone="UTC")
    mailing = factories.a_mailing(connection, ends_at=datetime(2099, 1, 1))
    factories.an_open_window(connection, mailing, zone="UTC", closes_at=NOW + timedelta(hours=5))


def rows(connection: Connection) -> dict[str, list[object]]:
    return {
        table: connection.execute(b"TABLE %b ORDER BY 1, 2, 3" % table.encode()).fetchall()
        for table in roles.TABLES
        if table not in {"alembic_version", "run"}
    }


@pytest.fixture
def another(postgres: str) -> Iterator[Dsn]:
    """An empty database on the same server."""
    name = f"mailer_test_restored_{secrets.token_hex(4)}"
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
        yield Dsn(make_conninfo(postgres, dbname=name))
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_a_restored_database_has_everything_and_sends_nothing_until_it_is_told(
    mailer: Mailer, connection: Connection, another: Dsn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fill(connection)
    monkeypatch.setenv("JWT_TOKEN", "t")
    file = tmp_path / "backup.dump"
    with SandboxThread(token="t") as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        connection.execute("UPDATE mailing SET state = 'paused'")
        assert mailer("dispatch").code == 0  # it is home now
        connection.execute("UPDATE mailing SET state = 'active'")
        assert mailer("db", "dump", str(file)).code == 0
        assert file.stat().st_mode & 0o077 == 0
        assert mailer("dispatch").code == 0
        assert sandbox.accepted == CLIENTS  # and then the database was lost

        monkeypatch.setenv("DATABASE_URL", another.address)
        told = mailer("db", "restore", str(file))
        assert told.code == 0, told.err
        assert "mailer recover --since TIME" in told.err
        refused = mailer("dispatch")
        assert refused.code == 1
        assert "a copy of the one that sent before" in refused.err
        assert sandbox.accepted == CLIENTS

        assert mailer("recover", "--since", "1h", "--yes").code == 0
        assert mailer("dispatch").code == 0
        assert sandbox.accepted == CLIENTS, "somebody got it twice"
    with database.connect(another) as restored:
        counted = restored.execute("SELECT status, count(*) FROM message GROUP BY 1").fetchall()
    assert counted == [("unknown", CLIENTS)]


def test_every_row_comes_back(
    mailer: Mailer, connection: Connection, another: Dsn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fill(connection)
    before = rows(connection)
    assert mailer("db", "dump", str(tmp_path / "backup.dump")).code == 0
    monkeypatch.setenv("DATABASE_URL", another.address)
    assert mailer("db", "restore", str(tmp_path / "backup.dump")).code == 0
    with database.connect(another) as restored:
        assert rows(restored) == before


def test_nothing_is_restored_over_a_database_that_is_in_use(
    mailer: Mailer, connection: Connection, tmp_path: Path
) -> None:
    fill(connection)
    assert mailer("db", "dump", str(tmp_path / "backup.dump")).code == 0
    again = mailer("db", "dump", str(tmp_path / "backup.dump"))
    assert (again.code, "is there already" in again.err) == (1, True)
    told = mailer("db", "restore", str(tmp_path / "backup.dump"))
    assert (told.code, "nothing is restored over them" in told.err) == (1, True)
    missing = mailer("db", "restore", str(tmp_path / "missing"))
    assert (missing.code, "cannot be read" in missing.err) == (1, True)


def test_what_is_no_dump_is_told_of(
    mailer: Mailer, another: Dsn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("no dump")
    monkeypatch.setenv("DATABASE_URL", another.address)
    told = mailer("db", "restore", str(tmp_path / "notes.txt"))
    assert (told.code, told.err.startswith("mailer: pg_restore failed: ")) == (1, True)
    assert len(told.err.splitlines()) <= 2  # a second, where only a newer release's pg_restore is here


@needs_postgresql
def test_a_server_of_an_older_release_is_restored_by_its_own_programs(
    run: Mailer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with a_place() as place:
        server = Cluster(place / "older")
        server.make()
        server.start()
        try:
            with psycopg.connect(server.address(), autocommit=True) as connection:
                connection.execute("CREATE DATABASE old")
                connection.execute("CREATE DATABASE new")
            monkeypatch.setenv("DATABASE_URL", server.address("old"))
            assert run("db", "upgrade").code == 0
            assert run("client", "add", "79161234567", "--timezone", "UTC").code == 0
            assert run("db", "dump", str(tmp_path / "backup.dump")).code == 0
            monkeypatch.setenv("DATABASE_URL", server.address("new"))
            assert run("db", "restore", str(tmp_path / "backup.dump")).err.startswith("restored; ")
            assert run("client", "count").out == "clients  1\n"

            with psycopg.connect(server.address(), autocommit=True) as connection:
                connection.execute("CREATE DATABASE other")
            monkeypatch.setenv("DATABASE_URL", server.address("other"))
            newer = bytearray((tmp_path / "backup.dump").read_bytes())
            newer[5:7] = b"\x01\x63"  # the version of its format, in the header
            (tmp_path / "newer.dump").write_bytes(newer)
            told = run("db", "restore", str(tmp_path / "newer.dump"))
            assert (told.code, "was written by a newer PostgreSQL" in told.err) == (1, True)
        finally:
            server.control("stop", "-m", "immediate")


def test_the_embedded_default_is_dumped_by_its_own_programs(run: Mailer, tmp_path: Path) -> None:
    assert run("client", "add", "79161234567", "--timezone", "UTC").code == 0
    try:
        assert run("db", "dump", str(tmp_path / "backup.dump")).code == 0
        assert (tmp_path / "backup.dump").read_bytes().startswith(b"PGDMP")
    finally:
        run("db", "stop")
