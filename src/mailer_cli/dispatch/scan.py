"""The cursor over a window's audience: who comes next, and whether the end is reached."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from mailer_cli import database
from mailer_cli.database import Connection
from mailer_cli.statuses import Status, WindowState

BUDGET = 20_000  # clients looked at per step, so that a selective filter cannot make it long


@dataclass(frozen=True, slots=True)
class Window:
    """A locked window, with what of its mailing decides who is in its audience."""

    shard: int
    mailing_id: int
    version: int
    text: str
    operator_codes: list[str]
    tags: list[str]
    zone: str
    closes_at: datetime
    sendable_until: datetime
    due_at: datetime  # since when its clients could have been sent to
    frozen_at: datetime
    last_client_id: int | None
    position: int
    catching_up: bool
    fate: str | None = None  # what becomes of its unclaimed audience, where nobody is to send to it
    error: str | None = None  # and why


@dataclass(frozen=True, slots=True)
class Candidate:
    """A client of the audience who has no message yet, as far as the cursor can tell."""

    client_id: int
    phone: str
    gone: bool  # muted or removed since the audience was frozen


@dataclass(frozen=True, slots=True)
class Taken:
    """Clients whose messages are ours: we made their rows."""

    window: Window
    clients: list[Candidate]  # to be sent to
    made: dict[str, int]  # messages made, by status
    looked_at_end: bool


def take(connection: Connection, window: Window, wanted: int) -> Taken:
    """Make messages for the next clients of a locked window, and move its cursor; one step.

    Clients who were muted or removed meanwhile get a cancelled message; in a window that is over,
    everybody gets the message of its fate. Where that is doubt, the window may still be open to newcomers.
    """
    found, position, at_end = _next(connection, window, wanted)
    made = _insert(connection, window, found)
    state, catching_up = WindowState.OPEN, window.catching_up
    if at_end:
        position, catching_up = 0, True
        if window.catching_up:
            over = window.fate not in {None, Status.UNKNOWN}
            state = WindowState.CLOSED if over else WindowState.SCANNED
    database.execute(
        connection,
        "window_progress",
        shard=window.shard,
        mailing_id=window.mailing_id,
        zone=window.zone,
        position=position,
        catching_up=catching_up,
        state=state.value,
        claimed=len(made),
    )
    counts: dict[str, int] = {}
    for status in made.values():
        counts[status] = counts.get(status, 0) + 1
    ours = [c for c in found if made.get(c.client_id) == Status.SENDING]
    after = replace(window, position=position, catching_up=catching_up)
    return Taken(after, ours, counts, looked_at_end=state is not WindowState.OPEN)


def _next(connection: Connection, window: Window, wanted: int) -> tuple[list[Candidate], int, bool]:
    if window.last_client_id is None:
        return [], window.position, True
    where = {
        "shard": window.shard,
        "zone": window.zone,
        "position": window.position,
        "last_client_id": window.last_client_id,
        "budget": BUDGET,
    }
    found = database.fetch(
        connection,
        "candidates",
        Candidate,
        **where,
        mailing_id=window.mailing_id,
        frozen_at=window.frozen_at,
        operator_codes=window.operator_codes,
        tags=window.tags,
        catching_up=window.catching_up,
        wanted=wanted,
    )
    if len(found) == wanted:
        return found, found[-1].client_id, False
    row = database.execute(connection, "candidates_end", **where).fetchone()
    position, looked_at = row or (None, 0)
    return found, position or window.position, looked_at < BUDGET


def _insert(connection: Connection, window: Window, found: list[Candidate]) -> dict[int, str]:
    if not found:
        return {}
    statuses = [window.fate or (Status.CANCELLED if c.gone else Status.SENDING).value for c in found]
    rows = database.execute(
        connection,
        "message_insert",
        shard=window.shard,
        mailing_id=window.mailing_id,
        client_ids=[c.client_id for c in found],
        phones=[c.phone for c in found],
        statuses=statuses,
        error=window.error,
    ).fetchall()
    return dict(rows)
