"""`mailer dispatch`, as cron runs it, in one or several processes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import psycopg

from benchmarks import children
from benchmarks.subjects.base import Place, Subject
from benchmarks.wire import TEXT, phones

MAILER = str(Path(sys.executable).parent / "mailer")
PREPARING = 120.0  # seconds
RECORDED = """
SELECT mailing_id << 32 | client_id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8
FROM message WHERE status = 'sent'
"""


def made_ready(place: Place) -> None:
    """Import clients and make a mailing to all of them that is due: what an operator types."""
    clients = place.folder / "clients.csv"
    clients.write_text("phone\n" + "".join(f"{phone}\n" for phone in phones(place.number)))
    moscow = datetime.now(UTC) + timedelta(hours=3)
    start, end = (f"{moscow + timedelta(days=days):%Y-%m-%d %H:%M}" for days in (-1, 1))
    imported = ["client", "import", str(clients), "--timezone", "Europe/Moscow"]
    created = ["mailing", "create", TEXT, "--start", start, "--end", end, "--yes"]
    for words in (imported, created):
        children.run([MAILER, *words], place.env, place.folder, limit=PREPARING)


@dataclass(frozen=True, slots=True)
class OnMailersTables(Subject):
    """Whatever keeps its records where mailer does."""

    migrated: ClassVar[bool] = True

    def prepare(self, place: Place) -> None:
        """Type what an operator would."""
        made_ready(place)

    def expected(self, place: Place) -> dict[int, int]:
        """A message to every client."""
        with psycopg.connect(place.database) as connection:
            return dict(
                connection.execute(
                    "SELECT mailing.id << 32 | client.id, client.phone::bigint FROM mailing, client"
                ).fetchall()
            )

    def recorded(self, connection: psycopg.Connection) -> dict[int, float]:
        """The message's id is made of the mailing's and the client's."""
        return dict(connection.execute(RECORDED).fetchall())


@dataclass(frozen=True, slots=True)
class Mailer(OnMailersTables):
    """The command itself."""

    title: ClassVar[str] = "mailer dispatch"

    def commands(self, place: Place) -> list[list[str]]:
        """One command line, as cron has it."""
        del place
        shape = ["--processes", str(self.processes), "--concurrency", str(self.connections)]
        return [[MAILER, "dispatch", "--max-seconds", "300", *shape]]


SUBJECTS: list[Subject] = [
    Mailer("mailer-1", 1, 100, 2_500),
    Mailer("mailer-2", 2, 200, 4_500),
    Mailer("mailer-4", 4, 400, 6_000),
]
