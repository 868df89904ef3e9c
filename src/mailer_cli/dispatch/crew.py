"""Several processes that send for one run: an interpreter uses one core, and a machine has more.

Each has an engine of its own, as if it were another host; this process adds up what they tell, and writes
the run's row. A job goes to a worker by its stdin, for it holds secrets; what it tells comes by its stdout.
"""

from __future__ import annotations

import json
import os
import pickle
import selectors
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import TYPE_CHECKING, Any

from mailer_cli.database import Dsn
from mailer_cli.dispatch.options import Ending, Options, Progress, Role, Summary, clock
from mailer_cli.errors import ExitCode, UnavailableError

if TYPE_CHECKING:
    from mailer_cli.service import MessageService

BEAT_SECONDS = 0.5  # between two writings of the run's row


@dataclass(frozen=True, slots=True)
class Job:
    """What one process is to do."""

    dsn: Dsn
    run_id: int
    service: MessageService
    options: Options
    deadline: float
    role: Role = Role.OTHER


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    beat: dict[str, Any] | None = None
    ending: dict[str, Any] | None = None
    rest: bytes = field(default=b"", repr=False)

    def hear(self) -> bool:
        """Take in what it has told; False once it tells nothing more."""
        assert self.process.stdout is not None  # noqa: S101 - see `_start`
        told = os.read(self.process.stdout.fileno(), 1 << 16)
        *lines, self.rest = (self.rest + told).split(b"\n")
        for line in map(json.loads, lines):
            self.beat = line.get("beat", self.beat)
            self.ending = line.get("ending", self.ending)
        return bool(told)


class Crew:
    """Workers for one run, and what they have done together."""

    def __init__(self, job: Job, summary: Summary, progress: Progress | None = None) -> None:
        self._job = job
        self._summary = summary
        self._progress = progress
        self._before = summary.beat()
        self._before["latencies"] = list(self._before["latencies"])

    def send_all(self, beat: Callable[[], None]) -> Ending:
        """Let every worker send until it ends; `beat` writes the run's row.

        Raises UnavailableError if a worker died, or lost the database: a later run settles what it had.
        """
        with ExitStack() as stack:
            workers = [self._start(stack, number) for number in range(self._job.options.processes)]
            with _passed_on(workers):
                self._listen(workers, beat)
        self._add_up(workers)
        return self._together(workers)

    def _start(self, stack: ExitStack, number: int) -> _Worker:
        share = _share(self._job.options, number)
        job = replace(self._job, options=share, role=Role.OTHER if number else Role.FIRST)
        words = [sys.executable, "-m", "mailer_cli.dispatch.worker"]
        # A session of its own: a Ctrl-C on the terminal reaches it once, through us.
        process = stack.enter_context(
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)  # noqa: S603 - ourselves
        )
        stack.callback(process.kill)
        assert process.stdin is not None  # noqa: S101 - asked for above
        pickle.dump(job, process.stdin)
        process.stdin.flush()  # and left open: its end means that we are gone
        return _Worker(process)

    def _listen(self, workers: list[_Worker], beat: Callable[[], None]) -> None:
        told_at = clock()
        with selectors.DefaultSelector() as ears:
            for worker in workers:
                ears.register(worker.process.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]  # see `_start`
            while ears.get_map():
                for key, _ in ears.select(BEAT_SECONDS):
                    if not key.data.hear():
                        ears.unregister(key.fileobj)
                if clock() - told_at >= BEAT_SECONDS:
                    self._add_up(workers)
                    beat()
                    told_at = clock()

    def _add_up(self, workers: list[_Worker]) -> None:
        """Let the summary be what there was before, and what each worker has told last."""
        whole = Summary()
        for told in (self._before, *(worker.beat for worker in workers)):
            if told is not None:
                whole.add(told)
        for name, number in whole.counts().items():
            setattr(self._summary, name, number)
        self._summary.latencies = whole.latencies
        if self._progress is not None:
            self._progress(self._summary)

    def _together(self, workers: list[_Worker]) -> Ending:
        endings = [worker.ending for worker in workers if worker.ending is not None]
        if reasons := [ending["lost"] for ending in endings if ending["lost"]]:
            raise UnavailableError(reasons[0])
        whole = Ending()
        for ending in endings:
            whole.token_error = whole.token_error or ending["token_error"]
            whole.stopped_by = whole.stopped_by or (ending["stopped_by"] and ExitCode(ending["stopped_by"]))
            whole.answered = whole.answered or ending["answered"]
        if len(endings) < len(workers) and whole.stopped_by is None:
            raise UnavailableError("a process of this run died; a later run settles what it had in hand")
        return whole


def _share(options: Options, number: int) -> Options:
    """Return one process's share of the requests under way."""
    each, more = divmod(options.concurrency, options.processes)
    return replace(options, processes=1, concurrency=max(1, each + (number < more)))


@contextmanager
def _passed_on(workers: list[_Worker]) -> Iterator[None]:
    """Hand signals on: the first lets what is under way be finished, the second does not wait."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def hand_on(number: int, _: FrameType | None) -> None:
        for worker in workers:
            worker.process.send_signal(number)

    before = {each: signal.signal(each, hand_on) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
