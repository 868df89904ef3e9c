"""The database server: whether it keeps what it confirms, and whether this is the database to send from."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from mailer_cli import database, roles
from mailer_cli.dispatch import gate
from mailer_cli.doctor.findings import Finding, Patient, fail, ok, skipped, warn
from mailer_cli.durations import shown
from mailer_cli.roles import Role

SKEW = 1.0  # seconds between two clocks that nobody notices
OLD_SNAPSHOT = 600.0  # seconds
_ROUND_TRIPS = 5
_MAY = {
    Role.DISPATCHER: "send",
    Role.OPERATOR: "send, and change clients and mailings",
    Role.OWNER: "send, change clients and mailings, and migrate",
}


@dataclass(frozen=True, slots=True)
class _Settings:
    fsync: bool
    full_page_writes: bool
    synchronous_commit: str
    recovering: bool


@dataclass(frozen=True, slots=True)
class _Standbys:
    seen: bool  # this user may see them
    standbys: int
    synchronous: int


@dataclass(frozen=True, slots=True)
class _Snapshot:
    pid: int | None
    who: str
    what: str
    seconds: float


def settings(patient: Patient) -> Iterator[Finding]:
    """Whether a commit that was confirmed is on disk."""
    found = database.fetch_one(patient.database, "doctor_server", _Settings)
    assert found is not None  # noqa: S101 - it has one row, always
    well = True
    for name, on in (("fsync", found.fsync), ("full_page_writes", found.full_page_writes)):
        if not on:
            well = False
            says = f"{name} is off: after a crash, what was sent may be forgotten, and sent again"
            yield fail("server settings", says, f"ALTER SYSTEM SET {name} = on; then SELECT pg_reload_conf()")
    if found.synchronous_commit == "off":
        well = False
        says = "synchronous_commit is off: after a crash, what was sent may be forgotten, and sent again"
        mend = "SET synchronous_commit = on, for the server, the database and the role"
        yield fail("server settings", says, mend)
    if found.recovering:
        well = False
        yield fail("server settings", "this server is a standby, and read-only", "connect to the primary")
    if well:
        yield ok("server settings", "what is committed is kept")


def standbys(patient: Patient) -> Iterator[Finding]:
    """Whether a standby that is promoted has all that was committed."""
    found = database.fetch_one(patient.database, "doctor_standbys", _Standbys)
    assert found is not None  # noqa: S101 - it has one row, always
    if not found.seen:
        yield skipped("standbys", "this database user may not see them; grant pg_monitor to find out")
    elif not found.standbys:
        yield ok("standbys", "none")
    elif found.synchronous:
        yield ok("standbys", f"{found.synchronous} of {found.standbys} are synchronous")
    else:
        says = f"{found.standbys} asynchronous: one that is promoted may not know who was sent to last"
        yield warn("standbys", says, "set synchronous_standby_names, or know `mailer recover`")


def rights(patient: Patient) -> Iterator[Finding]:
    """Whether this database user may do what a dispatch does."""
    held = roles.held(patient.database)
    if held in {None, Role.READER}:
        says = "this database user may read, and not send: `mailer dispatch` would be refused"
        yield warn("rights", says, "make it a member of mailer_dispatcher: see `mailer db roles`")
    else:
        yield ok("rights", f"this database user may {_MAY[held]}")


def clock(patient: Patient) -> Iterator[Finding]:
    """Whether this host's clock agrees with the database's."""
    skews = []
    for _ in range(_ROUND_TRIPS):
        before = time.time()
        there = database.fetch_value(patient.database, "doctor_clock")
        skews.append((before + time.time()) / 2 - there)
    skew = median(skews)
    if abs(skew) <= SKEW:
        yield ok("clock", f"within {SKEW:g} s of the database's")
        return
    side = "ahead of" if skew > 0 else "behind"
    says = f"this host is {shown(abs(skew))} {side} the database, by whose clock everything is sent"
    yield warn("clock", says, "let NTP set both clocks: timedatectl set-ntp true")


def snapshots(patient: Patient, older: float = OLD_SNAPSHOT) -> Iterator[Finding]:
    """Whether somebody keeps the database from tidying up, which makes everything slower in the end."""
    found = database.fetch(patient.database, "doctor_snapshots", _Snapshot, seconds=older)
    for each in found:
        says = f"{each.what} of {each.who} is open for {shown(each.seconds)}: old rows pile up meanwhile"
        end = f"end it, or: SELECT pg_terminate_backend({each.pid})" if each.pid else "drop or finish it"
        yield warn("snapshots", says, end)
    if not found:
        yield ok("snapshots", f"nobody's is older than {shown(older)}")


def home(patient: Patient) -> Iterator[Finding]:
    """Whether this is the database that sent before, and not a copy of it."""
    now = gate.read(patient.database)
    if now.home is None:
        yield ok("home", "nothing was sent from this database yet")
        return
    if reason := gate.refusal(now):
        says, _, mend = reason.partition("\n")
        yield fail("home", says, mend)
    else:
        yield ok("home", "this is the database that sends")
