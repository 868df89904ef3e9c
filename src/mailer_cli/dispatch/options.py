"""What a dispatcher is told, and what it tells afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from mailer_cli.errors import ExitCode
from mailer_cli.histogram import Latencies
from mailer_cli.statuses import Status

SLACK = 2.0  # seconds a started message may wait for its turn to be sent


@dataclass(frozen=True, slots=True)
class Options:
    """How to dispatch; times in seconds."""

    concurrency: int = 100  # requests under way at once
    max_seconds: float = 55.0  # after that nothing more is claimed or started
    http_timeout: float = 10.0  # the most one request may take
    lease: float = 60.0  # silence after which a claim is taken over
    max_attempts: int = 5
    retry_base: float = 30.0
    retry_cap: float = 3600.0
    deduplicates: bool = False  # the service recognises a repeated message id
    rate_per_second: float | None = None  # messages, of all dispatchers together
    rate_per_day: int | None = None  # likewise, per day of UTC
    probe: bool = False  # send one message, to see whether the service takes any
    processes: int = 1  # that share the requests under way

    @property
    def margin(self) -> float:
        """How long before its window's end a message is no longer started."""
        return self.http_timeout + SLACK

    @property
    def claim_lease(self) -> float:
        """The lease, never so short that a request could outlive it."""
        return max(self.lease, self.margin + 5)

    @property
    def limited(self) -> bool:
        """Whether messages need a place in the queue that all dispatchers share."""
        return self.rate_per_second is not None or self.rate_per_day is not None

    @property
    def spacing(self) -> float:
        """Seconds between messages: a little more than the rate asks, for none leaves on the dot."""
        return 0.0 if self.rate_per_second is None else 1 / (self.rate_per_second * 0.985)

    @property
    def slice(self) -> int:
        """Messages started at once: those of a second at most, where there is a rate."""
        size = max(1, min(250, self.concurrency))
        return size if self.rate_per_second is None else max(1, min(size, int(self.rate_per_second)))

    @property
    def batch(self) -> int:
        """Clients per claim: enough to keep the requests going, few enough that the urgent wait a moment."""
        if self.probe:
            return 1
        size = min(500, max(50, 5 * self.concurrency))
        return size if self.rate_per_second is None else max(1, min(size, int(self.rate_per_second)))


@dataclass(slots=True)
class Summary:
    """What one run did, in messages; a message that was retried in it counts at each result."""

    claimed: int = 0
    sent: int = 0
    retrying: int = 0
    failed: int = 0
    unknown: int = 0
    expired: int = 0
    cancelled: int = 0
    held: bool = False
    run_id: int = 0
    ending: str = ""  # in a word or two, as the `run` table has it
    latencies: Latencies = field(default_factory=Latencies)

    def count(self, status: str, number: int = 1) -> None:
        """Add messages that came to have `status`."""
        if status != Status.SENDING:
            setattr(self, status, getattr(self, status) + number)

    def counts(self) -> dict[str, int]:
        """The numbers, by their names in the `run` table."""
        names = ("claimed", *(status.value for status in Status if status != Status.SENDING))
        return {name: getattr(self, name) for name in names}

    def beat(self) -> dict[str, Any]:
        """What the `run` table is told."""
        return {**self.counts(), "latencies": self.latencies.counts}

    def add(self, beat: dict[str, Any]) -> None:
        """Add what another process told of its `beat`."""
        for name in self.counts():
            setattr(self, name, getattr(self, name) + beat[name])
        self.latencies.merge(beat["latencies"])


class Role(Enum):
    """What an engine does beside sending, for it may be one of several of a run."""

    ALONE = "alone"  # writes the run's row, and opens and closes windows
    FIRST = "first"  # opens and closes windows
    OTHER = "other"


@dataclass(slots=True)
class Ending:
    """How sending ended."""

    token_error: str | None = None
    stopped_by: ExitCode | None = None
    failure: str = "the probe did not get through"  # the last one, in words
    answered: bool = False  # the service took a message, or refused it for what it is


Progress = Callable[[Summary], None]


def clock() -> float:
    """Seconds on this host's clock that also runs while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
