"""Dramatiq: a queue in Redis, threads, a requests.Session and a database connection for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks import children
from benchmarks.subjects.base import PEERS, Place, Subject

THREADS = 8
PREPARING = 300.0  # seconds
MODULE = "on_dramatiq"


@dataclass(frozen=True, slots=True)
class Dramatiq(Subject):
    """A task per message."""

    title: ClassVar[str] = "Dramatiq, Redis, requests.Session"
    ends: ClassVar[bool] = False
    broker: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("dramatiq", "redis", "requests", "psycopg")

    def prepare(self, place: Place) -> None:
        """A row and a task for each message."""
        Subject.prepare(self, place)
        script = str(PEERS / f"{MODULE}.py")
        children.run([place.python, script], place.env, place.folder, limit=PREPARING)

    def commands(self, place: Place) -> list[list[str]]:
        """Its own command, which starts its processes."""
        size = ["--processes", str(self.processes), "--threads", str(THREADS)]
        return [[place.python, "-m", "dramatiq", MODULE, *size]]


SUBJECTS: list[Subject] = [Dramatiq("dramatiq-4", 4, 4 * THREADS, 1_500)]
