"""What sending one message came to: values, each with one meaning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Accepted:
    """The service took the message; whether it was delivered nobody can tell."""

    http_status: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The service will never take this message."""

    http_status: int | None
    error: str


@dataclass(frozen=True, slots=True)
class Later:
    """The message was certainly not taken, and may be tried again."""

    http_status: int | None
    error: str
    retry_after: float | None = None  # seconds, where the service asked for them
    whole_service: bool = False  # it asked on behalf of every message


@dataclass(frozen=True, slots=True)
class InDoubt:
    """The request may have reached the service; there is no readable answer."""

    http_status: int | None
    error: str


@dataclass(frozen=True, slots=True)
class TokenRejected:
    """The service does not accept the token, so no message has a chance."""

    http_status: int
    error: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """Its time was over before anything of it was written, so nothing was."""


Answer: TypeAlias = Accepted | Refused | Later | InDoubt | TokenRejected
Outcome: TypeAlias = Answer | NotSent
