"""Clients: the people who may be written to, one at a time (see `client_import` for many)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from mailer_cli import database, events, phones, windows
from mailer_cli.database import Connection
from mailer_cli.errors import ConflictError, InvalidStateError, InvalidValueError, NotFoundError
from mailer_cli.tables import Client

TAG_LIMIT = 200  # characters
REASON_LIMIT = 1_000
_ID_DIGITS = 10  # the longest id has ten digits, the shortest phone eleven


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


def find(session: Session, named: str, *, lock: bool = True) -> Client:
    """Return the client with this phone or id, removed or not, locked until the transaction ends."""
    text = named.strip()
    if text.isascii() and text.isdigit() and len(text) <= _ID_DIGITS:
        query = select(Client).where(Client.id == int(text))
        found = session.exec(query.with_for_update(key_share=True) if lock else query).first()
    else:
        found = _by_phone(session, phones.normalise(text), lock=lock)
    if found is None:
        hint = "; a phone has 11 digits, fewer are an id" if len(text) == _ID_DIGITS else ""
        raise NotFoundError(f"no client {named!r}{hint}; see `mailer client list`")
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

    `phone` is normalised and `timezone` canonical. One who was muted comes back muted. Raises
    ConflictError if the phone is taken.
    """
    values = {
        "operator_code": operator_code or phones.operator_code(phone),
        "timezone": timezone,
        "tag": checked_tag(tag),
        "removed_at": None,
    }
    known = _by_phone(session, phone, lock=True)
    if known is not None and known.removed_at is None:
        raise _taken(known, f"client {known.id} already")
    old = facts(known) if known else None
    client = known or Client(phone=phone, operator_code="", timezone="")
    _store(session, client, values)
    session.refresh(client)
    action = "client restored" if known else "client added"
    events.record(connection, actor, action, client_id=client.id, old=old, new=facts(client))
    if known:
        windows.reconsider(connection, [timezone])
    return client, known is not None


def update(
    session: Session, connection: Connection, actor: str, client: Client, changes: dict[str, Any]
) -> bool:
    """Change some of phone, timezone, tag, operator_code; False if they were so already.

    Takes effect for every message that is not claimed yet.
    """
    _require_person(client)
    if client.removed_at is not None:
        again = f"`mailer client add {client.phone}` brings them back"
        raise InvalidStateError(f"client {client.id} was removed; {again}")
    values = {name: checked_tag(value) if name == "tag" else value for name, value in changes.items()}
    old = facts(client)
    new = {name: value for name, value in values.items() if old[name] != value}
    if not new:
        return False
    _store(session, client, new)
    before = {name: old[name] for name in new}
    events.record(connection, actor, "client updated", client_id=client.id, old=before, new=new)
    windows.reconsider(connection, [client.timezone])
    return True


def mute(session: Session, connection: Connection, actor: str, client: Client, reason: str | None) -> bool:
    """Send this client nothing until unmuted; False if muted already."""
    _require_person(client)
    if client.muted_at is not None:
        return False
    reason = _checked_text("reason", reason, REASON_LIMIT)
    database.execute(connection, "client_mute", client_id=client.id, reason=reason)
    session.refresh(client)
    events.record(connection, actor, "client muted", client_id=client.id, new={"reason": reason})
    return True


def unmute(session: Session, connection: Connection, actor: str, client: Client) -> bool:
    """Let messages go to this client again; False if not muted."""
    _require_person(client)
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
    database.execute(connection, "client_remove", client_id=client.id)
    session.refresh(client)
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
    return _checked_text("tag", tag, TAG_LIMIT)


def facts(client: Client) -> dict[str, Any]:
    """What an operator may say of a client, for the record."""
    return {
        "phone": client.phone,
        "operator_code": client.operator_code,
        "tag": client.tag,
        "timezone": client.timezone,
    }


def _require_person(client: Client) -> None:
    if phones.is_erased(client.phone):
        raise InvalidStateError(
            f"client {client.id} was erased, and there is no way back;"
            " `mailer client add PHONE` makes a new client"
        )


def _checked_text(field: str, text: str | None, limit: int) -> str | None:
    text = text.strip() if text else None
    if not text:
        return None
    if "\x00" in text:
        raise InvalidValueError(field, "it holds a NUL character; leave it out")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidValueError(field, "it holds bytes that are no text in the encoding in use")
    if len(text) > limit:
        raise InvalidValueError(field, f"it has {len(text)} characters; {limit} are the most")
    return text


def _by_phone(session: Session, phone: str, *, lock: bool) -> Client | None:
    query = select(Client).where(col(Client.phone) == phone)
    return session.exec(query.with_for_update(key_share=True) if lock else query).first()


def _store(session: Session, client: Client, values: dict[str, Any]) -> None:
    """Write the row now, behind a savepoint, so that whoever has the phone can still be named."""
    phone, adding = values.get("phone", client.phone), client.id is None
    try:
        with session.begin_nested():
            for name, value in values.items():
                setattr(client, name, value)
            session.add(client)
    except IntegrityError as error:
        owner = _by_phone(session, phone, lock=False) if _is_about_the_phone(error) else None
        if owner is None:
            raise
        whose = f"client {owner.id} already" if adding else f"another client, {owner.id}"
        raise _taken(owner, whose) from None


def _is_about_the_phone(error: IntegrityError) -> bool:
    diagnosis = getattr(error.orig, "diag", None)
    return getattr(diagnosis, "constraint_name", None) == "client_phone_key"


def _taken(owner: Client, whose: str) -> ConflictError:
    if owner.removed_at is None:
        way_out = f"`mailer client update {owner.id}` changes it"
    else:
        way_out = f"who was removed; `mailer client add {owner.phone}` brings them back"
    return ConflictError(f"phone {owner.phone} belongs to {whose}; {way_out}")
