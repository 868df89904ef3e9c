"""What a glance at the whole holds, as frozen values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from mailer_cli.hints import Health
from mailer_cli.reports import Total


@dataclass(frozen=True, slots=True)
class Run:
    """One of the latest runs of `mailer dispatch`."""

    id: int
    host: str
    started_at: datetime
    heartbeat_at: datetime
    ended_at: datetime | None
    ending: str | None
    sent: int
    per_second: float
    running: bool


@dataclass(frozen=True, slots=True)
class Late:
    """The oldest that is due and not sent; `zone` is None for a retry."""

    kind: str
    mailing: int
    zone: str | None
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Opening:
    """A window that comes next, by UTC and by the clock of its zone."""

    mailing: int
    zone: str
    opens_at: datetime
    local: datetime
    clients: int
    estimated: bool


@dataclass(frozen=True, slots=True)
class Finish:
    """What becomes of all that waits, at this rate: `running` if it is that of the runs under way."""

    per_second: float
    running: bool
    waiting: int
    expires: int
    finishes_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """One mailing; its audience is `estimated` where clients are not counted before their window opens."""

    total: Total
    estimated: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong lately, and one message that it happened to."""

    http_status: int | None
    error: str | None
    count: int
    message_id: int


@dataclass(frozen=True, slots=True)
class Requests:
    """How the service took the requests of the last minutes; seconds."""

    answered: int
    accepted: int
    p50: float | None
    p95: float | None

    @property
    def share(self) -> float | None:
        """Which share of them was accepted; None without any."""
        return self.accepted / self.answered if self.answered else None


@dataclass(frozen=True, slots=True)
class Overview:
    """All of it; every part is of the same instant."""

    now: datetime
    health: Health
    runs: Sequence[Run]
    late: Late | None
    next: Sequence[Opening]
    finish: Finish | None
    mailings: Sequence[Standing]
    errors: Sequence[Failure]
    requests: Requests
    used_today: int
