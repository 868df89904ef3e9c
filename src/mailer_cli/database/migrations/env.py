"""Run by Alembic, over the connection that `database.upgrading` hands in."""

from typing import Any

from alembic import context
from sqlalchemy import text
from sqlmodel import SQLModel

import mailer_cli.tables  # noqa: F401 - declares the tables

connection = context.config.attributes["connection"]


def say_what_works(*, step: Any, **_: object) -> None:
    """Write down, in the migration's transaction, which releases work on what it leaves."""
    oldest = step.up_revision.module.works_with
    connection.execute(text("ALTER TABLE alembic_version ADD COLUMN IF NOT EXISTS works_with text"))
    connection.execute(text("UPDATE alembic_version SET works_with = :oldest"), {"oldest": oldest})


context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    transaction_per_migration=True,
    on_version_apply=say_what_works,  # type: ignore[arg-type]  # it is called by keywords only
)
with context.begin_transaction():
    context.run_migrations()
