"""The gate to the service: hold, token, breaker, Retry-After and home; one row that every host reads."""

from __future__ import annotations

from dataclasses import dataclass

from mailer_cli import database
from mailer_cli.database import Connection
from mailer_cli.errors import InvalidStateError

BREAK_SHARE = 0.5  # of the answers of the last ten seconds
BREAK_MINIMUM = 20  # answers, before a share means anything
BREAK_SECONDS = 15.0  # before the first probe
PROBE_LEASE = 30.0  # seconds for one message to get through


@dataclass(frozen=True, slots=True)
class Gate:
    """How things stand."""

    held: bool
    hold_reason: str | None
    token_rejected: bool
    broken: bool
    wait: float  # seconds during which nothing may be sent
    home: str | None
    here: str
    timeline: str | None  # on which it sent last
    timeline_now: str | None  # None: a standby
    synchronous: bool  # commits reached a standby before they were confirmed, by the last tick
    heard_lately: bool  # of a dispatcher
    synchronous_now: bool

    @property
    def closed(self) -> bool:
        """Whether only a probe may pass."""
        return self.token_rejected or self.broken

    @property
    def promoted(self) -> bool:
        """Whether another life of this database sent last: this was a standby, or a backup."""
        return None not in {self.timeline, self.timeline_now} and self.timeline != self.timeline_now


def read(connection: Connection) -> Gate:
    """Return the gate as it is now, by the database's clock."""
    found = database.fetch_one(connection, "service_state", Gate)
    assert found is not None  # noqa: S101 - the first migration makes the row
    return found


def refusal(gate: Gate) -> str | None:
    """Say why this database must not send, None if it may."""
    if gate.home is not None and gate.home != gate.here:
        return (
            "this database is a copy of the one that sent before: sending from it could reach people twice\n"
            "if the other one will never send again, and this copy is up to date: `mailer release --new-home`"
        )
    if gate.promoted and not (gate.synchronous and gate.heard_lately):
        return (
            "this database was restored or promoted, and may not know who was sent to last\n"
            "`mailer recover --since TIME` marks who is in doubt; if nobody is: `mailer release --new-home`"
        )
    return None


def require_home(connection: Connection, gate: Gate) -> None:
    """Let only one database send, in one of its lives: a restored or copied one would send a campaign again.

    A standby that has all that was ever confirmed may go on. Raises InvalidStateError.
    """
    if reason := refusal(gate):
        raise InvalidStateError(reason)
    if gate.home is None or gate.promoted or gate.synchronous != gate.synchronous_now:
        settle(connection, gate)


def settle(connection: Connection, gate: Gate) -> None:
    """Make this database, as it is now, the one that sends."""
    database.execute(
        connection,
        "service_settle",
        home=gate.here,
        timeline=gate.timeline_now,
        synchronous=gate.synchronous_now,
    )


def try_probe(connection: Connection, run_id: int) -> bool:
    """Become the one run that may send one message through a closed gate; False if another is."""
    return database.execute(connection, "service_probe", run_id=run_id, lease=PROBE_LEASE).rowcount == 1


def open_again(connection: Connection, run_id: int) -> None:
    """The probe got through: everybody may go on."""
    database.execute(connection, "service_open", run_id=run_id)


def reject_token(connection: Connection, run_id: int) -> None:
    """Stop every dispatcher: the service does not accept the token."""
    database.execute(connection, "token_rejected", run_id=run_id)


def shut(connection: Connection, run_id: int, reason: str) -> None:
    """Trip the breaker, or after a failed probe keep it tripped for longer."""
    database.execute(connection, "service_break", run_id=run_id, reason=reason, wait=BREAK_SECONDS)


def block(connection: Connection, seconds: float, reason: str) -> None:
    """Let nobody send for as long as the service asked."""
    database.execute(connection, "service_block", seconds=seconds, reason=reason)


def tally(connection: Connection, run_id: int, total: int, errors: int, reason: str) -> None:
    """Count answers and failures of all dispatchers; trip the breaker when too large a share failed."""
    row = database.execute(connection, "service_tally", total=total, errors=errors).fetchone()
    if row and row[0] >= BREAK_MINIMUM and row[1] >= BREAK_SHARE * row[0]:
        shut(connection, run_id, reason)


@dataclass(frozen=True, slots=True)
class Places:
    """Places in the queue of all dispatchers: how many, and when the first one's turn comes."""

    number: int
    seconds: float
    day_left: float  # seconds until the day's quota is new


def reserve(connection: Connection, number: int, spacing: float, per_day: int | None) -> Places:
    """Reserve up to `number` places, `spacing` seconds apart; none are left when the day's quota is used up.

    Then everybody waits for the next day, and reports say so.
    """
    found = database.fetch_one(
        connection, "service_reserve", Places, number=number, spacing=spacing, per_day=per_day
    )
    assert found is not None  # noqa: S101 - the first migration makes the row
    if not found.number:
        block(connection, found.day_left, f"the quota of {per_day} messages a day is used up")
    return found
