"""How the tool connects: plain psycopg for statements, a SQLModel session for one-row work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from mailer_cli.database.explain import explained
from mailer_cli.database.statements import execute

if TYPE_CHECKING:
    import psycopg
    from sqlmodel import Session

    Connection: TypeAlias = psycopg.Connection[Any]
else:
    Connection: TypeAlias = Any

CONNECT_TIMEOUT = 10  # seconds


@dataclass(frozen=True, slots=True)
class Dsn:
    """A libpq connection address. It may hold a password, so it is never shown by `repr`."""

    address: str = field(repr=False)
    embedded: bool = False


def connect(dsn: Dsn, *, autocommit: bool = True) -> Connection:
    """Open a connection; raise UnavailableError or ConfigurationError that say why it cannot be had.

    Transactions are explicit (`with database.transaction(connection)`). No prepared statements and no
    session state: both break behind a transaction pooler.
    """
    import psycopg

    with explained():
        connection = psycopg.connect(
            dsn.address,
            autocommit=autocommit,
            prepare_threshold=None,
            connect_timeout=CONNECT_TIMEOUT,
            application_name="mailer",
        )
    connection.add_notice_handler(lambda _notice: None)
    return connection


@contextmanager
def transaction(connection: Connection, *, force_rollback: bool = False) -> Iterator[None]:
    """Run the block in a transaction that the database ends if we fall silent in it."""
    with connection.transaction(force_rollback=force_rollback):
        execute(connection, "transaction_guard")
        yield


@contextmanager
def session(dsn: Dsn) -> Iterator[tuple[Session, Connection]]:
    """One transaction for one-row work: a SQLModel session and the psycopg connection under it.

    Both speak in the same transaction; it is committed at the end of the block, and rolled back
    when the block raises.
    """
    from sqlalchemy.pool import NullPool
    from sqlmodel import Session, create_engine

    connection = connect(dsn, autocommit=False)
    engine = create_engine("postgresql+psycopg://", creator=lambda: connection, poolclass=NullPool)
    try:
        with explained(), Session(engine, expire_on_commit=False) as work:
            execute(connection, "transaction_guard")
            yield work, connection
            work.commit()
    finally:
        engine.dispose()
        connection.close()
