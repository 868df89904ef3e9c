"""One tick: derive and open the windows, recover, send until nothing is due, settle what is over."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mailer_cli import database, windows
from mailer_cli.database import Connection, Dsn
from mailer_cli.dispatch import claims, gate, housekeeping, recover
from mailer_cli.dispatch.options import Options, Progress, Summary, clock
from mailer_cli.errors import MailerError, StoppedError, TokenRejectedError

if TYPE_CHECKING:
    from mailer_cli.dispatch.engine import Engine
    from mailer_cli.service import MessageService

# Makes the client of the message service; called only when something is due.
Connect = Callable[[], "MessageService"]

NAP = 0.5  # seconds between looks at a gate that is closed for now


@dataclass(slots=True)
class Run:
    """One execution of `mailer dispatch`, and what it works with."""

    id: int
    dsn: Dsn
    connection: Connection
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


def dispatch(dsn: Dsn, connect: Connect, options: Options, progress: Progress | None = None) -> Summary:
    """Run one tick and return what it did.

    Raises TokenRejectedError if the service does not accept the token, StoppedError after a signal,
    InvalidStateError on a copied database, and UnavailableError if the database is lost; each leaves
    nothing that the next tick cannot take up.
    """
    summary = Summary()
    deadline = clock() + options.max_seconds
    with database.connect(dsn) as connection:
        gate.require_home(connection, gate.read(connection))
        run = Run(_begin(connection), dsn, connection, connect, options, summary, deadline, progress)
        ending = "failed"
        try:
            ending = _tick(run)
        except MailerError as error:
            ending = type(error).__name__.removesuffix("Error").lower()
            raise
        finally:
            _end(run, ending)
    return summary


def _tick(run: Run) -> str:
    windows.derive(run.connection)
    housekeeping.open_windows(run.connection, housekeeping.untended(run.connection))
    _recover(run)
    ending = _send(run)
    if not run.tended:
        housekeeping.tend(run.connection, run.summary, lambda: not run.over)
    housekeeping.finish_mailings(run.connection)
    return ending


def _recover(run: Run) -> None:
    for due in claims.due(run.connection, run.id, run.options):
        while due.kind == "lapsed" and not run.over:
            if not recover.recover(run.connection, due.shard, run.options, run.summary):
                break


def _send(run: Run) -> str:
    """Send whatever the gate lets through, until nothing is due or the time is over; say how it ended."""
    while not run.over:
        now = gate.read(run.connection)
        run.summary.held = now.held
        ending = "held" if now.held else _pass(run, now)
        if ending is not None:
            return ending
    return "out of time"


def _pass(run: Run, now: gate.Gate) -> str | None:
    """Do what the gate allows now; say how the run ends, None if there may be more to do."""
    if not claims.due(run.connection, run.id, run.options, through=True):
        return "done"
    if now.wait > 0:
        if clock() + now.wait >= run.deadline:
            return "waiting for the service"
        time.sleep(min(now.wait, NAP))
        return None
    if now.closed:
        return None if _probe(run) else "waiting for the service"
    _send_all(run, run.options)
    after = gate.read(run.connection)
    return None if after.closed or after.wait > 0 or run.over else "done"


def _probe(run: Run) -> bool:
    """Send one message through a closed gate; False if there is none to be sent."""
    if not gate.try_probe(run.connection, run.id):
        time.sleep(NAP)  # another dispatcher is at it
        return True
    if not claims.due(run.connection, run.id, run.options):
        return False
    engine = _send_all(run, replace(run.options, concurrency=1, probe=True))
    if engine.answered:
        gate.open_again(run.connection, run.id)
    else:
        gate.shut(run.connection, run.id, "the probe did not get through")
    return True


def _send_all(run: Run, options: Options) -> Engine:
    # Only now: a tick with nothing to send loads no HTTP client.
    from mailer_cli.dispatch.engine import Engine, send_all

    engine = Engine(run.dsn, run.id, run.connect(), options, run.summary, run.deadline, run.progress)
    run.tended = True
    send_all(engine)
    if engine.token_error is not None:
        raise TokenRejectedError(
            f"the message service rejected the token: {engine.token_error}\n"
            "nobody else was tried; set a valid JWT_TOKEN or JWT_TOKEN_FILE"
        )
    if engine.stopped_by is not None:
        raise StoppedError(engine.stopped_by)
    return engine


def _begin(connection: Connection) -> int:
    run_id: int = database.fetch_value(connection, "run_start", host=socket.gethostname(), pid=os.getpid())
    return run_id


def _end(run: Run, ending: str) -> None:
    if run.connection.closed or run.connection.broken:
        return  # a run without an end is how the history shows a lost database
    with run.connection.transaction():
        database.execute(run.connection, "run_beat", run_id=run.id, **run.summary.counts())
        database.execute(run.connection, "run_end", run_id=run.id, ending=ending)
