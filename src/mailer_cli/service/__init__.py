"""The message service: what a message comes to is a value, never an exception. The only user of httpx."""

from mailer_cli.service.answers import Accepted, InDoubt, Later, Outcome, Refused, TokenRejected
from mailer_cli.service.client import MessageService

__all__ = ["Accepted", "InDoubt", "Later", "MessageService", "Outcome", "Refused", "TokenRejected"]
