"""Will it be finished in time: what waits, how fast it goes, and what that comes to."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from mailer_cli import database, previews, reports, windows
from mailer_cli.database import Connection
from mailer_cli.mailings import Plan
from mailer_cli.simulation import Limits, Part, Simulation, simulate
from mailer_cli.statuses import MailingState

_ENOUGH = 20  # messages, before a run's rate means anything


@dataclass(frozen=True, slots=True)
class Speed:
    """Messages a second: of the runs under way, and of the last run that sent enough to tell."""

    now: float | None
    before: float | None
    used_today: int  # of the day's quota


@dataclass(frozen=True, slots=True)
class Wanted:
    """How fast an operator lets it go: messages a second and a day at the most, or a second exactly."""

    limit: float | None = None
    per_day: int | None = None
    exactly: float | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast it goes, and how that is known."""

    limits: Limits
    source: str


@dataclass(frozen=True, slots=True)
class Projection:
    """What would become of one mailing; `others` are the messages of other mailings on the way meanwhile."""

    now: datetime
    simulation: Simulation
    others: int


def speed(connection: Connection) -> Speed:
    """Return how fast messages are sent, by the latest runs."""
    found = database.fetch_one(connection, "projection_speed", Speed, enough=_ENOUGH)
    assert found is not None  # noqa: S101 - the first migration makes the row
    return found


def limits(wanted: Wanted, speed: Speed) -> Pace | None:
    """Decide how fast it would go; None while nobody can know."""
    measured = speed.now or speed.before
    rate, source = wanted.exactly, "as given"
    if rate is None:
        rate, source = measured, "as sent of late"
    if wanted.limit is not None and (rate is None or rate > wanted.limit):
        rate, source = wanted.limit, "MAILER_RATE_PER_SECOND"
    return None if rate is None else Pace(Limits(rate, wanted.per_day, speed.used_today), source)


def project(connection: Connection, mailing_id: int, plan: Plan, limits: Limits) -> Projection:
    """Work out what would become of a mailing if it were active, beside all others that are.

    Retries, failures and newcomers are left out.
    """
    now: datetime = database.fetch_value(connection, "now")
    found = windows.unfinished(connection)
    rivals = [each for each in found if each.state == MailingState.ACTIVE or each.mailing_id == mailing_id]
    waiting = {
        (part.mailing, part.zone or ""): part.waiting
        for part in reports.audiences(connection, [each.mailing_id for each in rivals], by_zone=True)
    }
    if any(each.mailing_id == mailing_id and each.state == MailingState.DRAFT for each in rivals):
        preview = previews.preview(connection, plan)
        waiting |= {(mailing_id, zone.zone): zone.clients for zone in preview.zones}
    simulation = simulate(list(parts(rivals, waiting.items(), now)), now, limits)
    return Projection(
        now,
        Simulation(
            [hour for hour in simulation.hours if hour.mailing == mailing_id],
            [outcome for outcome in simulation.outcomes if outcome.part.mailing == mailing_id],
        ),
        sum(outcome.sent for outcome in simulation.outcomes if outcome.part.mailing != mailing_id),
    )


def parts(
    found: Collection[windows.Unfinished], waiting: Iterable[tuple[tuple[int, str], int]], now: datetime
) -> Iterable[Part]:
    """Put together who waits where, and when they may be sent to."""
    schedules = {each.mailing_id: each for each in found}
    for (mailing_id, zone), number in waiting:
        schedule = schedules[mailing_id]
        if number:
            stretches = windows.stretches(schedule, zone, now)
            yield Part(mailing_id, zone, number, schedule.priority, stretches)
