"""A stand-in for the architecture that mailer replaces: Celery, Redis, a task per message.

Each task reads its row, posts with `requests.post` and saves the whole row, as Django's models do;
without Django itself, and on a connection that is kept: it is faster than what it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks import children
from benchmarks.subjects.base import PEERS, Place, Subject

PREPARING = 300.0  # seconds
MODULE = "on_celery"


@dataclass(frozen=True, slots=True)
class Original(Subject):
    """A task per message."""

    title: ClassVar[str] = "original design: Celery, Redis, requests.post"
    ends: ClassVar[bool] = False
    broker: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("celery", "redis", "requests", "psycopg")

    def prepare(self, place: Place) -> None:
        """A row and a task for each message."""
        Subject.prepare(self, place)
        script = str(PEERS / f"{MODULE}.py")
        children.run([place.python, script], place.env, place.folder, limit=PREPARING)

    def commands(self, place: Place) -> list[list[str]]:
        """Its own command, which starts its processes."""
        pool = ["--pool", "prefork", "--concurrency", str(self.processes)]
        command = [place.python, "-m", "celery", "--app", MODULE, "worker", "--loglevel", "WARNING"]
        return [[*command, *pool]]


SUBJECTS: list[Subject] = [Original("original-4", 4, 4, 350)]
