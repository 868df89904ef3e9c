"""PostgreSQL: connections, statements from `sql/`, the schema, the embedded default."""

from mailer_cli.database.connections import Connection, Dsn, connect, session, transaction
from mailer_cli.database.explain import explained
from mailer_cli.database.statements import execute, fetch, fetch_one, fetch_value, statement

__all__ = [
    "Connection",
    "Dsn",
    "connect",
    "execute",
    "explained",
    "fetch",
    "fetch_one",
    "fetch_value",
    "session",
    "statement",
    "transaction",
]
