"""How the sandbox misbehaves."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from mailer_cli.errors import InvalidValueError

_Kind = TypeVar("_Kind")


class Fault(StrEnum):
    """What may happen to one request."""

    ERROR = "error"  # not accepted: a 5xx or 429
    GARBAGE = "garbage"  # accepted, but the answer cannot be read
    HANG = "hang"  # accepted, but never answered
    RESET = "reset"  # accepted, but the connection is reset instead of an answer


@dataclass(frozen=True, slots=True)
class Draw:
    """What goes wrong with one request, if anything, and which kind of it."""

    fault: Fault | None
    pick: float

    def one_of(self, kinds: Sequence[_Kind]) -> _Kind:
        """Return the kind that was drawn."""
        return kinds[int(self.pick * len(kinds))]


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of requests that go wrong, each from 0 to 1; times in seconds.

    Garbage, hang and reset accept the message first: that is the worst that can happen to a sender.
    """

    latency: float = 0.0
    error_rate: float = 0.0
    garbage_rate: float = 0.0
    hang_rate: float = 0.0
    reset_rate: float = 0.0
    status: int | None = None  # every request is answered with this
    retry_after: int | None = None  # seconds, sent with 429 and 503
    seed: int | None = None

    def __post_init__(self) -> None:
        rates = {
            "error-rate": self.error_rate,
            "garbage-rate": self.garbage_rate,
            "hang-rate": self.hang_rate,
            "reset-rate": self.reset_rate,
        }
        for name, rate in rates.items():
            if not 0 <= rate <= 1:
                raise InvalidValueError(name, f"{rate:g} is not a share; give a number from 0 to 1")
        if sum(rates.values()) > 1 + 1e-9:
            raise InvalidValueError("error-rate", "the rates add up to more than 1; lower one of them")
        if not 0 <= self.latency <= 3600:
            raise InvalidValueError("latency", "give seconds from 0 to 3600")
        if self.retry_after is not None and not 0 <= self.retry_after < 10**9:
            raise InvalidValueError("retry-after", "give seconds, 0 or more")
        if self.status is not None and not 200 <= self.status <= 599:
            raise InvalidValueError("status", f"{self.status} is no final HTTP status; give 200 to 599")

    def draw(self, chance: random.Random) -> Draw:
        """Return what goes wrong with the next request; the same series for the same seed."""
        point, pick = chance.random(), chance.random()
        for fault, rate in (
            (Fault.ERROR, self.error_rate),
            (Fault.GARBAGE, self.garbage_rate),
            (Fault.HANG, self.hang_rate),
            (Fault.RESET, self.reset_rate),
        ):
            if point < rate:
                return Draw(fault, pick)
            point -= rate
        return Draw(None, pick)
