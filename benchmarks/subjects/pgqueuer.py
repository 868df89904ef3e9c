"""PgQueuer: a queue in PostgreSQL, with aiohttp and a result row of its own for each message."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from benchmarks import children
from benchmarks.subjects.base import DATABASE_CONNECTIONS, PEERS, Place, Subject

CONCURRENCY = 100
PREPARING = 300.0  # seconds
SCRIPT = str(PEERS / "on_pgqueuer.py")


@dataclass(frozen=True, slots=True)
class PgQueuer(Subject):
    """A job per message."""

    title: ClassVar[str] = "PgQueuer, aiohttp"
    ends: ClassVar[bool] = False
    requires: ClassVar[tuple[str, ...]] = ("pgqueuer", "asyncpg", "aiohttp")

    def prepare(self, place: Place) -> None:
        """Its tables, and a job for each message."""
        Subject.prepare(self, place)
        children.run([place.python, SCRIPT, "enqueue"], place.env, place.folder, limit=PREPARING)

    def commands(self, place: Place) -> list[list[str]]:
        """Each process a worker."""
        connections = min(20, DATABASE_CONNECTIONS // self.processes)
        work = [place.python, SCRIPT, "work", str(CONCURRENCY), str(connections)]
        return [work for _ in range(self.processes)]


CORES = os.cpu_count() or 1
SUBJECTS: list[Subject] = [
    PgQueuer("pgqueuer-1", 1, CONCURRENCY, 2_000),
    *([PgQueuer(f"pgqueuer-{CORES}", CORES, CONCURRENCY * CORES, 4_000)] if CORES > 1 else []),
]
