"""What migrations are made of where dispatchers go on meanwhile.

Each of these may be repeated: what is done in several transactions is begun again from its beginning when a
lock cannot be had, or the upgrade was killed.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import text


def add_column(table: str, definition: str) -> None:
    """Add a column that may be null, or has a constant default: neither rewrites the table."""
    op.execute(text(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {definition}"))


def add_index(name: str, definition: str) -> None:
    """Make an index without stopping writers; `definition` is what follows its name: `ON message (sent_at)`.

    What an earlier try left behind unfinished is dropped first.
    """
    with op.get_context().autocommit_block():
        before = op.get_bind().execute(text("SHOW lock_timeout")).scalar_one()
        op.execute(text("SET lock_timeout = 0"))  # it waits for everybody, and nobody for it
        op.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
        op.execute(text(f"CREATE INDEX CONCURRENTLY {name} {definition}"))
        op.execute(text(f"SET lock_timeout = '{before}'"))


def add_check(table: str, name: str, condition: str) -> None:
    """Add a condition that new rows keep at once; old rows are read for it without stopping writers."""
    with op.get_context().autocommit_block():
        op.execute(text(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name}"))
        op.execute(text(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({condition}) NOT VALID"))
        op.execute(text(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}"))


def backfill(statement: str) -> None:
    """Repeat a statement that changes some thousands of rows until it changes none, each time committed."""
    with op.get_context().autocommit_block():
        while op.get_bind().execute(text(statement)).rowcount:
            pass
