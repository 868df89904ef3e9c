"""Message ids: derived from mailing and client, so that every attempt carries the same number."""

from __future__ import annotations

SHARDS = 16
TRIALS = 2**16  # the last client ids are nobody's: a message with one of them is a mailing tried out
MAX_CLIENT_ID = 2**32 - 1 - TRIALS
MAX_MAILING_ID = 2**31 - 1  # so that a message id is a positive int64


def message_id(mailing_id: int, client_id: int) -> int:
    """Return the number by which the service knows this message: mailing id × 2^32 + client id."""
    return mailing_id << 32 | client_id


def trial_id(mailing_id: int, number: int) -> int:
    """Return the number for the so-many-th trial; no client's message has it, nor the trials next to it."""
    return message_id(mailing_id, MAX_CLIENT_ID + 1 + number % TRIALS)


def mailing_and_client(message: int) -> tuple[int, int]:
    """Return the mailing id and client id that a message id is made of."""
    return message >> 32, message & (2**32 - 1)


def shard_of(client_id: int) -> int:
    """Return the shard that a client and all messages to it belong to."""
    return client_id % SHARDS
