"""This host: room on the disk, files that hold secrets, and cron."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from mailer_cli import crontab, settings
from mailer_cli.crontab import Entry
from mailer_cli.doctor.findings import Finding, Patient, fail, ok, skipped, warn
from mailer_cli.errors import MailerError

_LITTLE, _FAR_TOO_LITTLE = 1 << 30, 100 << 20  # bytes
_OTHERS = 0o077  # what a file's group and others may do
_CONTAINER = Path("/run/secrets")  # mounted by its engine, with rights that only the host can change
_SYSTEM_CRONTABS = ("/etc/crontab", "/etc/cron.d")
_PATIENCE = 20  # seconds for a program to say its version
_INSTALL = "`mailer cron install`"


def disk(patient: Patient) -> Iterator[Finding]:
    """Whether the embedded database has room to grow."""
    if patient.home is None:
        yield skipped("disk", "the database server's own affair")
        return
    place = next(path for path in (patient.home, *patient.home.parents) if path.exists())
    free = shutil.disk_usage(place).free
    says = f"{free >> 20} MiB are free beside the embedded database"
    if free < _FAR_TOO_LITTLE:
        yield fail("disk", says, "make room: a full disk stops all sending")
    elif free < _LITTLE:
        yield warn("disk", says, "make room: `mailer purge` removes old messages")
    else:
        yield ok("disk", says)


def files(patient: Patient) -> Iterator[Finding]:
    """Whether only their owner can read the files that hold secrets."""
    secret = [path for path in settings.files() if settings.holds_secrets(path)]
    kept = (
        patient.settings.jwt_token_file,
        patient.settings.postgres_password_file,
        patient.settings.db_sslkey,
    )
    secret += [path for path in kept if path is not None]
    found = [path for path in secret if path.exists() and _CONTAINER not in path.parents]
    for path in found:
        if path.stat().st_mode & _OTHERS:
            yield warn("secret files", f"{path} can be read by others", f"chmod 600 {shlex.quote(str(path))}")
    if not any(path.stat().st_mode & _OTHERS for path in found):
        yield ok("secret files", f"{len(found)} of them, readable by their owner only" if found else "none")


def cron(patient: Patient) -> Iterator[Finding]:
    """Whether cron runs `mailer dispatch`, and whether it can, with nothing but cron's environment."""
    try:
        entries = crontab.dispatches(patient.crontab())
    except MailerError as error:
        yield skipped("cron", str(error).splitlines()[0])
        return
    if not entries and (where := _elsewhere()):
        yield ok("cron", f"{where} runs mailer dispatch")
    elif not entries:
        yield warn("cron", "nothing in this user's crontab runs mailer dispatch", f"{_INSTALL} lets it")
    for entry in entries:
        yield _tried(entry)


def cron_settings(_: Patient) -> Iterator[Finding]:
    """Whether cron would see the settings that this shell sees."""
    if names := settings.unseen_by_cron():
        says = f"cron would not see these settings as this shell does: {', '.join(names)}"
        yield warn("cron settings", says, f"put them into {settings.cron_file()}")
    else:
        yield ok("cron settings", "cron sees the same as this shell")


def _elsewhere() -> str | None:
    """Name a crontab of the system that runs it, if it can be read."""
    for place in map(Path, _SYSTEM_CRONTABS):
        for path in sorted(place.iterdir()) if place.is_dir() else [place]:
            if os.access(path, os.R_OK) and path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace")
                if crontab.dispatches(text):
                    return str(path)
    return None


def _tried(entry: Entry) -> Finding:
    """Let the program of a line say its version, as cron would start it."""
    where = f"line {entry.line} of the crontab"
    words = shlex.split(entry.command)
    if words[1:2] != ["dispatch"]:
        return ok("cron", f"{where} runs mailer dispatch, in its own way")
    program = words[0]
    if not (Path(program).is_absolute() and os.access(program, os.X_OK)):
        return fail("cron", f"{where}: {program} is not there, or no program", f"{_INSTALL} puts it right")
    env = {"HOME": str(Path.home()), "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    try:
        words = [program, "--version"]
        done = subprocess.run(words, env=env, capture_output=True, timeout=_PATIENCE, check=False)  # noqa: S603 - what cron runs every minute
    except (OSError, subprocess.TimeoutExpired) as error:
        return fail("cron", f"{where}: {program} does not start: {type(error).__name__}", f"{_INSTALL} again")
    if done.returncode:
        return fail("cron", f"{where}: {program} --version ends with {done.returncode}", f"{_INSTALL} again")
    return ok("cron", f"{where} runs {program} every time it should")
