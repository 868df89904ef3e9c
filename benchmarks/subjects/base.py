"""What a subject is: something that sends messages, made ready, started, and held to account."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psycopg

from benchmarks.wire import TEXT, TOKEN, phones

PEERS = Path(__file__).parent.parent / "peers"
SCRIPTS = Path(__file__).parent.parent / "scripts"
DATABASE_CONNECTIONS = 80  # of all processes of a subject; the server takes 100

# The table that peers work on: as much as their own examples would keep of a message.
MESSAGE_TABLE = """
CREATE TABLE message (
    id bigint PRIMARY KEY, phone bigint NOT NULL, text text NOT NULL,
    status text NOT NULL DEFAULT 'new', http_status smallint, sent_at timestamptz
) WITH (fillfactor = 50)
"""
MESSAGES = """
INSERT INTO message (id, phone, text)
SELECT number, %(first)s + number - 1, %(text)s FROM generate_series(1, %(count)s) AS number
"""


@dataclass(frozen=True, slots=True)
class Place:
    """What a subject is given for one run."""

    number: int  # of messages
    database: str
    broker: str
    url: str
    python: str  # the interpreter that has the peers
    folder: Path

    @property
    def env(self) -> dict[str, str]:
        """The environment of a subject's processes: nothing of the caller's but where programs are."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "PYTHONPATH": str(PEERS),
            "DATABASE_URL": self.database,
            "MESSAGE_SERVICE_URL": self.url,
            "JWT_TOKEN": TOKEN,
            "BROKER_URL": self.broker,
            "MESSAGES": str(self.number),
        }


@dataclass(frozen=True, slots=True)
class Subject(ABC):
    """One way of sending messages; `name` is what --only knows it by."""

    name: str
    processes: int
    connections: int  # requests under way at once, in all processes
    rate: float  # messages a second that are about to be expected without latency: sizes a run

    title: ClassVar[str] = ""
    posts: ClassVar[bool] = True  # to the service; if not, only the database is looked at
    records: ClassVar[bool] = True  # in the database; if not, only the service is looked at
    ends: ClassVar[bool] = True  # by itself, when all is sent
    migrated: ClassVar[bool] = False  # wants mailer's tables
    broker: ClassVar[bool] = False  # wants Redis
    prepares: ClassVar[bool] = True  # something that takes time
    requires: ClassVar[tuple[str, ...]] = ()  # packages of peers.txt

    def prepare(self, place: Place) -> None:
        """Put the messages where the subject takes them from; not part of what is measured."""
        with psycopg.connect(place.database) as connection:
            connection.execute(MESSAGE_TABLE)
            values = {"first": phones(1)[0], "text": TEXT, "count": place.number}
            connection.execute(MESSAGES, values)

    @abstractmethod
    def commands(self, place: Place) -> list[list[str]]:
        """The processes to start, all at once."""

    def expected(self, place: Place) -> dict[int, int]:
        """The phone of every message by its id."""
        return dict(enumerate(phones(place.number), start=1))

    def count(self, connection: psycopg.Connection) -> int:
        """How many messages are recorded as sent."""
        row = connection.execute("SELECT count(*) FROM message WHERE status = 'sent'").fetchone()
        return int(row[0]) if row else 0

    def recorded(self, connection: psycopg.Connection) -> dict[int, float]:
        """When the record of each sent message was committed, by its id."""
        return dict(
            connection.execute(
                "SELECT id, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8"
                " FROM message WHERE status = 'sent'"
            ).fetchall()
        )

    def began(self, connection: psycopg.Connection) -> float:
        """When the work began, where the service cannot tell."""
        raise NotImplementedError
