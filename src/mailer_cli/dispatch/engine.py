"""Claim, start, send, record: side by side, each with a connection of its own.

The event loop does HTTP and keeps the books; every statement runs in a thread, in a short
transaction, and none is open while a request is under way. Order of trust: a message is sent only
after its claim and its start are committed, and a claim is forgotten only after all its results are.
"""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import groupby

from mailer_cli import database
from mailer_cli.database import Connection, Dsn
from mailer_cli.dispatch import claims, gate, housekeeping
from mailer_cli.dispatch.claim_retries import claim_due
from mailer_cli.dispatch.claim_windows import claim_next
from mailer_cli.dispatch.claims import Claim, Due, Item, Slice
from mailer_cli.dispatch.link import LOST, STUCK, Link
from mailer_cli.dispatch.options import Ending, Options, Progress, Role, Summary, clock
from mailer_cli.dispatch.record import Result, Verdict, record, verdict
from mailer_cli.dispatch.recover import recover
from mailer_cli.errors import ExitCode
from mailer_cli.ids import message_id
from mailer_cli.service import (
    Accepted,
    InDoubt,
    Later,
    MessageService,
    NotSent,
    Outcome,
    Refused,
    TokenRejected,
)

FLUSH_SECONDS = 0.2
FLUSH_RESULTS = 500
OPEN_SECONDS = 1.0  # between looks for windows to open
PUNCTUAL = 0.1  # seconds before its turn a slice is started
BUSY_SECONDS = 0.05  # until we look again for what other dispatchers hold just now
_COLLECT = (20_000, 50, 100)  # objects made, and rounds, between looks for cycles of garbage
PATIENCE = 20.0  # seconds after the deadline in which results are still offered to a lost database

Started = tuple[Slice, Item, float]  # and when, on this host's clock, its turn comes


