from __future__ import annotations

import secrets

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg.conninfo import make_conninfo
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel, create_engine

import mailer_cli.tables  # noqa: F401 - declares the tables
from conftest import Mailer
from mailer_cli import database
from mailer_cli.database import Connection, Dsn, schema


def test_the_migrated_schema_is_the_declared_one(dsn: Dsn) -> None:
    connection = database.connect(dsn, autocommit=False)
    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=NullPool)
    with engine.connect() as bound:
        context = MigrationContext.configure(
            bound, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, SQLModel.metadata) == []
    engine.dispose()


def test_a_migrated_database_is_at_the_head_that_the_code_names(connection: Connection) -> None:
    assert schema.version(connection) == schema.HEAD


def test_upgrading_twice_changes_nothing(dsn: Dsn, connection: Connection) -> None:
    assert schema.upgrade(dsn) == (schema.HEAD, schema.HEAD)
    assert connection.execute("SELECT count(*) FROM service").fetchone() == (1,)


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_every_text_is_refused(
    postgres: str, mailer: Mailer, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    name = f"mailer_test_{encoding.lower()}_{secrets.token_hex(4)}"
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0".encode())
        try:
            monkeypatch.setenv("DATABASE_URL", make_conninfo(postgres, dbname=name))
            told = mailer("db", "upgrade")
            assert (told.code, told.out) == (1, "")
            assert f"this database stores text as {encoding}, which cannot hold every message" in told.err
            assert "CREATE DATABASE mailer ENCODING 'UTF8' TEMPLATE template0" in told.err
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
