"""What `mailer dispatch` says where nobody watches: cron mails it, so it is said once. A log has each run."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import typer

from mailer_cli import settings
from mailer_cli.cli import output
from mailer_cli.errors import TOKEN_ADVICE, ExitCode, MailerError, StoppedError
from mailer_cli.troubles import Memory, News, Trouble

if TYPE_CHECKING:
    from mailer_cli.database import Connection, Dsn
    from mailer_cli.dispatch import Summary
    from mailer_cli.settings import Settings

WELL = ("done", "held")  # endings of a run that nothing was in the way of, but an operator's own hold
FEW = 3  # answers; fewer tell of messages, not of the service
LONG = timedelta(minutes=10)  # a wait that the service asks for, or a day's quota, is no trouble before
_WAITS = "nothing is lost: every run tries again; but messages whose time ends meanwhile expire"
_ADVICE = {
    "token": TOKEN_ADVICE,
    "blocked": "nothing is sent meanwhile; messages whose time ends first expire",
    "service": f"{_WAITS}; ask those who run the service",
}


@dataclass(slots=True)
class Watch:
    """What a run lets us know of itself, as it comes along."""

    configured: Settings | None = None
    dsn: Dsn | None = None
    summary: Summary | None = None

    @property
    def memory(self) -> Memory:
        """What was told before."""
        remind = settings.REMIND if self.configured is None else self.configured.mailer_remind
        return Memory(settings.troubles_file(), timedelta(seconds=remind))


@contextmanager
def watched() -> Iterator[Watch]:
    """Log how the run in this block ends; off a terminal tell each trouble once, and once when it is over.

    Off a terminal raises typer.Exit in the place of what went wrong, with the same exit code.
    """
    watch = Watch()
    try:
        yield watch
        found = _log(watch, _described(watch))
        if not sys.stderr.isatty():
            found += _standing(watch)
    except (typer.Exit, typer.BadParameter):
        raise
    except Exception as error:
        failure = _failure(error)
        unheard = _log(watch, str(failure), trouble=True)
        if sys.stderr.isatty() or isinstance(failure, StoppedError):
            raise
        _tell(watch, [_trouble(failure), *unheard], everything=False)
        raise typer.Exit(failure.exit_code) from error
    if not sys.stderr.isatty() and (found or watch.memory.known()):
        _tell(watch, found, everything=True)


def _failure(error: Exception) -> MailerError:
    from mailer_cli.cli.meanings import meaning

    return meaning(error)


def _trouble(failure: MailerError) -> Trouble:
    """A database that is away is one trouble, whatever libpq says of it at each try."""
    says = str(failure)
    if failure.exit_code == ExitCode.TOKEN_REJECTED:
        return Trouble("token", says)
    if failure.exit_code == ExitCode.TRY_AGAIN:
        return Trouble(says.partition(":")[0], f"{says}\n{_WAITS}")
    return Trouble(says, says)


def _standing(watch: Watch) -> list[Trouble]:
    """What stands in the way after a run that came to its end; asked only where something does, or did."""
    if watch.summary is None or watch.dsn is None:
        return []
    told, pressing = watch.memory.known(), watch.summary.ending not in WELL or _fruitless(watch.summary)
    if not (told or pressing):
        return []
    from mailer_cli import database

    with database.connect(watch.dsn) as connection:
        found = {trouble.key: trouble for trouble in _obstacles(connection, pressing=pressing)}
        if "service" not in found and _fruitless(watch.summary):
            found["service"] = _nothing_taken(connection, watch.summary)
    if "service" in told and "service" not in found and not watch.summary.sent:
        # Nothing was asked of it, so nobody knows better.
        found["service"] = Trouble("service", told["service"].says, pressing=False)
    return list(found.values())


def _obstacles(connection: Connection, *, pressing: bool) -> Iterator[Trouble]:
    from mailer_cli import hints

    health = hints.health(connection)
    brief = health.blocked_until is not None and health.blocked_until - health.now < LONG
    for key, says in hints.obstacles(health):
        if key in _ADVICE and not (key == "blocked" and brief):
            what, _, then = says.rpartition("; ")
            yield Trouble(
                key, f"{what}\n{then}; {_ADVICE[key]}" if what else f"{says}\n{_ADVICE[key]}", pressing
            )


def _fruitless(summary: Summary) -> bool:
    """Whether messages were tried, and the service took none: too few, perhaps, to call it broken."""
    return not summary.sent and _tried(summary) >= FEW


def _tried(summary: Summary) -> int:
    return summary.retrying + summary.failed + summary.unknown


def _nothing_taken(connection: Connection, summary: Summary) -> Trouble:
    from mailer_cli import database

    error = database.fetch_value(connection, "attempt_latest", run_id=summary.run_id)
    reason = f" ({error})" if error else ""
    says = f"the message service took none of {_tried(summary)} messages{reason}"
    return Trouble(
        "service", f"{says}\n`mailer report` tells what became of them; ask those who run the service"
    )


def _tell(watch: Watch, seen: list[Trouble], *, everything: bool) -> None:
    news, failure = watch.memory.news(seen, datetime.now(UTC), everything=everything)
    told = [_words(each, watch.memory.remind) for each in news]
    if told and failure:
        told.append(f"mailer: every run tells this again, for it cannot remember that it did: {failure}")
    if told:
        output.say("\n\n".join(told))


def _words(news: News, remind: timedelta) -> str:
    from mailer_cli.hints import age

    where = f"on {socket.gethostname()}"
    if news.kind == "is over":
        first = news.says.splitlines()[0]
        return f"mailer: over: {first}\n{where}, since {_at(news.since)}; last seen at {_at(news.seen)}"
    again = f", and every {age(remind)} meanwhile" if remind else ""
    still = f"still, after {age(news.seen - news.since)}: " if news.kind == "goes on" else ""
    return (
        f"mailer: {still}{news.says}\n"
        f"{where}, since {_at(news.since)}; told again when it is over{again}\n"
        "`mailer doctor` looks at everything, `mailer log` tells what happened"
    )


def _at(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M}Z"


def _described(watch: Watch) -> str:
    from mailer_cli.cli.dispatch import describe

    summary = watch.summary
    return "" if summary is None else f"run {summary.run_id}: {describe(summary)}; {summary.ending}"


def _log(watch: Watch, text: str, *, trouble: bool = False) -> list[Trouble]:
    """Write a line to the log, if there is one; return what is wrong with the log."""
    target = None if watch.configured is None else watch.configured.mailer_log
    if target is None or not text:
        return []
    from mailer_cli import phones, runlog

    try:
        runlog.write(target, output.printable(phones.mask_all("; ".join(text.splitlines()))), trouble=trouble)
    except OSError as error:
        return [Trouble("log", f"the log {target} cannot be written: {error.strerror}; see MAILER_LOG")]
    return []
