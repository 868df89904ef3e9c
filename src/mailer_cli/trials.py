"""A mailing tried out: its text to one phone, now. Marked by its id and in the history, counted nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mailer_cli import database, events, phones
from mailer_cli.database import Connection
from mailer_cli.dispatch import gate
from mailer_cli.errors import InvalidStateError, UnavailableError
from mailer_cli.ids import trial_id

if TYPE_CHECKING:
    from mailer_cli.service import MessageService, Outcome


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of it."""

    mailing: int
    message_id: int
    phone: str
    outcome: Outcome


def send(
    connection: Connection,
    connect: Callable[[], MessageService],
    actor: str,
    mailing: int,
    text: str,
    phone: str,
) -> Trial:
    """Post a mailing's text to one phone, whatever the mailing's state, windows and audience.

    Noted before it is sent, so that nothing leaves without a trace. Raises InvalidStateError while sending
    is held, UnavailableError while the service asked everybody to wait.
    """
    _require_open(gate.read(connection))
    service = connect()  # what is wrong with the settings is said before anything is noted
    to = {"to": phones.mask(phone)}
    with database.transaction(connection):
        number = events.record(connection, actor, "mailing test begun", mailing_id=mailing, new=to)
    message_id = trial_id(mailing, number)
    outcome = asyncio.run(_post(service, message_id, phone, text))
    told = {**to, "message": message_id, **_facts(outcome)}
    with database.transaction(connection):
        events.record(connection, actor, "mailing test ended", mailing_id=mailing, new=told)
    return Trial(mailing, message_id, phone, outcome)


def _require_open(now: gate.Gate) -> None:
    if now.held:
        raise InvalidStateError(f"sending is held: {now.hold_reason}; `mailer release` starts it again")
    if now.wait > 0 and not now.closed:
        raise UnavailableError(f"the service takes nothing for {now.wait:.0f} s more; see `mailer report`")


async def _post(service: MessageService, message_id: int, phone: str, text: str) -> Outcome:
    async with service:
        return await service.send(message_id, phone, text)


def _facts(outcome: Outcome) -> dict[str, Any]:
    kept = ("http_status", "error")
    values = {name: getattr(outcome, name, None) for name in kept}
    return {"outcome": type(outcome).__name__, **{name: value for name, value in values.items() if value}}
