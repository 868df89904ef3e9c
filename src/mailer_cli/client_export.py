"""Clients as an import reads them: the same clients give the same rows in the same order, in any database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mailer_cli import database
from mailer_cli.clients import Filter
from mailer_cli.database import Connection

COLUMNS = ("phone", "timezone", "tag", "operator_code")
_AT_ONCE = 5_000  # rows per round trip: what exporting millions holds in memory


def exported(connection: Connection, wanted: Filter) -> Iterator[dict[str, Any]]:
    """Yield matching clients with COLUMNS and `muted`, read as they are asked for.

    The connection must be in a transaction, which holds the cursor.
    """
    from psycopg.rows import dict_row

    with connection.cursor("export", row_factory=dict_row) as cursor:
        cursor.itersize = _AT_ONCE
        yield from cursor.execute(database.statement("client_export"), wanted.values())
