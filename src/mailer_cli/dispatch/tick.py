"""One tick: derive and open the windows, recover, send until nothing is due, settle what is over."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from mailer_cli import database, windows
from mailer_cli.database import Connection, Dsn
from mailer_cli.dispatch import claims, housekeeping, recover
from mailer_cli.dispatch.options import Options, Progress, Summary, clock
from mailer_cli.errors import ExitCode, MailerError, StoppedError, TokenRejectedError

if TYPE_CHECKING:
    from mailer_cli.service import MessageService

# Makes the client of the message service; called only when something is due.
Connect = Callable[[], "MessageService"]


def dispatch(dsn: Dsn, connect: Connect, options: Options, progress: Progress | None = None) -> Summary:
    """Run one tick and return what it did.

    Raises TokenRejectedError if the service does not accept the token, StoppedError after a signal,
    and UnavailableError if the database is lost; each leaves nothing that the next tick cannot take up.
    """
    summary = Summary()
    with database.connect(dsn) as connection:
        run_id = _begin(connection)
        ending = "failed"
        try:
            ending = _tick(connection, dsn, run_id, connect, options, summary, progress)
        except MailerError as error:
            ending = type(error).__name__.removesuffix("Error").lower()
            raise
        finally:
            _end(connection, run_id, summary, ending)
    return summary


def _tick(
    connection: Connection,
    dsn: Dsn,
    run_id: int,
    connect: Connect,
    options: Options,
    summary: Summary,
    progress: Progress | None,
) -> str:
    deadline = clock() + options.max_seconds
    windows.derive(connection)
    housekeeping.open_windows(connection, housekeeping.untended(connection))
    work = claims.due(connection, options)
    for lapsed in (due for due in work if due.kind == "lapsed"):
        while clock() < deadline and recover.recover(connection, lapsed.shard, options, summary):
            pass
    if work and claims.due(connection, options):
        # Only now: a tick with nothing to send loads no HTTP client.
        from mailer_cli.dispatch.engine import Engine, send_all

        engine = Engine(dsn, run_id, connect(), options, summary, deadline, progress)
        send_all(engine)
        _tell(connection, engine.token_error, engine.stopped_by)
    else:
        housekeeping.tend(connection, summary, lambda: clock() < deadline)
    housekeeping.finish_mailings(connection)
    return "out of time" if clock() >= deadline else "done"


def _tell(connection: Connection, token_error: str | None, stopped_by: ExitCode | None) -> None:
    """Raise what ended the sending early; note for every host whether the token is any good."""
    if token_error is not None:
        database.execute(connection, "token_rejected")
        raise TokenRejectedError(
            f"the message service rejected the token: {token_error}\n"
            "nobody else was tried; set a valid JWT_TOKEN or JWT_TOKEN_FILE"
        )
    database.execute(connection, "token_accepted")
    if stopped_by is not None:
        raise StoppedError(stopped_by)


def _begin(connection: Connection) -> int:
    run_id: int = database.fetch_value(connection, "run_start", host=socket.gethostname(), pid=os.getpid())
    return run_id


def _end(connection: Connection, run_id: int, summary: Summary, ending: str) -> None:
    if connection.closed or connection.broken:
        return  # a run without an end is how the history shows a lost database
    with connection.transaction():
        database.execute(connection, "run_beat", run_id=run_id, **summary.counts())
        database.execute(connection, "run_end", run_id=run_id, ending=ending)
