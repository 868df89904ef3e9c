"""One tick: derive and open the windows, recover, send until nothing is due, settle what is over."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from mailer_cli import database, windows
from mailer_cli.database import Connection, Dsn
from mailer_cli.dispatch import claims, gate, housekeeping, recover
from mailer_cli.dispatch.claims import Due
from mailer_cli.dispatch.link import LOST, STUCK, Link
from mailer_cli.dispatch.options import Ending, Options, Progress, Summary, clock
from mailer_cli.errors import TOKEN_ADVICE, MailerError, StoppedError, TokenRejectedError

if TYPE_CHECKING:
    from mailer_cli.service import MessageService

# Makes the client of the message service; called only when something is due.
Connect = Callable[[], "MessageService"]

NAP = 0.5  # seconds between looks at a gate that is closed for now
SUMMING = 600.0  # seconds that reading a mailing once more may take
LAST_WORD = 5.0  # seconds in which a run that is over tries to say so

T = TypeVar("T")


@dataclass(slots=True)
class Run:
    """One execution of `mailer dispatch`, and what it works with."""

    id: int
    dsn: Dsn
    link: Link
    connect: Connect
    options: Options
    summary: Summary
    deadline: float
    progress: Progress | None = None
    tended: bool = False

    @property
    def over(self) -> bool:
        """Whether the time budget is used up."""
        return clock() >= self.deadline

    def db(self, job: Callable[[Connection], T]) -> T:
        """Do a job on the database; wait for one that went away until the time budget is used up."""
        return self.link.run(job, give_up=self.deadline)

    def due(self, *, through: bool = False) -> list[Due]:
        """Return where something can be claimed now; `through` looks through a closed gate."""
        return self.db(lambda db: claims.due(db, self.id, self.options, through=through))


def dispatch(dsn: Dsn, connect: Connect, options: Options, progress: Progress | None = None) -> Summary:
    """Run one tick and return what it did.

    Raises TokenRejectedError if the service does not accept the token, StoppedError after a signal,
    InvalidStateError on a copied database, and UnavailableError if the database is lost; each leaves
    nothing that the next tick cannot take up.
    """
    summary = Summary()
    deadline = clock() + options.max_seconds
    with closing(Link(dsn)) as link:
        run_id = link.run(_begin, give_up=clock())  # no database at the start: cron comes round again
        summary.run_id = run_id
        run = Run(run_id, dsn, link, connect, options, summary, deadline, progress)
        ending = "failed"
        try:
            summary.ending = ending = _tick(run)
        except MailerError as error:
            ending = type(error).__name__.removesuffix("Error").lower()
            raise
        finally:
            _end(run, ending)
    return summary


def _tick(run: Run) -> str:
    run.db(windows.derive)
    run.db(lambda db: housekeeping.open_windows(db, housekeeping.untended(db)))
    ending = _send(run) if _recover(run) else "done"
    if not run.tended:
        _tend(run)
    _summarise(run, run.db(housekeeping.finish_mailings))
    return ending


def _recover(run: Run) -> bool:
    """Take over what dispatchers left behind; tell whether there is anything to do at all, now or soon."""
    work = run.due(through=True)
    for due in work:
        if due.kind == "lapsed":
            _recover_shard(run, due.shard)
    return bool(work)


def _recover_shard(run: Run, shard: int) -> None:
    def settle(connection: Connection) -> bool:
        return recover.recover(connection, shard, run.options, run.summary)

    while not run.over and run.db(settle):
        pass


def _tend(run: Run) -> None:
    # What is over may be much: it may take the whole budget.
    with closing(Link(run.dsn, patience=run.deadline - clock() + STUCK)) as link:
        link.run(lambda db: housekeeping.tend(db, run.summary, lambda: not run.over), give_up=run.deadline)


def _summarise(run: Run, mailings: list[int]) -> None:
    # A mailing of millions takes its time; nothing waits for it but this run's end.
    if mailings:
        from mailer_cli import summaries

        with closing(Link(run.dsn, patience=SUMMING)) as link:
            for mailing in mailings:
                link.run(partial(summaries.keep, mailing=mailing), give_up=run.deadline)


def _send(run: Run) -> str:
    """Send whatever the gate lets through, until nothing is due or the time is over; say how it ended."""
    while not run.over:
        now = run.db(_admitted)
        run.summary.held = now.held
        ending = "held" if now.held else _pass(run, now)
        if ending is not None:
            return ending
    return "out of time"


def _pass(run: Run, now: gate.Gate) -> str | None:
    """Do what the gate allows now; say how the run ends, None if there may be more to do."""
    if not run.due(through=True):
        return "done"
    if now.wait > 0:
        if clock() + now.wait >= run.deadline:
            return "waiting for the service"
        time.sleep(min(now.wait, NAP))
        return None
    if now.closed:
        return None if _probe(run) else "waiting for the service"
    _send_all(run, run.options)
    forgotten = run.db(lambda db: recover.hand_on_forgotten(db, run.id))
    after = run.db(gate.read)
    again = forgotten or after.closed or after.wait > 0 or after.promoted or run.over
    return None if again else "done"


def _probe(run: Run) -> bool:
    """Send one message through a closed gate; False if there is none to be sent."""
    if not run.db(lambda db: gate.try_probe(db, run.id)):
        time.sleep(NAP)  # another dispatcher is at it
        return True
    if not run.due():
        return False
    ending = _send_all(run, replace(run.options, concurrency=1, processes=1, probe=True))
    if ending.answered:
        run.db(lambda db: gate.open_again(db, run.id))
    else:
        run.db(lambda db: gate.shut(db, run.id, ending.failure))
    return True


def _send_all(run: Run, options: Options) -> Ending:
    run.tended = True
    ending = _crew(run, options) if options.processes > 1 else _alone(run, options)
    if ending.token_error is not None:
        raise TokenRejectedError(
            f"the message service rejected the token: {ending.token_error}\n"
            f"nobody else was tried; {TOKEN_ADVICE}"
        )
    if ending.stopped_by is not None:
        raise StoppedError(ending.stopped_by)
    return ending


def _alone(run: Run, options: Options) -> Ending:
    # Only now: a tick with nothing to send loads no HTTP client.
    from mailer_cli.dispatch.engine import Engine, send_all

    engine = Engine(run.dsn, run.id, run.connect(), options, run.summary, run.deadline, run.progress)
    send_all(engine)
    return engine.ending


def _crew(run: Run, options: Options) -> Ending:
    from mailer_cli.dispatch.crew import Crew, Job

    job = Job(run.dsn, run.id, run.connect(), options, run.deadline)

    def beat() -> None:
        with suppress(*LOST):  # each worker tells for itself whether it can go on
            run.db(lambda db: _beat(db, run))

    return Crew(job, run.summary, run.progress).send_all(beat)


def _admitted(connection: Connection) -> gate.Gate:
    """Return the gate, if this is the database to send from: it may be another one since a moment ago."""
    now = gate.read(connection)
    gate.require_home(connection, now)
    return now


def _begin(connection: Connection) -> int:
    _admitted(connection)
    run_id: int = database.fetch_value(connection, "run_start", host=socket.gethostname(), pid=os.getpid())
    return run_id


def _beat(connection: Connection, run: Run) -> None:
    database.execute(connection, "run_beat", run_id=run.id, **run.summary.beat())


def _end(run: Run, ending: str) -> None:
    def say(connection: Connection) -> None:
        with database.transaction(connection):
            database.execute(connection, "run_end", run_id=run.id, ending=ending, **run.summary.beat())

    with suppress(*LOST):  # a run without an end is how the history shows a lost database
        run.link.run(say, give_up=clock() + LAST_WORD)
