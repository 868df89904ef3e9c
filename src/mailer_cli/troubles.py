"""What is wrong, remembered from run to run, so that it is told when it begins and when it is over.

In a small file of the user's: of all places that may be away, the database is the first. A file that is
absent, unreadable or garbage is an empty one; one that cannot be written costs a mail a minute, not a run.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

CALM = 12  # a trouble is over when it was not seen for this part of the time between reminders


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps messages from being sent."""

    key: str  # what it is, however its words change from run to run
    says: str
    pressing: bool = True  # something is due and waits for it; else it is not worth a word of its own


@dataclass(frozen=True, slots=True)
class Standing:
    """A trouble that was told: since when it is there, when it was told and seen last; times in UTC."""

    says: str
    since: str
    told: str
    seen: str


@dataclass(frozen=True, slots=True)
class News:
    """Something to tell."""

    kind: Literal["begins", "goes on", "is over"]
    says: str
    since: datetime
    seen: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """The file, and after how long the same is told again; 0 tells it every time."""

    file: Path
    remind: timedelta

    def known(self) -> dict[str, Standing]:
        """Return what was told and is not over yet, by key."""
        try:
            found = json.loads(self.file.read_text(encoding="utf-8"))
            standings = {str(key): Standing(**value) for key, value in found.items()}
            for standing in standings.values():
                for text in (standing.since, standing.told, standing.seen):
                    _instant(text)
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return {}
        return standings

    def news(self, seen: Iterable[Trouble], now: datetime, *, everything: bool) -> tuple[list[News], str]:
        """Return what is to be told, and why it cannot be remembered ("" if it is).

        `everything`: nothing else is wrong; otherwise this run has not come far enough to know.
        """
        told: list[News] = []
        with self._locked():
            before = self.known()
            after = dict(before)
            if everything:
                told += self._calm(after, {trouble.key for trouble in seen}, now)
            for trouble in seen:
                told += self._meet(after, trouble, now)
            failure = "" if after == before else self._write(after)
        return told, failure

    def _meet(self, known: dict[str, Standing], trouble: Trouble, now: datetime) -> Iterator[News]:
        text, before = now.isoformat(), known.get(trouble.key)
        if before is None:
            if trouble.pressing:
                known[trouble.key] = Standing(trouble.says, text, text, text)
                yield News("begins", trouble.says, now, now)
            return
        # A clock that was put back has told of it in the future.
        due = trouble.pressing and abs(now - _instant(before.told)) >= self.remind
        known[trouble.key] = replace(before, says=trouble.says, told=text if due else before.told, seen=text)
        if due:
            yield News("goes on", trouble.says, _instant(before.since), now)

    def _calm(self, known: dict[str, Standing], seen: set[str], now: datetime) -> Iterator[News]:
        for key, standing in list(known.items()):
            last = _instant(standing.seen)
            if key not in seen and abs(now - last) >= self.remind / CALM:
                del known[key]
                yield News("is over", standing.says, _instant(standing.since), last)

    def _write(self, known: dict[str, Standing]) -> str:
        fresh = self.file.with_suffix(f".{os.getpid()}")
        try:
            if not known:
                self.file.unlink(missing_ok=True)
                return ""
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh.write_text(json.dumps({key: asdict(value) for key, value in known.items()}), "utf-8")
            fresh.replace(self.file)
        except OSError as error:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            return f"{self.file}: {error.strerror}"
        return ""

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let runs that overlap tell one after the other; without a lock, the worst is a mail too many."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder = os.open(self.file.parent, os.O_RDONLY)
        except OSError:
            yield
            return
        try:
            with suppress(OSError):
                fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(text)
    return instant.astimezone(UTC)
