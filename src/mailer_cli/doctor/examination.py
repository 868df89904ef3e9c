"""All checks in their order; one that breaks does not hide the others."""

from __future__ import annotations

from collections.abc import Iterator

from mailer_cli.doctor import host, server, service, work, zones
from mailer_cli.doctor.findings import Check, Finding, Patient, fail, skipped
from mailer_cli.errors import MailerError

# What needs a connection, and what needs mailer's own tables beside it.
_SERVER: dict[str, Check] = {
    "server settings": server.settings,
    "standbys": server.standbys,
    "clock": server.clock,
    "snapshots": server.snapshots,
}
_TABLES: dict[str, Check] = {
    "rights": server.rights,
    "home": server.home,
    "time zones": zones.known,
    "zone rules": zones.rules,
    "last run": work.last_run,
    "gate": work.gate,
    "leases": work.leases,
    "late": work.late,
}
_HOST: dict[str, Check] = {
    "disk": host.disk,
    "token": service.token,
    "secret files": host.files,
    "service": service.reachable,
    "cron": host.cron,
    "cron settings": host.cron_settings,
}


def examine(patient: Patient) -> Iterator[Finding]:
    """Yield what each check found."""
    reached = patient.connection is not None
    for checks, possible in ((_SERVER, reached), (_TABLES, reached and patient.current), (_HOST, True)):
        for name, check in checks.items():
            if possible:
                yield from _made(name, check, patient)
            else:
                lacking = "the schema is not there" if reached else "the database is not reached"
                yield skipped(name, lacking)


def _made(name: str, check: Check, patient: Patient) -> Iterator[Finding]:
    try:
        yield from check(patient)
    except MailerError as error:
        yield fail(name, str(error))
    except Exception as error:  # noqa: BLE001 - a check that breaks is a finding, and must not hide the others
        # Not what it says: that may quote what is secret.
        yield fail(name, f"the check itself failed: {type(error).__name__}", "please report it")
