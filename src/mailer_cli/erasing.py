"""Erase a person: phone, tag and reasons are gone from everywhere, and every sum stays what it was.

Operator code and time zone stay with the nameless client, for reports are broken down by them. What a mailing
says and whom it filters for is the mailing's own, and is left as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mailer_cli import counters, database, events, phones, summaries
from mailer_cli.database import Connection
from mailer_cli.errors import InvalidStateError, NotFoundError
from mailer_cli.ids import shard_of
from mailer_cli.statuses import Status

_PERSONAL = frozenset({"phone", "tag", "reason", "mute_reason"})  # of what is on record of a client


@dataclass(frozen=True, slots=True)
class Erased:
    """What was anonymised with a client."""

    client: int
    messages: int
    cancelled: int  # of them, that were to be tried again
    attempts: int  # whose error quoted the phone
    changes: int  # on record


@dataclass(frozen=True, slots=True)
class _Person:
    phone: str
    tag: str | None
    timezone: str


@dataclass(frozen=True, slots=True)
class _Traces:
    phones: list[str]  # that they have or had
    free_phones: list[str]  # and nobody else has now
    lone_tags: list[str]  # that they have or had, and nobody else has now


@dataclass(frozen=True, slots=True)
class _Message:
    mailing_id: int
    status: str


@dataclass(frozen=True, slots=True)
class _Event:
    id: int
    client_id: int | None
    old: dict[str, Any] | None
    new: dict[str, Any] | None


def erase(connection: Connection, actor: str, client_id: int, *, dry_run: bool = False) -> Erased | None:
    """Anonymise a client, who is removed if they were not; None if that was done before.

    All of it in one transaction. Raises InvalidStateError while a message to them is under way.
    """
    key = {"shard": shard_of(client_id), "client_id": client_id}
    with database.transaction(connection, force_rollback=dry_run):
        person = database.fetch_one(connection, "erase_client_lock", _Person, client_id=client_id)
        if person is None:
            raise NotFoundError(f"no client {client_id}; see `mailer client list`")
        if phones.is_erased(person.phone):
            return None
        summaries.lock(connection)
        # First what takes time; dispatchers are kept off only then.
        traces = database.fetch_one(connection, "erase_traces", _Traces, **key)
        assert traces is not None  # noqa: S101 - an aggregate has a row
        changes = _erase_events(connection, client_id, traces)
        messages = _lock_messages(connection, person, key)
        cancelled = _cancel(connection, key, messages)
        _erase_sums(connection, person, traces, messages)
        done = _erase_rows(connection, key, phones.pattern(traces.phones), messages)
        database.execute(connection, "erase_client", client_id=client_id)
        events.record(connection, actor, "client erased", client_id=client_id)
    return Erased(client_id, len(messages), cancelled, done, changes)


def _lock_messages(connection: Connection, person: _Person, key: Mapping[str, int]) -> list[_Message]:
    """Return all messages to a client, none of which anybody can claim until the transaction ends."""
    database.execute(connection, "erase_windows_lock", shard=key["shard"], zone=person.timezone)
    database.execute(connection, "erase_retries_lock", **key)
    found = database.fetch(connection, "erase_messages_lock", _Message, **key)
    if any(message.status == Status.SENDING for message in found):
        raise InvalidStateError(
            f"a message to client {key['client_id']} is under way; nothing was erased, try again in a minute"
        )
    return found


def _cancel(connection: Connection, key: Mapping[str, int], messages: Sequence[_Message]) -> int:
    """Give up what was to be tried again, as for everybody who is removed."""
    mailings = [message.mailing_id for message in messages if message.status == Status.RETRYING]
    if not mailings:
        return 0
    shard, number = key["shard"], len(mailings)
    ids = {"shard": shard, "mailing_ids": mailings, "client_ids": [key["client_id"]] * number}
    nothing: dict[str, list[Any]] = {"phones": [None] * number, "errors": [None] * number}
    database.execute(connection, "retry_delete", **ids)
    database.execute(
        connection,
        "message_move",
        **ids,
        **nothing,
        run_id=None,
        before=Status.RETRYING.value,
        statuses=[Status.CANCELLED.value] * number,
        tried=[0] * number,
    )
    sums = counters.Moves()
    for mailing in mailings:
        sums.moved(mailing, Status.RETRYING, Status.CANCELLED)
    counters.add(connection, shard, sums.changes)
    return number


def _erase_rows(
    connection: Connection, key: Mapping[str, int], pattern: str, messages: Sequence[_Message]
) -> int:
    """Anonymise messages and attempts; return how many attempts quoted the phone."""
    where = {**key, "pattern": pattern, "mailing_ids": [message.mailing_id for message in messages]}
    database.execute(connection, "erase_messages", **where)
    database.execute(connection, "erase_service", pattern=pattern)
    return database.execute(connection, "erase_attempts", **where).rowcount


def _erase_events(connection: Connection, client_id: int, traces: _Traces) -> int:
    """Anonymise what is on record; return how many entries said something personal."""
    from psycopg.types.json import Jsonb

    everywhere, own = _scrubber(traces.free_phones), _scrubber(traces.phones)
    pattern = phones.pattern(traces.free_phones)
    changed = 0
    for event in database.fetch(
        connection, "erase_events_find", _Event, client_id=client_id, pattern=pattern
    ):
        if event.client_id == client_id:
            old, new = (_scrubbed(side, own, _PERSONAL) for side in (event.old, event.new))
        else:
            old, new = (_scrubbed(side, everywhere) for side in (event.old, event.new))
        if (old, new) != (event.old, event.new):
            sides = [None if side is None else Jsonb(side) for side in (old, new)]
            database.execute(connection, "erase_event", id=event.id, old=sides[0], new=sides[1])
            changed += 1
    return changed


def _erase_sums(
    connection: Connection, person: _Person, traces: _Traces, messages: Sequence[_Message]
) -> None:
    """Let kept breakdowns count this person among those without a tag, and quote no number."""
    scrub = _scrubber(traces.phones)
    summaries.forget(
        connection,
        tag=person.tag,
        lone_tags=traces.lone_tags,
        statuses={message.mailing_id: message.status for message in messages},
        pattern=phones.pattern(traces.phones),
        scrub=lambda parts: _scrubbed(parts, scrub),
    )


def _scrubber(numbers: Collection[str]) -> Callable[[str], str]:
    found = re.compile(phones.pattern(numbers))
    return lambda text: found.sub(phones.ERASED, text)


def _scrubbed(value: Any, scrub: Callable[[str], str], personal: Collection[str] = ()) -> Any:
    """Return a value without the numbers in any text of it, and without what stands under a personal key."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, list):
        return [_scrubbed(each, scrub, personal) for each in value]
    if isinstance(value, dict):
        return {
            key: phones.ERASED if key in personal and each is not None else _scrubbed(each, scrub, personal)
            for key, each in value.items()
        }
    return value
