"""The numbers of a report, as frozen values. Read within one `snapshot`, they agree with each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from mailer_cli import database, pace
from mailer_cli.aspects import Breakdown
from mailer_cli.database import Connection
from mailer_cli.errors import NotFoundError
from mailer_cli.ids import SHARDS
from mailer_cli.statuses import FINAL, Status

_SHARDS = list(range(SHARDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many messages have each status."""

    sending: int = 0
    retrying: int = 0
    sent: int = 0
    failed: int = 0
    unknown: int = 0
    expired: int = 0
    cancelled: int = 0

    def by_status(self) -> dict[str, int]:
        """Return the counts by the names of the statuses."""
        return {status.value: getattr(self, status.value) for status in Status}

    @property
    def final(self) -> int:
        """How many messages nothing more will happen to."""
        return sum(getattr(self, status.value) for status in FINAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Total(Counts):
    """One mailing: waiting and all statuses add up to its audience."""

    mailing: int
    state: str
    text: str
    starts_at: datetime
    ends_at: datetime
    finished_at: datetime | None
    purged_at: datetime | None = None  # since when there are only its sums
    opens_at: datetime | None = None  # the first window on Earth
    closes_at: datetime | None = None  # and the last
    audience: int = 0
    waiting: int = 0
    late_p50: float | None = None  # seconds from when messages could be sent until they were
    late_p95: float | None = None
    late_max: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ZonePart(Counts):
    """One zone of a mailing. Messages count where their clients are today."""

    mailing: int
    zone: str | None
    opens_at: datetime | None = None
    closes_at: datetime | None = None
    audience: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPart(Counts):
    """The clients of one operator code."""

    mailing: int
    operator: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagPart(Counts):
    """The clients with one tag, or without any."""

    mailing: int
    tag: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HourPart:
    """One hour of UTC in which something was sent."""

    mailing: int
    hour: datetime
    sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPart(Counts):
    """One thing that went wrong, and one message that it happened to."""

    mailing: int
    http_status: int | None
    error: str | None
    count: int
    message_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPart:
    """One mailing on one day: what was sent on it, and how the mailing stands now."""

    sent: int
    total: Total


@dataclass(frozen=True, slots=True, kw_only=True)
class DayError:
    """One thing that went wrong with attempts on a day."""

    mailing: int
    http_status: int | None
    error: str | None
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRuns:
    """How often `mailer dispatch` ran on a day, on how many hosts, and how often it went wrong."""

    runs: int
    bad: int
    hosts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day of UTC."""

    mailings: Sequence[DayPart]
    lateness: pace.Lateness | None
    errors: Sequence[DayError]
    runs: DayRuns


@dataclass(frozen=True, slots=True)
class _LatenessPart(pace.Part):
    mailing: int


@dataclass(frozen=True, slots=True)
class _Sent:
    mailing: int
    sent: int


Part = ZonePart | OperatorPart | TagPart | HourPart | ErrorPart


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key(Counts):
    mailing: int
    key: str | None


@contextmanager
def snapshot(connection: Connection) -> Iterator[Connection]:
    """One read-only transaction in which every statement sees the same committed state."""
    with connection.transaction():
        database.execute(connection, "report_snapshot")
        database.execute(connection, "report_jit_off")
        yield connection


def totals(
    connection: Connection,
    *,
    mailing: int | None = None,
    limit: int | None = None,
    since: datetime | None = None,
) -> list[Total]:
    """Return one mailing, or the newest `limit` (all, without), newest first.

    `since` leaves out those that were over in every zone before that. What this costs does not depend on
    how many messages there are. Raises NotFoundError for an unknown mailing.
    """
    found = counted(connection, mailing=mailing, limit=limit, since=since)
    if mailing is not None and not found:
        raise NotFoundError(f"no mailing {mailing}; see `mailer mailing list`")
    mailings = [row.mailing for row in found]
    whole = {part.mailing: part for part in audiences(connection, mailings)}
    late = lateness(connection, mailings)
    return [_with_lateness(_with_audience(r, whole.get(r.mailing)), late[r.mailing]) for r in found]


def counted(
    connection: Connection,
    *,
    mailing: int | None = None,
    limit: int | None = None,
    since: datetime | None = None,
) -> list[Total]:
    """Return the same by the counters alone: without audience and lateness."""
    return database.fetch(
        connection, "report_mailings", Total, mailing=mailing, limit=limit, since=since, shards=_SHARDS
    )


def parts(connection: Connection, mailings: Sequence[int], by: Breakdown) -> Sequence[Part]:
    """Return the messages of these mailings by one of their aspects; every message is read."""
    match by:
        case Breakdown.ZONE:
            return _zones(connection, mailings)
        case Breakdown.OPERATOR:
            keys = _keys(connection, mailings, by)
            return [OperatorPart(mailing=k.mailing, operator=k.key, **k.by_status()) for k in keys]
        case Breakdown.TAG:
            keys = _keys(connection, mailings, by)
            return [TagPart(mailing=k.mailing, tag=k.key, **k.by_status()) for k in keys]
        case Breakdown.HOUR:
            return _read(connection, "report_by_hour", HourPart, mailings)
        case Breakdown.ERROR:
            return _read(connection, "report_by_error", ErrorPart, mailings)


def audiences(connection: Connection, mailings: Sequence[int], *, by_zone: bool = False) -> list[ZonePart]:
    """Return how many each mailing is meant for and how many wait, without reading messages.

    Clients are counted where a window is not open yet; a draft has no windows, and is left out.
    """
    return _read(connection, "report_audience", ZonePart, mailings, by_zone=by_zone)


def lateness(connection: Connection, mailings: Sequence[int]) -> dict[int, pace.Lateness | None]:
    """Return how late each of these mailings was sent; costs the same however many messages there are."""
    found: dict[int, list[pace.Part]] = {mailing: [] for mailing in mailings}
    for part in _read(connection, "report_lateness", _LatenessPart, mailings):
        found[part.mailing].append(part)
    return {mailing: pace.lateness(parts) for mailing, parts in found.items()}


def day(connection: Connection, wanted: date) -> Day:
    """Return what happened on one day of UTC."""
    begins = datetime.combine(wanted, time(), UTC)
    span = {"begins": begins, "ends": begins + timedelta(days=1)}
    earliest = begins.replace(tzinfo=None) - timedelta(days=1)
    sent = database.fetch(
        connection, "report_daily_mailings", _Sent, shards=_SHARDS, earliest=earliest, **span
    )
    mailings = [row.mailing for row in sent]
    runs = database.fetch_one(connection, "report_daily_runs", DayRuns, **span)
    assert runs is not None  # noqa: S101 - an aggregate has one row
    return Day(
        mailings=[DayPart(sent=r.sent, total=totals(connection, mailing=r.mailing)[0]) for r in sent],
        lateness=pace.lateness(_read(connection, "report_daily_lateness", pace.Part, mailings, **span)),
        errors=_read(connection, "report_daily_errors", DayError, mailings, **span),
        runs=runs,
    )


def _with_audience(total: Total, whole: ZonePart | None) -> Total:
    if whole is None:  # a draft has no windows yet
        return total
    return replace(
        total,
        opens_at=whole.opens_at,
        closes_at=whole.closes_at,
        audience=whole.audience,
        waiting=whole.waiting,
    )


def _with_lateness(total: Total, late: pace.Lateness | None) -> Total:
    if late is None:
        return total
    p50, p95, latest = (round(seconds, 3) for seconds in (late.p50, late.p95, late.max))
    return replace(total, late_p50=p50, late_p95=p95, late_max=latest)


def _zones(connection: Connection, mailings: Sequence[int]) -> list[ZonePart]:
    """Put windows and messages of a zone side by side; either may be without the other."""
    windows = {(part.mailing, part.zone): part for part in audiences(connection, mailings, by_zone=True)}
    counts: dict[tuple[int, str | None], dict[str, Any]] = {
        (key.mailing, key.key): key.by_status() for key in _keys(connection, mailings, Breakdown.ZONE)
    }
    places = sorted(windows.keys() | counts.keys(), key=lambda place: (-place[0], place[1] or ""))
    return [
        replace(windows.get(place, ZonePart(mailing=place[0], zone=place[1])), **counts.get(place, {}))
        for place in places
    ]


def _keys(connection: Connection, mailings: Sequence[int], by: Breakdown) -> list[_Key]:
    return _read(connection, "report_by_client", _Key, mailings, by=by.value)


def _read(
    connection: Connection, name: str, row: type[Any], mailings: Sequence[int], **values: object
) -> list[Any]:
    return database.fetch(connection, name, row, mailings=list(mailings), shards=_SHARDS, **values)
