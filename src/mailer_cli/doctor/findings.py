"""What a check found: a verdict, what it says, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from mailer_cli.database import Connection
from mailer_cli.settings import Settings


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"  # it works, and may not for long, or not as meant
    FAIL = "fail"  # messages are not sent, or a promise is in danger
    SKIPPED = "skipped"  # it could not be found out


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's answer."""

    check: str
    verdict: Verdict
    says: str
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined. `crontab` returns the user's crontab, or raises MailerError that says why not."""

    settings: Settings
    crontab: Callable[[], str]
    home: Path | None  # of the embedded database, if that is used
    connection: Connection | None = None
    current: bool = True  # the schema is the one this release needs

    @property
    def database(self) -> Connection:
        """The connection, for checks that are made only with one."""
        assert self.connection is not None  # noqa: S101 - see `examination`
        return self.connection


Check = Callable[[Patient], Iterable[Finding]]


def ok(check: str, says: str) -> Finding:
    """All is well."""
    return Finding(check, Verdict.OK, says)


def warn(check: str, says: str, mend: str | None = None) -> Finding:
    """An operator should know."""
    return Finding(check, Verdict.WARN, says, mend)


def fail(check: str, says: str, mend: str | None = None) -> Finding:
    """An operator must act."""
    return Finding(check, Verdict.FAIL, says, mend)


def skipped(check: str, why: str) -> Finding:
    """It could not be found out."""
    return Finding(check, Verdict.SKIPPED, why)
