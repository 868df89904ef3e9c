"""`mailer cron`: the line that lets cron run `mailer dispatch` every minute, and what does without cron."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from mailer_cli.cli import output
from mailer_cli.errors import InvalidStateError, MailerError

app = typer.Typer(help="Cron: what runs `mailer dispatch` every minute.", no_args_is_help=True)

_MINUTE = 60.0

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Write the crontab to stdout as it would be, and stop.")
]


@app.command()
def show() -> None:
    """Show what `install` would put into the crontab: for other schedulers, and for the curious."""
    from mailer_cli import crontab

    output.raw(crontab.block(str(program())))


@app.command()
def install(dry_run: DryRunOption = False) -> None:
    """Let cron run `mailer dispatch` every minute, as this user. Again changes nothing but the path."""
    from mailer_cli import crontab

    before = read()
    after = crontab.install(before, str(program()))
    if dry_run:
        output.raw(after)
        return
    if after != before:
        _write(after)
    state = "is there already" if after == before else "is in the crontab now"
    output.say(f"the line {state}; `mailer top` shows whether it runs, `mailer doctor` what keeps it from it")
    for entry in crontab.dispatches(after):
        if not entry.ours:
            output.say(f"line {entry.line} of the crontab runs mailer dispatch, too: needless, but no harm")
    _warn_of_settings()


@app.command()
def remove(dry_run: DryRunOption = False) -> None:
    """Take the line out of the crontab again; everything else in it stays as it is."""
    from mailer_cli import crontab

    before = read()
    after = crontab.remove(before)
    if dry_run:
        output.raw(after)
        return
    if after == before:
        output.say("the line was not in the crontab; nothing was changed")
        return
    _write(after)
    output.say("cron no longer runs mailer dispatch; `mailer cron install` lets it again")


@app.command()
def run(
    every: Annotated[
        float, typer.Option(min=1, max=3600, help="Seconds from one to the next, to try it out.")
    ] = 60.0,
) -> None:
    """Run `mailer dispatch` every minute in the foreground, where there is no cron: in a container.

    At once, and on each full minute; as under cron the next does not wait for the last. What they say, and
    how one ended that failed, goes to stdout. SIGTERM and Ctrl-C are handed on to those under way and waited
    for; that ends it with 0. A second one does not wait for answers.
    """
    from mailer_cli.cli.ticks import Ticks

    ticks = Ticks([sys.executable, "-m", "mailer_cli", "dispatch"], every, _log)
    often = "on each full minute" if every == _MINUTE else f"every {every:g} seconds"
    _log(f"mailer dispatch runs now and {often}; SIGTERM or Ctrl-C ends it")
    ticks.run()
    _log(f"stopped; {ticks.started} were started")


@app.command()
def check() -> None:
    """Tell whether dispatches of this host come round: 0 if one began within two minutes, 1 if none did.

    Meant for a container's health check, beside `mailer cron run`; `mailer doctor` looks at everything.
    """
    import socket

    from mailer_cli import database, durations, hints
    from mailer_cli.cli import wiring

    host = socket.gethostname()
    with wiring.connected() as connection:
        ago: float | None = database.fetch_value(connection, "cron_last_run", host=host)
    if ago is None or ago > hints.SILENCE.total_seconds():
        last = "has begun yet" if ago is None else f"has begun for {durations.shown(ago)}"
        raise InvalidStateError(
            f"no dispatch of {host} {last}; is cron, or `mailer cron run`, running there?"
        )
    output.line(f"the last dispatch of {output.printable(host)} began {durations.shown(ago)} ago")


def _log(text: str) -> None:
    output.line(text)
    sys.stdout.flush()


def program() -> Path:
    """Return where this `mailer` is, as an absolute path: cron knows no other."""
    for candidate in (Path(sys.argv[0]), Path(sys.executable).with_name("mailer")):
        if candidate.name == "mailer" and candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.absolute()
    raise MailerError("where mailer is installed cannot be told; start it as .venv/bin/mailer")


def read() -> str:
    """Return this user's crontab, empty if there is none; raise MailerError where it cannot be had."""
    done = _crontab("-l")
    if done.returncode == 0:
        return _text(done.stdout)
    if _text(done.stderr).startswith("no crontab for"):
        return ""
    raise MailerError(f"the crontab cannot be read: {_reason(done)}")


def _write(text: str) -> None:
    done = _crontab("-", content=text.encode(errors="surrogateescape"))
    if done.returncode:
        raise MailerError(f"the crontab was not changed: {_reason(done)}")


def _crontab(option: str, content: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    # In no other language: what it says of a crontab that does not exist is compared.
    env = {**os.environ, "LC_ALL": "C"}
    words = ["crontab", option]
    try:
        return subprocess.run(words, input=content, capture_output=True, env=env, check=False)  # noqa: S603 - our own words
    except OSError:
        raise MailerError(
            "there is no crontab program here; on Debian, `apt install cron` brings it\n"
            "any other scheduler will do that runs the line of `mailer cron show` every minute"
        ) from None


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def _reason(done: subprocess.CompletedProcess[bytes]) -> str:
    said = done.stderr.decode(errors="replace").strip() or f"crontab ended with {done.returncode}"
    return output.printable(" ".join(said.split()))


def _warn_of_settings() -> None:
    from mailer_cli import settings

    if names := settings.unseen_by_cron():
        output.say(
            f"cron does not know these settings of this shell: {', '.join(names)}\n"
            f"put them into {settings.cron_file()} (chmod 600), which is read wherever mailer is started"
        )
