"""The words of the domain: what a message, a mailing and a window can be, each with one meaning."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What has become of one message. A client of the audience without a message is *waiting*."""

    SENDING = "sending"  # claimed; the request may be under way
    RETRYING = "retrying"  # not now: the service said so, could not be reached, or a dispatcher stopped
    SENT = "sent"  # accepted by the service; whether it was delivered nobody can tell us
    FAILED = "failed"  # refused for good, or attempts used up
    UNKNOWN = "unknown"  # in doubt: the request may have reached the service
    EXPIRED = "expired"  # its window closed before the service accepted it
    CANCELLED = "cancelled"  # its mailing was cancelled, or its client muted or removed, first


FINAL = frozenset({Status.SENT, Status.FAILED, Status.UNKNOWN, Status.EXPIRED, Status.CANCELLED})


class MailingState(StrEnum):
    """What the operator wants of a mailing, and whether it is over."""

    DRAFT = "draft"  # not to be sent yet
    ACTIVE = "active"  # sent as its windows open
    PAUSED = "paused"  # nothing is started until it is resumed; windows go on closing
    CANCELLED = "cancelled"  # what was not started will not be sent
    FINISHED = "finished"  # the last window on Earth has closed


class WindowState(StrEnum):
    """How far the audience of one mailing in one zone (and shard) has been worked through."""

    PLANNED = "planned"  # not open yet: the audience is still growing
    OPEN = "open"  # audience frozen, the cursor moves over it
    SCANNED = "scanned"  # every client of the audience has a message
    CLOSED = "closed"  # over, and every client of the audience has a message
