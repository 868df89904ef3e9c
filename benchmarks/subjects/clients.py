"""A plain pipeline (claim a batch, send, record the batch) with other clients: for orientation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.subjects.base import PEERS, Place, Subject


@dataclass(frozen=True, slots=True)
class Pipeline(Subject):
    """None of mailer's promises, and nothing but its strategy."""

    loop: str = "asyncio"
    client: ClassVar[str] = ""

    def commands(self, place: Place) -> list[list[str]]:
        """Each process claims for itself."""
        concurrency = str(self.connections // self.processes)
        script = str(PEERS / f"pipeline_{self.client}.py")
        return [[place.python, script, concurrency, self.loop] for _ in range(self.processes)]


@dataclass(frozen=True, slots=True)
class Aiohttp(Pipeline):
    """aiohttp without httpx around it."""

    title: ClassVar[str] = "plain pipeline, aiohttp"
    client: ClassVar[str] = "aiohttp"
    requires: ClassVar[tuple[str, ...]] = ("aiohttp", "psycopg", "uvloop")


@dataclass(frozen=True, slots=True)
class Pyreqwest(Pipeline):
    """A client written in Rust."""

    title: ClassVar[str] = "plain pipeline, pyreqwest"
    client: ClassVar[str] = "pyreqwest"
    requires: ClassVar[tuple[str, ...]] = ("pyreqwest", "psycopg", "uvloop")


SUBJECTS: list[Subject] = [
    Aiohttp("aiohttp-1", 1, 100, 6_000),
    Aiohttp("aiohttp-4", 4, 400, 15_000),
    Aiohttp("aiohttp-uvloop-1", 1, 100, 7_000, loop="uvloop"),
    Pyreqwest("pyreqwest-1", 1, 100, 8_000),
    Pyreqwest("pyreqwest-4", 4, 400, 20_000),
    Pyreqwest("pyreqwest-uvloop-1", 1, 100, 12_000, loop="uvloop"),
    Pyreqwest("pyreqwest-uvloop-4", 4, 400, 25_000, loop="uvloop"),
]
