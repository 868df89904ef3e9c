"""What would be sent when, at a given rate: arithmetic only, over windows and how many wait in each.

The order is a dispatcher's: the soonest end first, then priority. Retries and failures are left out, for
nobody can know them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_HOUR = timedelta(hours=1)
_NOBODY = 1e-6  # of a client: what is left by rounding


@dataclass(frozen=True, slots=True)
class Part:
    """The clients of one mailing in one zone; stretches are when they may be sent to, apart, in order."""

    mailing: int
    zone: str
    waiting: int
    priority: int
    stretches: Sequence[tuple[datetime, datetime]]

    @property
    def closes_at(self) -> datetime:
        """When the last of it must have been sent."""
        return self.stretches[-1][1]


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast it goes: messages a second, and a day of UTC, of which so many are used up today."""

    per_second: float
    per_day: int | None = None
    used_today: int = 0


@dataclass(frozen=True, slots=True)
class Hour:
    """What would be sent of one mailing in one zone in one hour of UTC."""

    mailing: int
    zone: str
    hour: datetime
    sent: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What would become of one part: it is sent, or expires. `finishes_at` is None if nobody is sent to."""

    part: Part
    sent: int
    expires: int
    finishes_at: datetime | None


@dataclass(frozen=True, slots=True)
class Simulation:
    """All of it; hours in order."""

    hours: Sequence[Hour]
    outcomes: Sequence[Outcome]


def simulate(parts: Sequence[Part], now: datetime, limits: Limits) -> Simulation:
    """Work out what would be sent from `now` on, if nothing changed and nothing failed."""
    queues = [_Queue(part) for part in parts if part.waiting]
    quota = _Quota(limits, now)
    for moment, until in _moments(queues, now):
        _send(queues, moment, until, limits.per_second, quota)
    hours = sorted(
        (hour for queue in queues for hour in queue.hours()), key=lambda h: (h.hour, h.mailing, h.zone)
    )
    return Simulation(hours, [queue.outcome() for queue in queues])


class _Queue:
    """One part on its way: how many are left, and what was sent in which hour."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.left = float(part.waiting)
        self.finishes_at: datetime | None = None
        self._sent: dict[datetime, float] = {}
        self._next = 0  # the stretch that holds the moment, or comes after it

    def open(self, moment: datetime) -> bool:
        """Tell whether some may be sent to now; the moments asked for only ever go on."""
        stretches = self.part.stretches
        while self._next < len(stretches) and stretches[self._next][1] <= moment:
            self._next += 1
        return self.left > _NOBODY and self._next < len(stretches) and stretches[self._next][0] <= moment

    def take(self, number: float, moment: datetime, until: datetime) -> None:
        hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        self._sent[hour] = self._sent.get(hour, 0.0) + number
        self.left -= number
        self.finishes_at = until

    def hours(self) -> Iterator[Hour]:
        """Whole messages: what is rounded off in one hour comes in the next, so that sums agree."""
        total, told = 0.0, 0
        for hour, number in sorted(self._sent.items()):
            total += number
            if sent := round(total) - told:
                yield Hour(self.part.mailing, self.part.zone, hour, sent)
            told = round(total)

    def outcome(self) -> Outcome:
        sent = round(sum(self._sent.values()))
        return Outcome(self.part, sent, self.part.waiting - sent, self.finishes_at if sent else None)


class _Quota:
    """How many may still be sent on each day."""

    def __init__(self, limits: Limits, now: datetime) -> None:
        self._per_day = limits.per_day
        self._left = {now.astimezone(UTC).date(): max(0.0, float((limits.per_day or 0) - limits.used_today))}

    def left(self, moment: datetime) -> float:
        if self._per_day is None:
            return float("inf")
        return self._left.setdefault(moment.astimezone(UTC).date(), float(self._per_day))

    def use(self, number: float, moment: datetime) -> None:
        if self._per_day is not None:
            self._left[moment.astimezone(UTC).date()] = self.left(moment) - number


def _moments(queues: Sequence[_Queue], now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield the stretches of time within which nothing opens or closes, and no hour or day begins."""
    edges = sorted({edge for queue in queues for pair in queue.part.stretches for edge in pair if edge > now})
    moment = now
    for edge in edges:
        if all(queue.left <= _NOBODY for queue in queues):
            return
        while moment < edge:
            if not any(queue.open(moment) for queue in queues):
                break  # nothing is open before the next edge: years pass at once
            until = min(edge, moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + _HOUR)
            yield moment, until
            moment = until
        moment = edge


def _send(queues: Sequence[_Queue], moment: datetime, until: datetime, rate: float, quota: _Quota) -> None:
    seconds = (until - moment).total_seconds()
    capacity = min(rate * seconds, quota.left(moment))
    spent = 0.0
    for queue in sorted(
        (queue for queue in queues if queue.open(moment)),
        key=lambda queue: (queue.part.closes_at, -queue.part.priority, queue.part.mailing, queue.part.zone),
    ):
        number = min(queue.left, capacity - spent)
        if number <= _NOBODY:
            return
        spent += number
        quota.use(number, moment)
        queue.take(number, moment, moment + timedelta(seconds=min(spent / rate, seconds)))
