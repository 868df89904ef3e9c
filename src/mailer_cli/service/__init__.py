"""The message service: what a message comes to is a value, never an exception. The only user of httpx."""

from mailer_cli.service.client import MessageService
from mailer_cli.service.outcomes import Accepted, InDoubt, Later, Outcome, Refused, TokenRejected

__all__ = ["Accepted", "InDoubt", "Later", "MessageService", "Outcome", "Refused", "TokenRejected"]
