"""`mailer top`: how sending stands, redrawn as it goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailer_cli.cli import output
from mailer_cli.cli.output import Format
from mailer_cli.errors import MailerError, UnavailableError

if TYPE_CHECKING:
    from datetime import datetime

    from mailer_cli.cli.live import Draw
    from mailer_cli.database import Connection
    from mailer_cli.overview import Overview, Standing
    from mailer_cli.projections import Wanted
    from mailer_cli.settings import Settings

DelayOption = Annotated[
    float, typer.Option("--delay", "-d", min=0.1, max=3600, help="Seconds from one look to the next.")
]
TimesOption = Annotated[
    int | None, typer.Option("--times", "-n", min=1, help="Stop after so many looks; else at q or Ctrl-C.")
]
FormOption = Annotated[
    Format, typer.Option("--output", "-o", help="table for people; jsonl for scripts, one object a look.")
]


def top(delay: DelayOption = 2.0, times: TimesOption = None, form: FormOption = Format.TABLE) -> None:
    """Watch: is it running, what is late, what comes next, will it be finished in time, what goes wrong.

    Numbers with ~ are estimates: clients are not counted before their window opens. q ends it. What a look
    costs the database does not grow with clients and messages.
    """
    if form in {Format.JSON, Format.CSV}:
        raise typer.BadParameter("it has no end, and looks are no rows: use -o jsonl", param_hint="--output")
    from mailer_cli import settings

    with Watch(settings.load()) as watch, suppress(KeyboardInterrupt):  # to be interrupted is how it ends
        if form is Format.JSONL or not sys.stdout.isatty():
            _print(watch, delay, times, form)
        else:
            _draw(watch, delay, times)


class Watch:
    """Looks at the database again and again, and goes on when it was away."""

    def __init__(self, configured: Settings) -> None:
        self.configured = configured
        self._connection: Connection | None = None

    def __enter__(self) -> Watch:
        from mailer_cli.cli import wiring

        with wiring.ready(self.configured):
            pass  # whatever is wrong from the beginning ends it with the reason
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def look(self) -> Overview:
        """Look once; raise UnavailableError if the database is away at the moment."""
        from mailer_cli import database, overview
        from mailer_cli.cli import wiring

        try:
            if self._connection is None:
                self._connection = database.connect(wiring.dsn(self.configured))
            with database.explained():
                return overview.look(self._connection, self._wanted())
        except UnavailableError:
            self.__exit__()
            self._connection = None
            raise

    @property
    def per_day(self) -> int | None:
        """The quota."""
        return self.configured.mailer_rate_per_day

    def _wanted(self) -> Wanted:
        from mailer_cli.projections import Wanted

        return Wanted(self.configured.mailer_rate_per_second, self.per_day)

    def token(self) -> tuple[bool, datetime | None]:
        """Return whether there is a token, and when it expires if it says so; read anew at each look."""
        from mailer_cli import settings, tokens

        try:
            return True, tokens.expires_at(settings.token(self.configured))
        except MailerError:
            return False, None


def _rounds(times: int | None) -> Iterator[bool]:
    """Yield for each look whether it is the last."""
    for number in count(1):
        yield number == times
        if number == times:
            return


def _print(watch: Watch, delay: float, times: int | None, form: Format) -> None:
    for last in _rounds(times):
        try:
            found = watch.look()
        except UnavailableError as error:
            output.say(f"{error}; trying again")
        else:
            _write(watch, found, form)
        sys.stdout.flush()
        if not last:
            time.sleep(delay)


def _write(watch: Watch, found: Overview, form: Format) -> None:
    if form is Format.JSONL:
        output.item(_values(watch, found), form)
        return
    output.line(output.instant(found.now))
    for heading, said in _sections(watch, found):
        for text, _ in said:
            output.line(output.printable(f"{heading}: {text}"))
    for each in found.mailings:
        output.line(output.printable(_mailing(each)))


def _draw(watch: Watch, delay: float, times: int | None) -> None:
    from mailer_cli.cli import live

    with live.screen(alternate=times is None) as screen:
        known: Draw | None = None
        for last in _rounds(times):
            try:
                known = _frame(watch, watch.look(), delay)
            except UnavailableError as error:
                screen.show(partial(_lost, str(error), known))
            else:
                screen.show(known)
            if not last and not screen.wait(delay):
                return


def _frame(watch: Watch, found: Overview, delay: float) -> Draw:
    from mailer_cli.cli import top_screen

    title = f"mailer top  {found.now:%Y-%m-%d %H:%M:%S}Z  every {delay:g} s, q ends it"
    return partial(top_screen.draw, title, list(_sections(watch, found)), found.mailings)


def _lost(reason: str, before: Draw | None, width: int, height: int) -> list[Any]:
    """Say that the database is away, above what was known last."""
    lines = list(before(width, height - 1)) if before else []
    return [[(f"trying again: {reason.splitlines()[0]}"[:width], "red")], *lines]


def _sections(watch: Watch, found: Overview) -> Any:
    from mailer_cli.cli import top_words

    given, expires_at = watch.token()
    return top_words.sentences(found, watch.per_day, top_words.token(expires_at, found.now, given=given))


def _mailing(found: Standing) -> str:
    total = found.total
    counts = {"waiting": total.waiting, **total.by_status()}
    told = ", ".join(f"{name} {number}" for name, number in counts.items())
    about = "about " if found.estimated else ""
    text = " ".join(total.text.split())
    return f"mailing {total.mailing} ({total.state}): audience {about}{total.audience}: {told}: {text}"


def _values(watch: Watch, found: Overview) -> dict[str, Any]:
    given, expires_at = watch.token()
    health = asdict(found.health)
    return {
        "time": found.now,
        "running": any(run.running for run in found.runs),
        "runs": [asdict(run) for run in found.runs],
        "late": found.late and asdict(found.late),
        "next": [asdict(opening) for opening in found.next],
        "finish": found.finish and asdict(found.finish),
        "mailings": [_mailing_values(each) for each in found.mailings],
        "errors": [asdict(error) for error in found.errors],
        "service": {
            **asdict(found.requests),
            "share": found.requests.share,
            **{
                key: health[key]
                for key in health
                if key not in {"now", "mailings", "last_run_at", "neglected"}
            },
            "quota": watch.per_day,
            "used_today": found.used_today,
            "token": given,
            "token_expires_at": expires_at,
        },
    }


def _mailing_values(found: Standing) -> dict[str, Any]:
    total = found.total
    kept = ("mailing", "state", "text", "opens_at", "closes_at", "audience", "waiting")
    counts = total.by_status()
    return {**{key: getattr(total, key) for key in kept}, **counts, "estimated": found.estimated}
