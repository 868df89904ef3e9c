"""Messages, listed and shown one by one."""

from __future__ import annotations

import heapq
import re
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import attrgetter
from typing import Any

from mailer_cli import database, purged
from mailer_cli.database import Connection
from mailer_cli.errors import NotFoundError
from mailer_cli.ids import MAX_CLIENT_ID, SHARDS, mailing_and_client, shard_of
from mailer_cli.statuses import Status

_AT_ONCE = 1000  # rows per round trip and shard: what listing millions may hold in memory


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it is listed."""

    id: int
    mailing_id: int
    client_id: int
    phone: str  # as sent
    status: str
    attempts: int
    created_at: datetime
    sent_at: datetime | None
    http_status: int | None
    error: str | None
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class Detail:
    """One message with the mailing, client and window it belongs to."""

    id: int
    mailing_id: int
    client_id: int
    phone: str
    status: str
    attempts: int
    created_at: datetime
    sent_at: datetime | None
    http_status: int | None
    error: str | None
    retry_at: datetime | None
    run_id: int | None  # whose request was the last
    host: str | None  # where that run was
    text: str | None
    mailing_state: str | None
    client_phone: str | None
    operator_code: str | None
    tag: str | None
    timezone: str | None
    muted_at: datetime | None
    removed_at: datetime | None
    opens_at: datetime | None
    closes_at: datetime | None
    sendable_from: datetime | None
    sendable_until: datetime | None
    window_state: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that was not accepted."""

    attempted_at: datetime
    attempt: int
    status: str
    http_status: int | None
    error: str | None
    run_id: int


@dataclass(frozen=True, slots=True)
class Place:
    """The shards in which one mailing has messages of the statuses asked for, and how many."""

    mailing_id: int
    shards: list[int]
    messages: int


def find_client(connection: Connection, given: str) -> int:
    """Return the id of a client given by id or phone; raise NotFoundError, or InvalidValueError."""
    from mailer_cli import phones

    is_id = re.fullmatch("[0-9]{1,10}", given) is not None  # a phone has eleven digits
    client_id = int(given) if is_id else None
    phone = None if is_id else phones.normalise(given)
    found: int | None = database.fetch_value(connection, "message_list_who", client_id=client_id, phone=phone)
    if found is None:
        raise NotFoundError(f"no client {phone or given}; see `mailer client list`")
    return found


def places(
    connection: Connection,
    *,
    mailing_id: int | None = None,
    client_id: int | None = None,
    statuses: Sequence[Status] = (),
) -> list[Place]:
    """Return where such messages may be, newest mailing first; raise NotFoundError for an unknown mailing."""
    if mailing_id is not None:
        _require_mailing(connection, mailing_id)
    return database.fetch(
        connection,
        "message_list_places",
        Place,
        mailing_id=mailing_id,
        statuses=_wanted(statuses),
        shards=list(range(SHARDS)) if client_id is None else [shard_of(client_id)],
    )


def listed(
    connection: Connection,
    where: Iterable[Place],
    statuses: Sequence[Status] = (),
    *,
    limit: int | None = None,
) -> Generator[Message]:
    """Yield the messages in these places, mailing by mailing, by client id, as they are read.

    Must be consumed inside the transaction that found the places; memory stays the same at any number.
    """
    at_once = min(limit or _AT_ONCE, _AT_ONCE)
    with closing(_merged(connection, where, statuses, at_once)) as found:
        yield from islice(found, limit)


def listed_for_client(
    connection: Connection, where: Iterable[Place], client_id: int, statuses: Sequence[Status] = ()
) -> list[Message]:
    """Return one client's messages, at most one per mailing, newest mailing first."""
    return database.fetch(
        connection,
        "message_list_client",
        Message,
        shard=shard_of(client_id),
        client_id=client_id,
        mailing_ids=[place.mailing_id for place in where],
        statuses=_wanted(statuses),
    )


def shown(connection: Connection, message_id: int) -> tuple[Detail, list[Failure]]:
    """Return all about one message, and the requests for it that failed; raise NotFoundError."""
    key = _key(message_id)
    found = database.fetch_one(connection, "message_show", Detail, **key)
    if found is None:
        raise _unknown(connection, message_id, **key)
    return found, database.fetch(connection, "message_show_failures", Failure, **key)


def _merged(
    connection: Connection, where: Iterable[Place], statuses: Sequence[Status], at_once: int
) -> Generator[Message]:
    for place in where:
        with ExitStack() as streams:
            shards = [
                streams.enter_context(
                    closing(_stream(connection, place.mailing_id, shard, statuses, at_once))
                )
                for shard in place.shards
            ]
            yield from heapq.merge(*shards, key=attrgetter("client_id"))


def _stream(
    connection: Connection, mailing_id: int, shard: int, statuses: Sequence[Status], at_once: int
) -> Generator[Message]:
    from psycopg.rows import class_row

    values: dict[str, Any] = {"mailing_id": mailing_id, "shard": shard, "statuses": _wanted(statuses)}
    name = f"messages_{mailing_id}_{shard}"
    with connection.cursor(name, row_factory=class_row(Message)) as cursor:
        cursor.itersize = at_once
        cursor.execute(database.statement("message_list"), values)
        yield from cursor


def _key(message_id: int) -> dict[str, int]:
    mailing_id, client_id = mailing_and_client(message_id)
    return {"shard": shard_of(client_id), "mailing_id": mailing_id, "client_id": client_id}


def _wanted(statuses: Sequence[Status]) -> list[str]:
    return [status.value for status in statuses or Status]


def _require_mailing(connection: Connection, mailing_id: int) -> None:
    if database.fetch_value(connection, "message_list_mailing", mailing_id=mailing_id) is None:
        raise NotFoundError(f"no mailing {mailing_id}; see `mailer mailing list`")


def _unknown(
    connection: Connection, message_id: int, *, mailing_id: int, client_id: int, **_: int
) -> NotFoundError:
    if client_id > MAX_CLIENT_ID:
        log = f"`mailer log --mailing {mailing_id}`"
        return NotFoundError(f"message {message_id} is no client's: its mailing was tried out; see {log}")
    where = f"mailing {mailing_id}, client {client_id}"
    if since := purged.since(connection, mailing_id):
        return NotFoundError(f"no message {message_id} any more ({where}); {purged.told(mailing_id, since)}")
    return NotFoundError(f"no message {message_id} ({where}); see `mailer message list`")
