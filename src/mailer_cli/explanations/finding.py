"""What an explanation comes to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """Why a client has, or has not, got a mailing; scripts rely on the words."""

    # A message that exists: its status.
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    RETRYING = "retrying"
    # What is about the client.
    NOT_IN_FILTER = "not_in_filter"
    REMOVED = "client_removed"
    MUTED = "client_muted"
    REGISTERED_LATE = "registered_late"
    NOT_IN_AUDIENCE = "not_in_audience"
    # What is about the mailing.
    PURGED = "messages_purged"
    MAILING_CANCELLED = "mailing_cancelled"
    MAILING_FINISHED = "mailing_finished"
    MAILING_DRAFT = "mailing_draft"
    MAILING_PAUSED = "mailing_paused"
    # What is about the time where the client is.
    NEVER_OPENS = "never_opens"
    WINDOW_CLOSED = "window_closed"
    NOT_OPEN_YET = "not_open_yet"
    OUTSIDE_HOURS = "outside_hours"
    # What concerns every message.
    DATABASE_COPY = "database_copy"
    HELD = "sending_held"
    TOKEN_REJECTED = "token_rejected"  # noqa: S105 - a word for it, not a token
    BREAKER_OPEN = "breaker_open"
    BLOCKED = "blocked"
    NO_DISPATCH = "no_dispatch"
    # Nothing stops it.
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason, in a word and in a sentence."""

    verdict: Verdict
    sentence: str
