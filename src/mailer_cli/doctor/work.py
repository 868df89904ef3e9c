"""The work: whether somebody does it, and what keeps them from it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from mailer_cli import database, hints, overview, windows
from mailer_cli.doctor.findings import Finding, Patient, fail, ok, warn
from mailer_cli.statuses import MailingState

_CRON = "`mailer cron install` lets cron run it every minute"


def last_run(patient: Patient) -> Iterator[Finding]:
    """Whether `mailer dispatch` comes round."""
    health = hints.health(patient.database)
    due = any(each.state == MailingState.ACTIVE for each in windows.unfinished(patient.database))
    worse = fail if due else warn
    if health.last_run_at is None:
        yield worse("last run", "no dispatch has ever run", _CRON)
        return
    silent = health.now - health.last_run_at
    if silent > hints.SILENCE:
        yield worse("last run", f"no dispatch for {hints.age(silent)}", f"is cron running? {_CRON}")
        return
    [run] = database.fetch(patient.database, "overview_runs", overview.Run, limit=1)
    if run.ending in {None, "done", "held", "out of time", "stopped", "waiting for the service"}:
        yield ok("last run", f"run {run.id} on {run.host}, less than two minutes ago")
    else:
        yield warn(
            "last run",
            f"run {run.id} on {run.host} ended badly: {run.ending}",
            f"`mailer log --run {run.id}`",
        )


def gate(patient: Patient) -> Iterator[Finding]:
    """Whether anything stands between due messages and the service."""
    health = hints.health(patient.database)
    grave = health.token_rejected_at is not None or health.broken_at is not None
    found = [says for key, says in hints.obstacles(health) if key != "home"]  # that is a check of its own
    for hint in found:
        says, _, mend = hint.partition("; ")
        yield (fail if grave else warn)("gate", says, mend or None)
    if not found:
        yield ok("gate", "open: not held, breaker closed, token not rejected")


def leases(patient: Patient) -> Iterator[Finding]:
    """Whether batches of dispatchers that died wait to be taken over."""
    number: int = database.fetch_value(patient.database, "doctor_leases")
    if number:
        says = f"{number} batches of dispatchers that fell silent were not taken over"
        yield fail("leases", says, f"a dispatch does it: {_CRON}")
    else:
        yield ok("leases", "no batch is left behind")


def late(patient: Patient) -> Iterator[Finding]:
    """Whether what is due is being sent."""
    found = database.fetch_one(patient.database, "overview_late", overview.Late)
    health = hints.health(patient.database)
    if found is None or health.now - found.due_at <= hints.SILENCE:
        yield ok("late", "nothing is due for more than two minutes")
        return
    what = "a retry" if found.zone is None else found.zone
    told = f"{what} of mailing {found.mailing} is due for {hints.age(health.now - found.due_at)}"
    if _going_on(health):
        yield ok("late", f"{told}, and being worked through")
    else:
        yield fail("late", f"{told}, and nobody sends", f"`mailer top` shows why; {_CRON}")


def _going_on(health: hints.Health) -> bool:
    silent = None if health.last_run_at is None else health.now - health.last_run_at
    return silent is not None and silent <= timedelta(minutes=2) and health.held_at is None
