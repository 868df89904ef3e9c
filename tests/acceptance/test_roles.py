"""Each command under the least role that should do; the next lower one is refused, and changes nothing."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import factories
from command_tree import commands
from conftest import Ended, Mailer, fresh_database
from mailer_cli import database, roles, tables
from mailer_cli.database import Connection, Dsn
from mailer_cli.roles import Role
from mailer_cli.sandbox import SandboxThread

pytestmark = pytest.mark.xdist_group("roles")

HERE = f"t{os.getpid()}_{secrets.token_hex(3)}"
TOKEN = "sesame-sesame"
NOW = datetime.now(UTC)
LOWER = {
    Role.OWNER: Role.OPERATOR,
    Role.OPERATOR: Role.DISPATCHER,
    Role.DISPATCHER: Role.READER,
}

# What is typed for each command, and whose work it is. Mailing 1 is under way, 2 is a draft, 3 is over.
LEAST = {
    "client list": Role.READER,
    "client show 1": Role.READER,
    "client count": Role.READER,
    "client export - -o jsonl": Role.READER,
    "mailing list": Role.READER,
    "mailing show 1": Role.READER,
    "mailing preview 1": Role.READER,
    "mailing simulate 1 --rate 1": Role.READER,
    "message list": Role.READER,
    "message show 4294967297": Role.READER,
    "report": Role.READER,
    "report 1 --by zone": Role.READER,
    "report --daily": Role.READER,
    "top -n 1": Role.READER,
    "why 1 --mailing 1": Role.READER,
    "log": Role.READER,
    "metrics": Role.READER,
    "doctor": Role.READER,
    "dispatch --dry-run": Role.READER,
    "db status": Role.READER,
    "db url": Role.READER,
    "db roles": Role.READER,
    "db dump backup.dump": Role.READER,
    "dispatch": Role.DISPATCHER,
    "client add 79990000001 --timezone UTC": Role.OPERATOR,
    "client update 1 --tag gold": Role.OPERATOR,
    "client mute 1": Role.OPERATOR,
    "client unmute 4": Role.OPERATOR,
    "client remove 2 --yes": Role.OPERATOR,
    "client erase 2 --yes": Role.OPERATOR,
    "client import clients.csv": Role.OPERATOR,
    "mailing create Hello --start 2030-01-01T10:00 --end 2030-01-01T11:00": Role.OPERATOR,
    "mailing update 1 --priority 5": Role.OPERATOR,
    "mailing pause 1": Role.OPERATOR,
    "mailing resume 4": Role.OPERATOR,
    "mailing cancel 1 --yes": Role.OPERATOR,
    "mailing refresh 1": Role.OPERATOR,
    "mailing retry 1 --yes": Role.OPERATOR,
    "mailing test 1 --to 79161112233": Role.OPERATOR,
    "message resolve 4294967298 --as sent": Role.OPERATOR,
    "hold --reason maintenance": Role.OPERATOR,
    "release": Role.OPERATOR,
    "purge --older-than 30d --yes": Role.OPERATOR,
    "recover --since 2h --yes": Role.OPERATOR,
    "db upgrade": Role.OWNER,
}
NO_DATABASE = {
    "demo",  # has one of its own
    "sandbox",
    "cron show",
    "cron install",
    "cron remove",
    "db stop",  # only the embedded one
    "db restore",  # into an empty database
    "cron run",
    "cron check",
    "help",
    "config show",
}


@pytest.fixture
def shop(postgres: str, template: str) -> Iterator[Dsn]:
    """A database with its roles, and something of everything in it."""
    with fresh_database(postgres, template) as dsn:
        with database.connect(dsn) as connection:
            fill(connection)
            roles.apply(connection, roles.script(connection, HERE))
        yield dsn


@pytest.fixture(scope="module", autouse=True)
def gone_afterwards(postgres: str) -> Iterator[None]:
    yield
    with psycopg.connect(postgres, autocommit=True) as server:
        for role in Role:
            server.execute(f"DROP ROLE IF EXISTS {HERE}_{role.value}".encode())


def fill(connection: Connection) -> None:
    made = factories.clients(connection, 3, timezone="UTC")
    factories.a_client(connection, muted_at=NOW)
    under_way = factories.a_mailing(connection, ends_at=datetime(2099, 1, 1))
    factories.a_mailing(connection, state="draft", ends_at=datetime(2099, 1, 1))
    over = factories.a_mailing(connection, state="finished")
    factories.a_mailing(connection, state="paused", ends_at=datetime(2099, 1, 1))
    connection.execute("UPDATE mailing SET finished_at = now() - interval '90 d' WHERE id = %s", [over])
    factories.an_open_window(connection, under_way, zone="UTC", closes_at=NOW + timedelta(hours=5))
    factories.a_client(connection, timezone="UTC")  # a newcomer
    run = factories.a_finished_run(connection, ago=timedelta(days=90))
    factories.a_message(connection, under_way, made[0], "failed", error="no", run_id=run)
    factories.a_message(connection, under_way, made[1], "unknown", error="no answer", run_id=run)
    factories.a_message(connection, over, made[0], "sent", run_id=run)
    connection.execute("UPDATE service SET held_at = NULL")


def everything(dsn: Dsn) -> dict[str, list[Any]]:
    with database.connect(dsn) as connection:
        return {
            table: connection.execute(b"TABLE %b ORDER BY 1, 2" % table.encode()).fetchall()
            for table in roles.TABLES
            if table != "alembic_version"
        }


@pytest.fixture
def typed(run: Mailer, shop: Dsn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Any]:
    """Type a command as a member of a role: `typed(Role.READER, "client list")`."""
    (tmp_path / "clients.csv").write_text("phone,timezone\n79990000002,UTC\n")
    monkeypatch.setenv("JWT_TOKEN", TOKEN)
    with SandboxThread(token=TOKEN) as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)

        def as_role(role: Role, line: str) -> Ended:
            options = f"-c role={HERE}_{role.value}"
            monkeypatch.setenv("DATABASE_URL", make_conninfo(shop.address, options=options))
            return run(*line.split())

        yield as_role


def test_every_command_has_its_role() -> None:
    known = {" ".join(words) for words in commands()}
    named = {
        known_one
        for known_one in known
        if any(line.split()[: len(known_one.split())] == known_one.split() for line in LEAST)
    }
    assert known - named == NO_DATABASE


def test_every_table_has_its_grants() -> None:
    assert roles.TABLES.keys() == tables.Client.metadata.tables.keys() | {"alembic_version"}


@pytest.mark.parametrize("line", LEAST)
def test_the_least_role_will_do(typed: Any, shop: Dsn, line: str) -> None:
    role = LEAST[line]
    if line.startswith(("release", "recover")):
        typed(Role.OPERATOR, "hold --reason x")
    if line == "db upgrade":
        with database.connect(shop) as connection:
            tables_gone(connection)
    told = typed(role, line)
    assert told.code == 0 or (line == "doctor" and told.code == 1), told
    assert "permission" not in told.err + told.out


@pytest.mark.parametrize("line", [line for line, role in LEAST.items() if role in LOWER])
def test_the_next_lower_role_is_refused_and_nothing_is_changed(typed: Any, shop: Dsn, line: str) -> None:
    if line.startswith(("release", "recover")):
        typed(Role.OPERATOR, "hold --reason x")
    if line == "db upgrade":
        with database.connect(shop) as connection:
            tables_gone(connection)
    before = everything(shop) if line != "db upgrade" else {}
    told = typed(LOWER[LEAST[line]], line)
    assert told.code == 1, told
    assert "may not do this: permission denied" in told.err
    assert "`mailer db roles`" in told.err
    assert len(told.err.strip().splitlines()) <= (4 if line == "dispatch" else 3)  # and when it is told again
    after = everything(shop) if line != "db upgrade" else {}
    if line.startswith("recover"):  # to derive windows is a dispatcher's own work
        before["mailing_window"] = after["mailing_window"]
    assert before == after


def tables_gone(connection: Connection) -> None:
    for table in roles.TABLES:
        connection.execute(f"DROP TABLE {table} CASCADE".encode())


def test_a_whole_campaign_is_sent_by_a_dispatcher(typed: Any, shop: Dsn) -> None:
    with database.connect(shop) as connection:
        for number in range(40):
            factories.a_client(connection, phone=f"7995{number:07d}", timezone="UTC")
        connection.execute("UPDATE mailing SET starts_at = now() - interval '1 d' WHERE state = 'active'")
        connection.execute(
            "INSERT INTO mailing (text, starts_at, ends_at, zone)"
            " VALUES ('brief', now() - interval '1 h', now() + interval '1 h', 'UTC')"
        )
        assert typed(Role.DISPATCHER, "dispatch --rate 1000").code == 0
        connection.execute("UPDATE mailing SET ends_at = now() - interval '1 s' WHERE text = 'brief'")
        assert typed(Role.DISPATCHER, "dispatch").code == 0
        state, sent = connection.execute(
            "SELECT state, (SELECT sum(sent) FROM counter c WHERE c.mailing_id = m.id)"
            " FROM mailing m WHERE text = 'brief'"
        ).fetchone() or ("", 0)
    assert (state, sent) == ("finished", 44)


def test_printed_it_is_a_script_that_may_run_twice(typed: Any, shop: Dsn) -> None:
    told = typed(Role.READER, f"db roles --prefix {HERE}")
    assert told.code == 0
    with database.connect(shop) as connection:
        for _ in range(2):
            connection.execute(told.out.encode())
    assert typed(Role.READER, "client list").code == 0


def test_who_may_not_make_roles_is_told_who_may(typed: Any) -> None:
    told = typed(Role.OPERATOR, f"db roles --prefix {HERE} --apply")
    assert told.code == 1
    assert "let a superuser run it" in told.err


@pytest.mark.parametrize(
    ("role", "verdict", "says"),
    [
        (Role.READER, "warn", "may read, and not send"),
        (Role.DISPATCHER, "ok", "this database user may send"),
        (Role.OPERATOR, "ok", "this database user may send, and change clients and mailings"),
        (Role.OWNER, "ok", "this database user may send, change clients and mailings, and migrate"),
    ],
)
def test_the_doctor_tells_what_this_user_may_do(typed: Any, role: Role, verdict: str, says: str) -> None:
    found = {each["check"]: each for each in json.loads(typed(role, "doctor -o json").out)}
    assert found["rights"]["verdict"] == verdict
    assert says in found["rights"]["says"]


def test_one_right_less_and_it_may_not_send(typed: Any, shop: Dsn) -> None:
    with database.connect(shop) as connection:
        connection.execute(f"REVOKE UPDATE ON counter FROM {HERE}_dispatcher".encode())
    found = {each["check"]: each for each in json.loads(typed(Role.DISPATCHER, "doctor -o json").out)}
    assert found["rights"]["verdict"] == "warn"


def test_on_a_rented_server_its_tenant_makes_them(
    postgres: str, mailer: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{HERE}_rented"
    made = [f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'x'", f"CREATE DATABASE {name} OWNER {name}"]
    roles_of_it = [f"{name}_{role.value}" for role in reversed(Role)]
    with psycopg.connect(postgres, autocommit=True) as server:
        for each in made:
            server.execute(each.encode())
        try:
            tenant = make_conninfo(postgres, dbname=name, user=name, password="x")
            monkeypatch.setenv("DATABASE_URL", tenant)
            assert mailer("db", "upgrade").code == 0
            for _ in range(2):
                told = mailer("db", "roles", "--prefix", name, "--apply")
                assert (told.code, told.err.startswith("made, or brought up to date")) == (0, True), told.err
            assert mailer("client", "add", "79161234567", "--timezone", "UTC").code == 0
            assert mailer("db", "upgrade").code == 0
            with psycopg.connect(tenant) as connection:
                owners = connection.execute(
                    "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'"
                ).fetchall()
            assert owners == [(f"{name}_owner",)]
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
            for role in (*roles_of_it, name):
                server.execute(f"DROP ROLE IF EXISTS {role}".encode())


def test_roles_made_for_one_prefix_do_not_touch_another(typed: Any) -> None:
    told = typed(Role.READER, "db roles --prefix Mailer;drop")
    assert told.code == 1
    assert "prefix: 'Mailer;drop' cannot begin a role's name" in told.err


def test_what_an_owner_migrates_belongs_to_all_owners(typed: Any, shop: Dsn) -> None:
    with database.connect(shop) as connection:
        for table in roles.TABLES.keys() - {"alembic_version"}:
            connection.execute(f"DROP TABLE {table} CASCADE".encode())
        connection.execute("DELETE FROM alembic_version")
        connection.execute(f"GRANT ALL ON SCHEMA public TO {HERE}_owner".encode())
    with_superuser = typed(Role.OWNER, "db upgrade")
    assert with_superuser.code == 0, with_superuser
    with database.connect(shop) as connection:
        owners = connection.execute(
            "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
    assert owners == [(f"{HERE}_owner",)]
