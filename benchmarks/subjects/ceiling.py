"""What bounds mailer from above: its HTTP client without a database, its database without HTTP."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import ClassVar

import psycopg

from benchmarks.subjects.base import SCRIPTS, Place, Subject
from benchmarks.subjects.mailer import OnMailersTables

CONCURRENCY = 100  # as mailer's own default


@dataclass(frozen=True, slots=True)
class BareClient(Subject):
    """mailer's MessageService in a loop: each process has its share of the messages."""

    title: ClassVar[str] = "bare client loop, no database"
    records: ClassVar[bool] = False
    prepares: ClassVar[bool] = False

    def prepare(self, place: Place) -> None:
        """The messages are made up on the way."""

    def commands(self, place: Place) -> list[list[str]]:
        """One process a share."""
        del place
        script = str(SCRIPTS / "bare_client.py")
        shares = [str(share) for share in range(self.processes)]
        return [[sys.executable, script, share, str(self.processes), str(CONCURRENCY)] for share in shares]


@dataclass(frozen=True, slots=True)
class NoHttp(OnMailersTables):
    """mailer's engine, with a service that answers at once, in the same process."""

    title: ClassVar[str] = "mailer's engine, no HTTP"
    posts: ClassVar[bool] = False

    def commands(self, place: Place) -> list[list[str]]:
        """As many as for mailer."""
        del place
        return [[sys.executable, str(SCRIPTS / "no_http.py")] for _ in range(self.processes)]

    def began(self, connection: psycopg.Connection) -> float:
        """When the first message was claimed."""
        row = connection.execute("SELECT extract(epoch FROM min(created_at))::float8 FROM message").fetchone()
        return float(row[0]) if row else 0.0


SUBJECTS: list[Subject] = [
    BareClient("bare-1", 1, 100, 2_800),
    BareClient("bare-2", 2, 200, 5_000),
    BareClient("bare-4", 4, 400, 7_000),
    NoHttp("no-http-1", 1, 100, 12_000),
    NoHttp("no-http-2", 2, 200, 20_000),
    NoHttp("no-http-4", 4, 400, 30_000),
]
