"""Run by Alembic, over the connection that `database.schema.upgrade` hands in."""

from alembic import context
from sqlmodel import SQLModel

import mailer_cli.tables  # noqa: F401 - declares the tables

context.configure(connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata)
with context.begin_transaction():
    context.run_migrations()
