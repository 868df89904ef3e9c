"""What reports and the history can be asked for: words that the command line needs, and no more."""

from __future__ import annotations

from enum import StrEnum


class Breakdown(StrEnum):
    """What the messages of a mailing can be told apart by."""

    ZONE = "zone"  # where the client's clock is
    OPERATOR = "operator"  # the client's operator code
    TAG = "tag"  # the client's tag
    HOUR = "hour"  # when it was sent, in UTC
    ERROR = "error"  # what went wrong


class Kind(StrEnum):
    """What an entry tells of."""

    RUN = "run"  # an execution of `mailer dispatch`, when it ended, or started if it has not ended
    ATTEMPT = "attempt"  # a request that was not accepted
    SENT = "sent"  # one that was, where one client or message is asked about
    CHANGE = "change"  # something an operator did
