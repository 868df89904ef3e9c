"""A connection that is made again when the database comes back."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import psycopg

from mailer_cli import database
from mailer_cli.database import Connection, Dsn
from mailer_cli.dispatch.options import clock
from mailer_cli.errors import UnavailableError

PAUSE = 0.2  # seconds between tries
STUCK = 20.0  # seconds after which a job hangs: on a lost route, or a server that answers nobody
LOST = (
    psycopg.OperationalError,  # also a deadlock's victim
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # a standby, which may be promoted any moment
    psycopg.errors.IdleInTransactionSessionTimeout,  # we were asleep; what we had begun is undone
    UnavailableError,
)

T = TypeVar("T")


class Link:
    """Runs jobs on one connection, and repeats a job that the database's loss interrupted.

    A job is one or more transactions that may be repeated: after a lost reply to COMMIT nobody knows
    whether it happened. One that takes longer than `patience`, in seconds, is taken for lost.
    """

    def __init__(self, dsn: Dsn, *, patience: float = STUCK) -> None:
        self._dsn = dsn
        self._patience = patience
        self._connection: Connection | None = None

    def run(self, job: Callable[[Connection], T], *, give_up: float) -> T:
        """Run `job`; repeat it until it succeeds or the host's clock passes `give_up`.

        Raises UnavailableError or psycopg.OperationalError if the database does not come back in time.
        """
        while True:
            try:
                connection = self._ready()
                with self._watched(connection):
                    return job(connection)
            except LOST:
                if clock() >= give_up:
                    raise
                threading.Event().wait(PAUSE)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()

    @contextmanager
    def _watched(self, connection: Connection) -> Iterator[None]:
        watch = threading.Timer(self._patience, _cut, [connection])
        watch.daemon = True
        watch.start()
        try:
            yield
        finally:
            watch.cancel()

    def _ready(self) -> Connection:
        if self._connection is None or self._connection.closed or self._connection.broken:
            self._connection = database.connect(self._dsn)
        return self._connection


def _cut(connection: Connection) -> None:
    """Let whoever waits for the database's answer see the end of the connection instead."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
