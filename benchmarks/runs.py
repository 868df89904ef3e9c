"""One run of one subject: made ready, let go, looked through, measured."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks import broker, children, postgres, service
from benchmarks.children import FailedError
from benchmarks.meter import Meter, Others
from benchmarks.subjects import Place, Subject

LIMIT = 150.0  # seconds that a run may take
LOOK = 0.25  # seconds between looks whether all is done
SETTLE = 0.5  # seconds in which a message that is sent twice would show


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a run; `problem` says why it does not count."""

    subject: str
    latency: int  # milliseconds
    number: int
    seconds: float = 0.0
    cpu: float = 0.0  # seconds
    memory: int = 0  # bytes
    preparing: float = 0.0  # seconds
    others: float = 0.0  # cores
    problem: str | None = None

    @property
    def rate(self) -> float:
        """Messages a second, from the first request until the last result was recorded."""
        return self.number / self.seconds if self.seconds else 0.0

    @property
    def cpu_per_thousand(self) -> float:
        """CPU seconds of the sending processes for 1,000 messages, in the same span."""
        return self.cpu / self.number * 1000


@dataclass(frozen=True, slots=True)
class Bench:
    """Where runs take place."""

    server: postgres.Server
    python: str  # that has the peers
    nginx: str | None

    def run(self, subject: Subject, latency: int, number: int) -> Run:
        """Do one run; whatever goes wrong with the subject is told in the result."""
        try:
            with self._place(subject, latency, number) as (place, serving):
                return _measured(self.server, subject, place, serving, latency)
        except (FailedError, psycopg.Error, OSError) as error:
            return Run(subject.name, latency, number, problem=str(error).strip() or repr(error))

    @contextmanager
    def _place(self, subject: Subject, latency: int, number: int) -> Iterator[tuple[Place, service.Service]]:
        with ExitStack() as stack:
            folder = stack.enter_context(folder_in(self.server.scratch))
            serving = stack.enter_context(service.running(folder, latency, self.nginx))
            database = stack.enter_context(self.server.fresh(migrated=subject.migrated))
            redis = stack.enter_context(broker.running(folder)) if subject.broker else ""
            yield Place(number, database, redis, serving.url, self.python, folder), serving


@contextmanager
def folder_in(scratch: Path) -> Iterator[Path]:
    """A folder for one run, deleted after it."""
    with tempfile.TemporaryDirectory(dir=scratch) as name:
        yield Path(name)


def _measured(
    server: postgres.Server, subject: Subject, place: Place, serving: service.Service, latency: int
) -> Run:
    before = time.monotonic()
    subject.prepare(place)
    preparing = time.monotonic() - before
    server.settle(place.database)
    others = Others()
    meter = _work(subject, place)
    disturbed = others.cores()
    record = serving.stop()
    with psycopg.connect(place.database) as connection:
        recorded = subject.recorded(connection) if subject.records else {}
        if wrong := problem(subject, subject.expected(place), record, recorded):
            return Run(subject.name, latency, place.number, preparing=preparing, problem=wrong)
        began = min(each.began for each in record.requests) if subject.posts else subject.began(connection)
    ended = max(recorded.values()) if recorded else max(each.ended for each in record.requests)
    cpu = meter.cpu_between(began, ended)
    memory = meter.peak_memory
    return Run(subject.name, latency, place.number, ended - began, cpu, memory, preparing, disturbed)


def _work(subject: Subject, place: Place) -> Meter:
    """Let the subject send; return what it used."""
    log = place.folder / "subject.log"
    started: list[subprocess.Popen[bytes]] = []
    try:
        for command in subject.commands(place):
            started.append(children.start(command, place.env, place.folder, log))  # noqa: PERF401 - each can be ended
        meter = Meter([child.pid for child in started])
        meter.start()
        try:
            _wait(subject, place, started, log)
        finally:
            meter.stop()
    finally:
        for child in started:
            children.end(child)
    return meter


def _wait(subject: Subject, place: Place, started: list[subprocess.Popen[bytes]], log: Path) -> None:
    give_up = time.monotonic() + LIMIT
    with psycopg.connect(place.database, autocommit=True) as connection:
        while not _done(subject, place, started, connection, log):
            if time.monotonic() > give_up:
                raise FailedError(f"not done after {LIMIT:g} s: {children.tail(log)}")
            children.heed()
            time.sleep(LOOK)
    time.sleep(0 if subject.ends else SETTLE)


def _done(
    subject: Subject,
    place: Place,
    started: list[subprocess.Popen[bytes]],
    connection: psycopg.Connection,
    log: Path,
) -> bool:
    codes = [child.poll() for child in started]
    early = not subject.ends and any(code is not None for code in codes)
    if early or any(codes):
        raise FailedError(f"a process ended with {codes}: {children.tail(log)}")
    if subject.ends:
        return all(code == 0 for code in codes)
    return subject.count(connection) >= place.number


def problem(
    subject: Subject, expected: dict[int, int], record: service.Record, recorded: dict[int, float]
) -> str | None:
    """Say what was not as promised: every message accepted exactly once, and recorded."""
    if subject.posts:
        seen = Counter(each.message for each in record.requests)
        phones = {each.message: each.phone for each in record.requests}
        found = {
            "requests not as they must be": record.malformed,
            "messages not sent": len(expected.keys() - seen.keys()),
            "messages nobody asked for": len(seen.keys() - expected.keys()),
            "messages sent more than once": sum(number > 1 for number in seen.values()),
            "wrong phones": sum(expected.get(key, phone) != phone for key, phone in phones.items()),
        }
    else:
        found = {"requests that nobody expected": len(record.requests) + record.malformed}
    if subject.records:
        found["messages not recorded"] = len(expected.keys() - recorded.keys())
        found["records of nothing"] = len(recorded.keys() - expected.keys())
    told = [f"{number} {what}" for what, number in found.items() if number]
    return ", ".join(told) or None
