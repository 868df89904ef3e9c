"""What an operator decides about a mailing, and whether it can ever be sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from mailer_cli import database, windows
from mailer_cli.database import Connection
from mailer_cli.errors import InvalidValueError
from mailer_cli.tables import Mailing

TEXT_LIMIT = 10_000  # characters
_ALL_AROUND = ("UTC-12:00", "UTC", "UTC+14:00")  # where there are no clients yet, any zone may come


@dataclass(frozen=True, slots=True)
class Plan:
    """What an operator decides about a mailing; hours and weekdays as their canonical text."""

    text: str
    starts_at: datetime
    ends_at: datetime
    zone: str | None = None
    hours: str | None = None
    weekdays: str | None = None
    operator_codes: Sequence[str] = ()
    tags: Sequence[str] = ()
    priority: int = 0

    @property
    def schedule(self) -> windows.Schedule:
        """What of it decides the windows; id 0 stands for a mailing not made yet."""
        return windows.Schedule(0, self.starts_at, self.ends_at, self.zone, self.hours, self.weekdays)

    def checked(self) -> Plan:
        """Return the plan; raise InvalidValueError for what can never be sent."""
        if not self.text.strip():
            raise InvalidValueError("text", "it is empty; write what is to be sent")
        return self.checked_but_for_emptiness()

    def checked_but_for_emptiness(self) -> Plan:
        """The same for a plan that is only looked at, for which the text may still be missing."""
        if "\x00" in self.text:
            raise InvalidValueError("text", "it holds a NUL character; leave it out")
        if any("\ud800" <= character <= "\udfff" for character in self.text):
            raise InvalidValueError("text", "it holds bytes that are no text in the encoding in use")
        if len(self.text) > TEXT_LIMIT:
            raise InvalidValueError("text", f"it has {len(self.text)} characters; {TEXT_LIMIT} are the most")
        if self.starts_at >= self.ends_at:
            raise InvalidValueError("end", "it is not after the start; give a later --end")
        return self


def plan_of(mailing: Mailing) -> Plan:
    """Return what was decided about a mailing."""
    return Plan(
        mailing.text,
        mailing.starts_at,
        mailing.ends_at,
        mailing.zone,
        mailing.hours,
        mailing.weekdays,
        tuple(mailing.operator_codes),
        tuple(mailing.tags),
        mailing.priority,
    )


def facts(plan: Plan) -> dict[str, Any]:
    """Return a plan as what is noted of it, and compared."""
    plain = replace(plan, operator_codes=tuple(plan.operator_codes), tags=tuple(plan.tags))
    return {
        name: value.isoformat(sep=" ") if isinstance(value, datetime) else value
        for name, value in asdict(plain).items()
    }


def require_opens(connection: Connection, plan: Plan) -> None:
    """Raise InvalidValueError if there is no zone in use in which the plan could ever be sent."""
    now = database.fetch_value(connection, "now")
    for zone in windows.known_zones_in_use(connection) or _ALL_AROUND:
        span = windows.span(plan.schedule, zone, now)
        if span.opens_at < span.closes_at:
            return
    field = "between" if plan.hours else "days" if plan.weekdays else "end"
    raise InvalidValueError(field, "never open in any zone between this start and this end; widen them")
