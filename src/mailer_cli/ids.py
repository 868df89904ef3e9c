"""Message ids: derived from mailing and client, so that every attempt carries the same number."""

from __future__ import annotations

SHARDS = 16
MAX_CLIENT_ID = 2**32 - 1
MAX_MAILING_ID = 2**31 - 1  # so that a message id is a positive int64


def message_id(mailing_id: int, client_id: int) -> int:
    """Return the number by which the service knows this message: mailing id × 2^32 + client id."""
    return mailing_id << 32 | client_id


def mailing_and_client(message: int) -> tuple[int, int]:
    """Return the mailing id and client id that a message id is made of."""
    return message >> 32, message & MAX_CLIENT_ID


def shard_of(client_id: int) -> int:
    """Return the shard that a client and all messages to it belong to."""
    return client_id % SHARDS