class Engine:
    """One run's sending: a claimer, a starter, workers that send, and a recorder."""

    def __init__(
        self,
        dsn: Dsn,
        run_id: int,
        service: MessageService,
        options: Options,
        summary: Summary,
        deadline: float,
        progress: Progress | None = None,
        role: Role = Role.ALONE,
    ) -> None:
        self._dsn = dsn
        self._run_id = run_id
        self._service = service
        self._options = options
        self._summary = summary
        self._deadline = deadline
        self._progress = progress
        self._beats = role is Role.ALONE
        self._tends = role is not Role.OTHER
        self._jitter = random.Random()  # noqa: S311 - spreads retries, protects nothing
        self._claimed: asyncio.Queue[Claim | None] = asyncio.Queue(maxsize=1)
        self._ready: asyncio.Queue[Started | None] = asyncio.Queue()
        self._low = asyncio.Event()  # the workers will soon have nothing to send
        self._flush = asyncio.Event()
        self._results: list[Result] = []
        self._settled: list[Claim] = []
        self._all_sent = False
        self._stopping = False
        self._opened_at = clock()  # the tick has just done so
        self._workers: list[asyncio.Task[None]] = []
        self._in_flight: set[asyncio.Task[None] | None] = set()
        self.ending = Ending()
        self._blocked = 0.0  # seconds the service asked everybody to wait
        self.lost: Exception | None = None  # the database did not come back

    async def run(self, parent: int | None = None) -> None:
        """Send until nothing is due, the deadline passes, a signal comes, or the parent is gone."""
        if parent is not None:
            asyncio.get_running_loop().add_reader(parent, self._orphaned, parent)
        with self._signals():
            async with self._service, asyncio.TaskGroup() as group:
                tending = group.create_task(self._linked(self._tend, self._last_resort() - clock()))
                recording = group.create_task(self._linked(self._record))
                claiming = group.create_task(self._linked(self._claim))
                starting = group.create_task(self._linked(self._start))
                self._workers = [group.create_task(self._work()) for _ in range(self._options.concurrency)]
                await asyncio.gather(claiming, starting, *self._workers)
                self._all_sent = True
                self._flush.set()
                await asyncio.gather(tending, recording)

    def _over(self) -> bool:
        return self._stopping or clock() >= self._deadline

    def _has_time(self) -> bool:
        return self.ending.stopped_by is None and clock() < self._deadline

    # -- claiming -----------------------------------------------------------------------------------

    async def _claim(self, link: Link) -> None:
        try:
            while not self._over():
                found = await asyncio.to_thread(link.run, self._claim_some, give_up=self._deadline)
                if found is None:
                    break
                for claim in found:
                    await self._claimed.put(claim)
                if found and self._options.probe:
                    break
                if not found:
                    await asyncio.sleep(BUSY_SECONDS)
        finally:
            await self._claimed.put(None)

    def _claim_some(self, connection: Connection) -> list[Claim] | None:
        """Claim where it is most urgent; nothing if others hold all of it, None if nothing is due."""
        self._open_windows(connection)
        work = claims.due(connection, self._run_id, self._options)
        if not work:
            return None
        for due in self._shuffled(work):
            if found := self._claim_from(connection, due):
                return found
        return []

    def _open_windows(self, connection: Connection) -> None:
        """Let a mailing made, or begun, during a long run have its turn in it: it may be over by the next."""
        if self._tends and clock() - self._opened_at >= OPEN_SECONDS:
            housekeeping.open_windows(connection, housekeeping.untended(connection))
            self._opened_at = clock()

    def _shuffled(self, work: list[Due]) -> Iterator[Due]:
        """Among equals, each dispatcher goes its own way, so that they meet less often."""
        for _, equals in groupby(work, key=lambda due: (due.closes_at, due.priority)):
            group = list(equals)
            self._jitter.shuffle(group)
            yield from group

    def _claim_from(self, connection: Connection, due: Due) -> list[Claim]:
        if due.kind == "lapsed":
            recover(connection, due.shard, self._options, self._summary)
            return []
        if due.mailing_id is not None:
            where = due.shard, due.mailing_id
            return claim_due(connection, self._run_id, *where, self._options, self._summary)
        claim = claim_next(connection, self._run_id, due.shard, self._options, self._summary)
        return [claim] if claim else []

    # -- starting -----------------------------------------------------------------------------------

    async def _start(self, link: Link) -> None:
        try:
            while (claim := await self._claimed.get()) is not None:
                # Without a database the claim is left to lapse; but the claimer must not wait for ever.
                if self.lost is None:
                    await self._guarded(self._start_claim(link, claim))
        finally:
            for _ in self._workers:
                self._ready.put_nowait(None)

    async def _start_claim(self, link: Link, claim: Claim) -> None:
        size = self._options.slice
        while claim.left:
            await self._room(size)
            number, turn = await self._reserve(link, min(size, claim.left))
            if not number or not await self._start_slice(link, claim, number, turn):
                await asyncio.to_thread(
                    link.run,
                    lambda db: claims.hand_back(db, self._run_id, claim),
                    give_up=self._last_resort(),
                )
        self._note_settled(claim)

    async def _reserve(self, link: Link, number: int) -> tuple[int, float]:
        """Reserve places where there is a rate; return how many, and when, on this host's clock."""
        if not self._options.limited or self._over():
            return number, 0.0
        before = clock()
        places = await asyncio.to_thread(
            link.run,
            lambda db: gate.reserve(db, number, self._options.spacing, self._options.rate_per_day),
            give_up=self._deadline,
        )
        turn = clock() + places.seconds if places.seconds else before
        while places.number and clock() < turn - PUNCTUAL and not self._over():
            await asyncio.sleep(min(turn - PUNCTUAL - clock(), BUSY_SECONDS))
        return (0 if self._over() else places.number), turn

    async def _start_slice(self, link: Link, claim: Claim, number: int, turn: float) -> bool:
        if self._over():
            return False
        # Counted first: the claim must not look settled while its last slice is being started.
        claim.unrecorded += number
        started = await asyncio.to_thread(
            link.run,
            lambda db: claims.start(db, self._run_id, claim, number, self._options),
            give_up=self._deadline,
        )
        if started is None:
            claim.unrecorded -= number
            return False
        for place, item in enumerate(started.items):
            self._ready.put_nowait((started, item, turn + place * self._options.spacing))
        return True

    async def _room(self, size: int) -> None:
        """Wait until the workers run low: what is started and not sent is in doubt if we are killed."""
        while self._ready.qsize() > size // 2:
            self._low.clear()
            await self._low.wait()

    # -- sending ------------------------------------------------------------------------------------

    async def _work(self) -> None:
        while (started := await self._ready.get()) is not None:
            self._low.set()
            piece, item, turn = started
            while (early := turn - clock()) > 0 and not self._stopping:
                await asyncio.sleep(min(early, BUSY_SECONDS))
            outcome = await self._send(piece, item)
            at = piece.started_at + timedelta(seconds=clock() - piece.clock_then)
            self._results.append(Result(piece.claim, item, at, outcome))
            if len(self._results) >= FLUSH_RESULTS:
                self._flush.set()

    async def _send(self, piece: Slice, item: Item) -> Outcome:
        """Post one started message, unless its time was over first."""

        def still() -> bool:
            return not self._stopping and clock() < piece.send_before

        if not still():
            return NotSent()
        number = message_id(piece.claim.mailing_id, item.client_id)
        worker = asyncio.current_task()
        try:
            self._in_flight.add(worker)
            asked = clock()
            outcome = await self._service.send(number, item.phone, piece.claim.text, still)
            if not isinstance(outcome, NotSent):
                self._summary.latencies.add(clock() - asked)
        except asyncio.CancelledError:
            if self.ending.stopped_by is None:
                raise
            return InDoubt(None, "stopped by the operator before the service answered")
        finally:
            self._in_flight.discard(worker)
        self._notice(outcome)
        return outcome

    def _notice(self, outcome: Outcome) -> None:
        """Draw from one answer what concerns all messages."""
        if isinstance(outcome, (Later, InDoubt)):
            self.ending.failure = outcome.error
        match outcome:
            case TokenRejected(error=error):
                self.ending.token_error = error
                self._stop()
                self._flush.set()
            case Accepted() | Refused():
                self.ending.answered = True
            case Later(whole_service=True, retry_after=float(seconds)):
                self._blocked = max(self._blocked, seconds)
                self._stop()

    # -- recording ----------------------------------------------------------------------------------

    async def _record(self, link: Link) -> None:
        while not self._all_sent or self._results or self._settled:
            if not self._all_sent:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._flush.wait(), FLUSH_SECONDS)
            self._flush.clear()
            await self._record_batch(link)

    async def _record_batch(self, link: Link) -> None:
        results, self._results = self._results, []
        settled, self._settled = self._settled, []
        if not results and not settled:
            return
        verdicts = [verdict(result, self._options, self._jitter) for result in results]
        await asyncio.to_thread(
            link.run, lambda db: self._write(db, verdicts, settled), give_up=self._last_resort()
        )
        for result in results:
            result.claim.unrecorded -= 1
        for claim in {result.claim for result in results}:
            self._note_settled(claim)
        if self._progress is not None:
            self._progress(self._summary)

    def _write(self, connection: Connection, verdicts: list[Verdict], settled: list[Claim]) -> None:
        """Write results and forget settled claims; safe to repeat, each result is written once."""
        if self.ending.token_error is not None:
            gate.reject_token(connection, self._run_id)
        record(connection, self._run_id, verdicts, self._summary)
        self._tell_gate(connection, [v.result.outcome for v in verdicts])
        claims.delete(connection, self._run_id, settled)
        if self._beats:
            database.execute(connection, "run_beat", run_id=self._run_id, **self._summary.beat())

    def _tell_gate(self, connection: Connection, outcomes: list[Outcome]) -> None:
        """Let every host know how the service does; a probe's result is told by whoever probes."""
        blocked, self._blocked = self._blocked, 0.0
        if blocked:
            gate.block(connection, blocked, "the service asked to wait")
        outcomes = [each for each in outcomes if not isinstance(each, NotSent)]
        failures = [each for each in outcomes if isinstance(each, (Later, InDoubt))]
        if outcomes and not self._options.probe:
            reason = failures[-1].error if failures else ""
            gate.tally(connection, self._run_id, len(outcomes), len(failures), reason)

    def _last_resort(self) -> float:
        """Until when to insist on writing down what is known: a lost result is a message in doubt."""
        return max(self._deadline, clock()) + PATIENCE

    def _note_settled(self, claim: Claim) -> None:
        if claim.settled:
            self._settled.append(claim)

    # -- the rest -----------------------------------------------------------------------------------

    async def _tend(self, link: Link) -> None:
        if not self._tends:
            return

        def tend(connection: Connection) -> None:
            # Also when the service takes nothing more: what is over is over.
            housekeeping.tend(connection, self._summary, self._has_time)

        await asyncio.to_thread(link.run, tend, give_up=self._deadline)

    async def _linked(self, job: Callable[[Link], Awaitable[None]], patience: float = STUCK) -> None:
        """Run one part with a connection of its own."""
        link = Link(self._dsn, patience=patience)
        try:
            await self._guarded(job(link))
        finally:
            await asyncio.to_thread(link.close)

    async def _guarded(self, work: Awaitable[None]) -> None:
        """If the database is lost for good, start nothing more, but finish what is in hand."""
        try:
            await work
        except LOST as error:
            self.lost = error
            self._stop()

    def _stop(self) -> None:
        self._stopping = True
        self._low.set()
        self._flush.set()

    def stop(self, code: ExitCode) -> None:
        """First signal: start nothing more, wait for what is under way. Second: do not wait."""
        if self.ending.stopped_by is not None:
            for worker in self._in_flight:
                if worker is not None:
                    worker.cancel()
        self.ending.stopped_by = code
        self._stop()

    def _orphaned(self, parent: int) -> None:
        asyncio.get_running_loop().remove_reader(parent)
        self.stop(ExitCode.TERMINATED)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        endings = {signal.SIGTERM: ExitCode.TERMINATED, signal.SIGINT: ExitCode.INTERRUPTED}
        for number, code in endings.items():
            loop.add_signal_handler(number, self.stop, code)
        try:
            yield
        finally:
            for number in endings:
                loop.remove_signal_handler(number)


def send_all(engine: Engine, parent: int | None = None) -> None:
    """Run the engine to its end; raise what ended it early.

    `parent` is a pipe that is closed when whoever started this process is gone.
    """
    try:
        with _undisturbed():
            asyncio.run(engine.run(parent))
    except BaseExceptionGroup as group:
        raise _first(group) from group
    if engine.lost is not None:
        raise engine.lost


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let the collector of cycles look less often, and never at what was there before.

    A message leaves many objects and next to no cycles; looking for them took a fifth of the time.
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECT)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
