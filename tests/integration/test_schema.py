from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel, create_engine

import mailer_cli.tables  # noqa: F401 - declares the tables
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
