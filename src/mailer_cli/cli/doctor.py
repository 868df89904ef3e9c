"""`mailer doctor`: what is wrong, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from mailer_cli.cli import cron, output
from mailer_cli.cli.output import Format, OutputOption
from mailer_cli.errors import ConfigurationError, ExitCode, MailerError, SchemaError

if TYPE_CHECKING:
    from mailer_cli.database import Connection
    from mailer_cli.doctor import Finding, Patient
    from mailer_cli.settings import Settings

KEYS = ("check", "verdict", "says", "mend")
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red", "skipped": "dim"}


def doctor(form: OutputOption = Format.TABLE) -> None:
    """Check what sending depends on: database, clocks, zones, token, service, cron.

    Nothing is changed or sent. Ends with 1 if any check fails.
    """
    found = list(_examined())
    if form is Format.TABLE:
        rows = [{**asdict(each), "says": _told(each)} for each in found]
        output.rows(KEYS[:3], rows, form, colours=_COLOURS)
        output.say(_verdict(found))
    else:
        output.rows(KEYS, [asdict(each) for each in found], form)
    if any(each.verdict == "fail" for each in found):
        raise typer.Exit(ExitCode.REFUSED)


def _examined() -> Iterator[Finding]:
    from mailer_cli import doctor, settings
    from mailer_cli.doctor import findings

    try:
        configured = settings.load()
    except ConfigurationError as error:
        yield findings.fail("settings", str(error), "mend it, then ask again for the rest")
        return
    yield findings.ok("settings", _sources())
    with ExitStack() as open_until_the_end:
        patient, first = _connected(configured, open_until_the_end)
        yield from first
        yield from doctor.examine(patient)


def _connected(configured: Settings, stack: ExitStack) -> tuple[Patient, list[Finding]]:
    """Connect as commands do; a server whose schema is not ours is examined, too."""
    from mailer_cli import database, settings
    from mailer_cli.cli import wiring
    from mailer_cli.database import schema
    from mailer_cli.doctor import Patient, findings

    embedded = settings.server_address(configured) is None
    home = wiring.home(configured) if embedded else None
    try:
        try:
            _, connection = stack.enter_context(wiring.ready(configured))
        except SchemaError as error:
            connection = stack.enter_context(database.connect(wiring.dsn(configured)))
            reached = findings.ok("database", _server(connection, embedded=embedded))
            broken = findings.fail("schema", str(error), "`mailer db upgrade`")
            return Patient(configured, cron.read, home, connection, current=False), [reached, broken]
    except MailerError as error:
        failed = findings.fail("database", str(error), "`mailer db status` says which database is meant")
        return Patient(configured, cron.read, home), [failed]
    first = [
        findings.ok("database", _server(connection, embedded=embedded)),
        findings.ok("schema", f"{schema.HEAD}, as this mailer needs it"),
    ]
    return Patient(configured, cron.read, home, connection), first


def _server(connection: Connection, *, embedded: bool) -> str:
    info = connection.info
    version = f"PostgreSQL {info.server_version // 10_000}.{info.server_version % 10_000}"
    return f"{version}, embedded" if embedded else f"{version} at {info.host}, database {info.dbname}"


def _sources() -> str:
    from mailer_cli import settings

    read = [str(path) for path in settings.files()]
    return f"read from the environment and {', '.join(read)}" if read else "read from the environment alone"


def _told(found: Finding) -> str:
    return f"{found.says}\n-> {found.mend}" if found.mend else found.says


def _verdict(found: list[Finding]) -> str:
    bad = {name: sum(each.verdict == name for each in found) for name in ("fail", "warn", "skipped")}
    if not bad["fail"] and not bad["warn"]:
        return f"all is well: {len(found)} checks, {bad['skipped']} of them skipped"
    return f"{len(found)} checks: {bad['fail']} failed, {bad['warn']} warnings, {bad['skipped']} skipped"
