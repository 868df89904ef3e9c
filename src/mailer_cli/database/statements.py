"""The statements of `sql/`: one file each, run by name with named parameters."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from psycopg import Connection, Cursor

Row = TypeVar("Row")


@cache
def statement(name: str) -> bytes:
    """Return the text of `sql/{name}.sql`; a missing file is a bug (FileNotFoundError)."""
    return (resources.files("mailer_cli") / "sql" / f"{name}.sql").read_bytes()


def execute(connection: Connection[Any], name: str, **values: object) -> Cursor[Any]:
    """Run one statement and return its cursor, whose `rowcount` says how many rows it touched."""
    return connection.execute(statement(name), values)


def fetch(connection: Connection[Any], name: str, row: type[Row], **values: object) -> list[Row]:
    """Run one statement and return its rows as values of the class `row`, by column name."""
    from psycopg.rows import class_row

    with connection.cursor(row_factory=class_row(row)) as cursor:
        return cursor.execute(statement(name), values).fetchall()


def fetch_one(connection: Connection[Any], name: str, row: type[Row], **values: object) -> Row | None:
    """Run one statement and return its first row as a value of the class `row`, if there is one."""
    rows = fetch(connection, name, row, **values)
    return rows[0] if rows else None


def fetch_value(connection: Connection[Any], name: str, **values: object) -> Any:
    """Run one statement and return the first column of its first row, None without a row."""
    from psycopg.rows import tuple_row

    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(statement(name), values).fetchone()
    return row[0] if row else None
