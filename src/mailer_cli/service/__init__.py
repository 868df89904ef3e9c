"""The message service: what a message comes to is a value, never an exception. The only user of httpx."""

from mailer_cli.service.client import MessageService
from mailer_cli.service.outcomes import (
    Accepted,
    Answer,
    InDoubt,
    Later,
    NotSent,
    Outcome,
    Refused,
    TokenRejected,
)

__all__ = [
    "Accepted",
    "Answer",
    "InDoubt",
    "Later",
    "MessageService",
    "NotSent",
    "Outcome",
    "Refused",
    "TokenRejected",
]
