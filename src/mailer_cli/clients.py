"""Clients: the people who may be written to, one at a time (see `client_import` for many)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from mailer_cli import database, events, phones, windows
from mailer_cli.database import Connection
from mailer_cli.errors import ConflictError, InvalidValueError, NotFoundError
from mailer_cli.tables import Client

TAG_LIMIT = 200  # characters


@dataclass(frozen=True, slots=True)
class Filter:
    """Which clients are meant: any of the values within one field, all of the fields together."""

    operator_codes: Sequence[str] = ()
    tags: Sequence[str] = ()
    timezones: Sequence[str] = ()
    muted: bool | None = False  # None: muted or not

    def values(self) -> dict[str, Any]:
        """The filter as a statement's parameters."""
        return {
            "operator_codes": list(self.operator_codes),
            "tags": list(self.tags),
            "timezones": list(self.timezones),
            "muted": self.muted,
        }


def find(session: Session, named: str) -> Client:
    """Return the client with this phone or id, locked until the transaction ends."""
    text = named.strip()
    if text.isascii() and text.isdigit() and len(text) < 11:
        found = session.exec(select(Client).where(Client.id == int(text)).with_for_update()).first()
    else:
        found = _by_phone(session, phones.normalise(text))
    if found is None:
        raise NotFoundError(f"no client {named!r}; see `mailer client list`")
    return found


def add(
    session: Session,
    connection: Connection,
    actor: str,
    *,
    phone: str,
    timezone: str,
    tag: str | None = None,
    operator_code: str | None = None,
) -> tuple[Client, bool]:
    """Add a client; return it, and whether it was removed once and is back under its old id.

    `phone` is normalised and `timezone` canonical. Raises ConflictError if the phone is taken.
    """
    known = _by_phone(session, phone)
    if known is not None and known.removed_at is None:
        raise _taken(known)
    client = known or Client(phone=phone, operator_code="", timezone="")
    client.operator_code = operator_code or phones.operator_code(phone)
    client.timezone, client.tag, client.removed_at = timezone, checked_tag(tag), None
    session.add(client)
    try:
        session.flush()
    except IntegrityError as error:
        if "client_phone_key" not in str(error.orig):
            raise
        raise ConflictError(f"phone: {phone} was added by somebody else just now") from None
    session.refresh(client)
    action = "client restored" if known else "client added"
    events.record(connection, actor, action, client_id=client.id, new=facts(client))
    if known:
        windows.reconsider(connection, [timezone])
    return client, known is not None


def update(
    session: Session, connection: Connection, actor: str, client: Client, changes: dict[str, Any]
) -> bool:
    """Change some of phone, timezone, tag, operator_code; False if they were so already.

    Takes effect for every message that is not claimed yet.
    """
    old = facts(client)
    if "tag" in changes:
        changes["tag"] = checked_tag(changes["tag"])
    for name, value in changes.items():
        setattr(client, name, value)
    new = facts(client)
    if new == old:
        return False
    try:
        session.flush()
    except IntegrityError as error:
        if "client_phone_key" not in str(error.orig):
            raise
        raise ConflictError(
            f"phone: {new['phone']} belongs to another client; see `mailer client show`"
        ) from None
    changed = {name: value for name, value in new.items() if old[name] != value}
    events.record(
        connection,
        actor,
        "client updated",
        client_id=client.id,
        old={name: old[name] for name in changed},
        new=changed,
    )
    windows.reconsider(connection, [client.timezone])
    return True


def mute(session: Session, connection: Connection, actor: str, client: Client, reason: str | None) -> bool:
    """Send this client nothing until unmuted; False if muted already."""
    if client.muted_at is not None:
        return False
    client.muted_at, client.mute_reason = datetime.now(UTC), reason
    session.flush()
    _set_to_now(connection, client, "client_mute")
    events.record(connection, actor, "client muted", client_id=client.id, new={"reason": reason})
    return True


def unmute(session: Session, connection: Connection, actor: str, client: Client) -> bool:
    """Let messages go to this client again; False if not muted."""
    if client.muted_at is None:
        return False
    old = {"reason": client.mute_reason}
    client.muted_at, client.mute_reason = None, None
    session.flush()
    events.record(connection, actor, "client unmuted", client_id=client.id, old=old)
    windows.reconsider(connection, [client.timezone])
    return True


def remove(session: Session, connection: Connection, actor: str, client: Client) -> bool:
    """Take a client out of every audience; what was sent stays on record. False if removed already."""
    if client.removed_at is not None:
        return False
    client.removed_at = datetime.now(UTC)
    session.flush()
    _set_to_now(connection, client, "client_remove")
    events.record(connection, actor, "client removed", client_id=client.id, old=facts(client))
    return True


def count(connection: Connection, wanted: Filter) -> int:
    """Return how many clients match; removed ones never do."""
    number: int = database.fetch_value(connection, "client_count", **wanted.values())
    return number


def listed(connection: Connection, wanted: Filter, limit: int | None) -> Iterator[dict[str, Any]]:
    """Yield matching clients in the order of their ids, read as they are asked for.

    The connection must be in a transaction, which holds the cursor.
    """
    from psycopg.rows import dict_row

    with connection.cursor("clients", row_factory=dict_row) as cursor:
        cursor.itersize = 5_000
        yield from cursor.execute(database.statement("client_list"), {**wanted.values(), "limit": limit})


def checked_tag(tag: str | None) -> str | None:
    """Return a tag without outer white space, None for an empty one; refuse what cannot be stored."""
    if tag is None or not tag.strip():
        return None
    tag = tag.strip()
    if "\x00" in tag:
        raise InvalidValueError("tag", "holds a NUL character; leave it out")
    if len(tag) > TAG_LIMIT:
        raise InvalidValueError("tag", f"has {len(tag)} characters; {TAG_LIMIT} are the most")
    return tag


def facts(client: Client) -> dict[str, Any]:
    """What an operator may say of a client, for the record."""
    return {
        "phone": client.phone,
        "operator_code": client.operator_code,
        "tag": client.tag,
        "timezone": client.timezone,
    }


def _by_phone(session: Session, phone: str) -> Client | None:
    return session.exec(select(Client).where(col(Client.phone) == phone).with_for_update()).first()


def _taken(known: Client) -> ConflictError:
    return ConflictError(
        f"phone: {known.phone} belongs to client {known.id} already;"
        f" `mailer client update {known.id}` changes it"
    )


def _set_to_now(connection: Connection, client: Client, name: str) -> None:
    # The database's clock, for it is compared with the instants at which audiences were frozen.
    database.execute(connection, name, client_id=client.id)
