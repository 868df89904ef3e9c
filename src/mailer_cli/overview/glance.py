"""One look at everything, in one snapshot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from mailer_cli import database, hints, localtime, projections, reports
from mailer_cli import windows as schedules
from mailer_cli.database import Connection
from mailer_cli.histogram import LATENCY
from mailer_cli.ids import message_id
from mailer_cli.overview import audiences
from mailer_cli.overview.audiences import Window
from mailer_cli.overview.values import Failure, Finish, Late, Opening, Overview, Requests, Run, Standing
from mailer_cli.projections import Wanted
from mailer_cli.reports import Total
from mailer_cli.simulation import simulate
from mailer_cli.statuses import MailingState

_RUNS, _ERRORS, _OPENINGS, _MAILINGS = 8, 8, 20, 100
_RECENT = timedelta(hours=1)  # mailings that ended within it are still shown
_LATELY = 300.0  # seconds of requests that tell how the service does


@dataclass(frozen=True, slots=True)
class _Failed:
    http_status: int | None
    error: str | None
    count: int
    sample: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Requests:
    accepted: int
    answered: int
    latencies: Sequence[int]


def look(connection: Connection, wanted: Wanted) -> Overview:
    """Read how sending stands; `wanted` is how fast it may go."""
    with reports.snapshot(connection):
        health = hints.health(connection)
        mailings, windows, estimated = _standings(connection, health.now - _RECENT, _MAILINGS)
        speed = projections.speed(connection)
        unfinished = schedules.unfinished(connection)
        late = database.fetch_one(connection, "overview_late", Late)
        runs = database.fetch(connection, "overview_runs", Run, limit=_RUNS)
        errors = database.fetch(connection, "overview_errors", _Failed, limit=_ERRORS)
        requests = database.fetch_one(connection, "overview_service", _Requests, seconds=_LATELY)
    active = [each for each in unfinished if each.state == MailingState.ACTIVE]
    mine = {each.mailing_id for each in active}
    due = [window for window in windows if window.mailing in mine and window.waiting]
    return Overview(
        now=health.now,
        health=health,
        runs=runs,
        late=late,
        next=_openings(due, health.now, estimated=estimated),
        finish=_finish(active, due, health.now, wanted, speed),
        mailings=mailings,
        errors=[Failure(e.http_status, e.error, e.count, message_id(*e.sample)) for e in errors],
        requests=_taken(requests),
        used_today=speed.used_today,
    )


def standings(connection: Connection, since: datetime) -> list[Standing]:
    """Return the mailings that are not over, and those that ended since then, newest first."""
    return _standings(connection, since, None)[0]


def _standings(
    connection: Connection, since: datetime, limit: int | None
) -> tuple[list[Standing], list[Window], bool]:
    totals = reports.counted(connection, limit=limit, since=since)
    windows, estimated = audiences.windows(connection, _filters(connection, totals))
    by_mailing: dict[int, list[Window]] = {total.mailing: [] for total in totals}
    for window in windows:
        by_mailing[window.mailing].append(window)
    found = [_standing(total, by_mailing[total.mailing], estimated=estimated) for total in totals]
    return found, windows, estimated


def _filters(connection: Connection, totals: Sequence[Total]) -> list[audiences.Filter]:
    numbers = [total.mailing for total in totals]
    return database.fetch(connection, "overview_filters", audiences.Filter, mailings=numbers)


def _openings(due: Sequence[Window], now: datetime, *, estimated: bool) -> list[Opening]:
    coming = sorted(
        (window for window in due if window.sendable_from > now),
        key=lambda w: (w.sendable_from, w.mailing, w.zone),
    )
    return [
        Opening(
            window.mailing,
            window.zone,
            window.sendable_from,
            window.sendable_from.astimezone(localtime.find_zone(window.zone)).replace(tzinfo=None),
            window.waiting,
            estimated and window.uncounted,
        )
        for window in islice(coming, _OPENINGS)
    ]


def _finish(
    active: Sequence[schedules.Unfinished],
    due: Sequence[Window],
    now: datetime,
    wanted: Wanted,
    speed: projections.Speed,
) -> Finish | None:
    """Tell how it ends at the present rate; None while nobody knows the rate."""
    limits = projections.limits(wanted, speed)
    if limits is None:
        return None
    waiting = (((window.mailing, window.zone), window.waiting) for window in due)
    outcomes = simulate(list(projections.parts(active, waiting, now)), now, limits.limits).outcomes
    return Finish(
        limits.limits.per_second,
        speed.now is not None,
        sum(outcome.part.waiting for outcome in outcomes),
        sum(outcome.expires for outcome in outcomes),
        max((outcome.finishes_at for outcome in outcomes if outcome.finishes_at), default=None),
    )


def _standing(total: Total, mine: Sequence[Window], *, estimated: bool) -> Standing:
    whole = replace(
        total,
        audience=sum(window.audience for window in mine),
        waiting=sum(window.waiting for window in mine),
        opens_at=min((window.opens_at for window in mine), default=None),
        closes_at=max((window.closes_at for window in mine), default=None),
    )
    return Standing(whole, estimated and any(window.uncounted for window in mine))


def _taken(found: _Requests | None) -> Requests:
    assert found is not None  # noqa: S101 - an aggregate has one row
    counts = list(enumerate(found.latencies))
    p50, p95 = (LATENCY.percentile(counts, share) for share in (0.50, 0.95))
    return Requests(found.answered, found.accepted, p50, p95)
