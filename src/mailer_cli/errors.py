"""What may go wrong for an operator; each kind owns the exit code that scripts rely on."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import IntEnum


class ExitCode(IntEnum):
    """What `mailer` answers to the shell."""

    DONE = 0  # also: nothing due, sending held
    REFUSED = 1  # the operator can act on the reason
    USAGE = 2  # the command line itself
    BUG = 3  # ours to mend
    TOKEN_REJECTED = 4  # the message service does not accept the token
    TRY_AGAIN = 75  # EX_TEMPFAIL: database or service out of reach
    INTERRUPTED = 130
    TERMINATED = 143


class MailerError(Exception):
    """An expected refusal; its text says what is wrong and what to do next, on one or two lines."""

    exit_code: ExitCode = ExitCode.REFUSED


class NotFoundError(MailerError):
    """The thing named does not exist."""


class ConflictError(MailerError):
    """The thing exists already, or somebody else changed it first."""


class InvalidStateError(MailerError):
    """The thing is in a state that does not allow this."""


class PurgedError(InvalidStateError):
    """The messages of a mailing are gone, so nothing could tell any more who has got it."""

    def __init__(self, mailing_id: int, purged_at: datetime) -> None:
        day = purged_at.astimezone(UTC).strftime("%Y-%m-%d")
        super().__init__(
            f"mailing {mailing_id}: its messages were purged on {day};"
            " create a new mailing with `mailer mailing create`"
        )


class InvalidValueError(MailerError):
    """A value cannot be used: the field, the value, and the way out are in the text."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class ConfigurationError(MailerError):
    """A setting is missing or cannot be used."""


class SchemaError(MailerError):
    """The database has another schema than this release needs."""


TOKEN_ADVICE = "set a valid JWT_TOKEN, JWT_TOKEN_FILE or JWT_TOKEN_COMMAND"  # noqa: S105 - advice


class TokenRejectedError(MailerError):
    """The message service answered 401 or 403."""

    exit_code = ExitCode.TOKEN_REJECTED


class UnavailableError(MailerError):
    """The database or the message service is out of reach; cron will try again."""

    exit_code = ExitCode.TRY_AGAIN


class StoppedError(MailerError):
    """A signal ended the work early."""

    def __init__(self, code: ExitCode) -> None:
        super().__init__("stopped by a signal; what was in hand is recorded or handed back")
        self.exit_code = code
