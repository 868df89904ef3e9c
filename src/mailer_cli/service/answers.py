"""What an answer of the service means: pure, for any status, headers and bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from mailer_cli.service.outcomes import Accepted, Answer, InDoubt, Later, Refused, TokenRejected
from mailer_cli.service.texts import Secrets, printable

RETRY_AFTER_LIMIT = 86_400.0  # seconds

_TOKEN_REJECTED = frozenset({401, 403})
_NOT_NOW = frozenset({408, 425, 429, 500, 503})
_WHOLE_SERVICE = frozenset({429, 503})
_EXCERPT = 120  # characters of an answer that are kept
_NOTHING = Secrets()


def judge(status: int, headers: Mapping[str, str], body: bytes | None, secrets: Secrets = _NOTHING) -> Answer:
    """Say what an answer means; `body` is None where its end was not seen.

    `headers` is asked for lower-case names. No error text holds a secret.
    """
    if 200 <= status <= 299:
        return _judge_success(status, body, secrets)
    if 300 <= status <= 399:
        return Refused(status, f"HTTP {status}: a redirect, and the token goes nowhere else")
    error = f"HTTP {status}{_excerpt(body, secrets)}"
    if status in _TOKEN_REJECTED:
        return TokenRejected(status, error)
    if status in _NOT_NOW:
        return Later(status, error, retry_after(headers), status in _WHOLE_SERVICE)
    if 400 <= status <= 499:
        return Refused(status, error)
    # A gateway answers 502 or 504 when it has lost sight of the request; what the others mean, nobody knows.
    return InDoubt(status, error)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds the service asks us to wait: given as such, or as a date; None if it does not.

    A date is compared with the answer's own Date, for our clock may be wrong; what is past means now,
    and nobody makes us wait longer than a day.
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+", text):
        return min(float(text), RETRY_AFTER_LIMIT)
    until = _http_date(text)
    if until is None:
        return None
    now = _http_date(headers.get("date", "")) or datetime.now(UTC)
    return min(max((until - now).total_seconds(), 0.0), RETRY_AFTER_LIMIT)


def _judge_success(status: int, body: bytes | None, secrets: Secrets) -> Answer:
    if not body:
        seen = "the end of the answer was not seen" if body is None else "the answer is empty"
        return InDoubt(status, f"HTTP {status}, but {seen}")
    try:
        answer = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return InDoubt(status, f"HTTP {status}, but the answer is not JSON{_excerpt(body, secrets)}")
    code = answer.get("code") if isinstance(answer, dict) else None
    if type(code) is not int:  # false is an int, too
        return InDoubt(status, f"HTTP {status}, but the answer has no integer code{_excerpt(body, secrets)}")
    if code == 0:
        return Accepted(status)
    return Refused(status, f"HTTP {status}, code {_short(code)}{_excerpt(body, secrets)}")


def _short(code: int) -> str:
    return str(code) if abs(code) < 10**12 else "out of range"


def _http_date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _excerpt(body: bytes | None, secrets: Secrets) -> str:
    """Return the beginning of an answer, to follow an error text."""
    if not body:
        return ""
    # Masked before it is cut: half a token would not be recognised.
    return f": {printable(secrets.mask(body.decode('utf-8', 'backslashreplace')), _EXCERPT)}"
