"""What an answer of the service means: pure, for any status, headers and bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeAlias

BODY_LIMIT = 64 * 1024  # bytes of an answer that are looked at
RETRY_AFTER_LIMIT = 86_400.0  # seconds
ERROR_LIMIT = 200  # characters

_TOKEN_REJECTED = frozenset({401, 403})
_NOT_NOW = frozenset({408, 425, 429, 500, 503})
_WHOLE_SERVICE = frozenset({429, 503})
_IN_DOUBT = frozenset({502, 504})
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a0-\u1fff\u2010-\u2027\u2030-\ud7ff]+")


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


Outcome: TypeAlias = Accepted | Refused | Later | InDoubt | TokenRejected


def judge(status: int, headers: Mapping[str, str], body: bytes | None) -> Outcome:
    """Say what an answer means; `body` is None where it was longer than BODY_LIMIT bytes.

    `headers` has lower-case names.
    """
    if 200 <= status <= 299:
        return _judge_success(status, body)
    error = f"HTTP {status}{_excerpt(body)}"
    if status in _TOKEN_REJECTED:
        return TokenRejected(status, error)
    if status in _IN_DOUBT:
        return InDoubt(status, error)
    if status in _NOT_NOW:
        return Later(status, error, retry_after(headers), status in _WHOLE_SERVICE)
    if status >= 501:
        return InDoubt(status, error)
    return Refused(status, error)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds the service asks us to wait: given as such, or as a date; None if it does not.

    A date is compared with the answer's own Date, for our clock may be wrong; what is past means now,
    and nobody makes us wait longer than a day.
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return min(float(text), RETRY_AFTER_LIMIT)
    until = _http_date(text)
    if until is None:
        return None
    now = _http_date(headers.get("date", "")) or datetime.now(UTC)
    return min(max((until - now).total_seconds(), 0.0), RETRY_AFTER_LIMIT)


def printable(text: str) -> str:
    """Cut a text to a short, harmless line."""
    line = _UNPRINTABLE.sub("?", " ".join(text.split()))
    return line if len(line) <= ERROR_LIMIT else line[: ERROR_LIMIT - 1] + "…"


def _judge_success(status: int, body: bytes | None) -> Outcome:
    if body is None:
        return InDoubt(status, f"HTTP {status}, but the answer is longer than {BODY_LIMIT} bytes")
    try:
        answer = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return InDoubt(status, printable(f"HTTP {status}, but the answer is not JSON{_excerpt(body)}"))
    code = answer.get("code") if isinstance(answer, dict) else None
    if not isinstance(code, int) or isinstance(code, bool):
        return InDoubt(status, printable(f"HTTP {status}, but the answer has no code{_excerpt(body)}"))
    if code == 0:
        return Accepted(status)
    shown = code if abs(code) < 10**12 else "out of range"
    return Refused(status, printable(f"HTTP {status}, code {shown}: {answer.get('message')!s:.150}"))


def _excerpt(body: bytes | None) -> str:
    if not body:
        return ""
    text = printable(body[:400].decode("utf-8", "replace"))
    return f": {text[:120]}"


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
