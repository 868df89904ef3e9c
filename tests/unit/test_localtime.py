"""Wall clocks to instants, against a second reading of the rule that asks only UTC-to-local questions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from functools import cache
from itertools import pairwise

import pytest
from dateutil import tz
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from mailer_cli import localtime
from mailer_cli.errors import InvalidValueError
from mailer_cli.localtime import Hours, Interval, ReadingKind, find_zone, to_instant

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
CHANGEABLE = (
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # by half an hour
    "Antarctica/Troll",  # by two hours
    "Africa/Casablanca",  # around Ramadan
    "Africa/Cairo",  # at midnight
    "America/Havana",
    "America/Nuuk",  # on the evening before
    "America/Santiago",
    "Pacific/Chatham",
    "Europe/Dublin",  # winter is the exception there
)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(instant: datetime, zone: tzinfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def offset_at(instant: datetime, zone: tzinfo) -> timedelta:
    return local(instant, zone) - instant.replace(tzinfo=None)


@dataclass(frozen=True)
class Change:
    """A zone's clock is moved at `at`."""

    at: datetime
    before: timedelta
    after: timedelta


@cache
def changes(name: str) -> tuple[Change, ...]:
    """Every change of 2026-2030, found by looking at the zone's clock every fifth day."""
    zone = find_zone(name)
    looks = [utc("2026-01-01") + 5 * DAY * n for n in range(366)]
    seen = [(look, offset_at(look, zone)) for look in looks]
    return tuple(_pinpoint(a, b, zone) for (a, was), (b, then) in pairwise(seen) if was != then)


def _pinpoint(low: datetime, high: datetime, zone: tzinfo) -> Change:
    before = offset_at(low, zone)
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) // 2
        low, high = (middle, high) if offset_at(middle, zone) == before else (low, middle)
    at = high.replace(microsecond=0)
    return Change(at, before, offset_at(at, zone))


def instant_by_the_rule(moment: datetime, change: Change, zone: tzinfo) -> datetime:
    """Of all instants at which the clock shows this, the first; if none, by the offset before the gap."""
    readings = sorted(moment.replace(tzinfo=UTC) - offset for offset in (change.before, change.after))
    shown = [instant for instant in readings if local(instant, zone) == moment]
    return shown[0] if shown else moment.replace(tzinfo=UTC) - change.before


def around(change: Change, minutes: range) -> Iterator[datetime]:
    edge = (change.at + change.before).replace(tzinfo=None)
    return (edge + MINUTE * n for n in minutes)


@pytest.mark.parametrize(
    ("zone", "clock", "instant"),
    [
        ("America/New_York", "2026-11-01 01:30", "2026-11-01 05:30"),
        ("Europe/Berlin", "2026-10-25 02:30", "2026-10-25 00:30"),
        ("Australia/Lord_Howe", "2026-04-05 01:45", "2026-04-04 14:45"),
    ],
)
def test_an_ambiguous_time_is_its_first_occurrence(zone: str, clock: str, instant: str) -> None:
    assert to_instant(wall(clock), find_zone(zone)) == utc(instant)
    assert localtime.reading(wall(clock), find_zone(zone)).kind is ReadingKind.OVERLAP


@pytest.mark.parametrize(
    ("zone", "clock", "instant", "shown"),
    [
        ("America/New_York", "2026-03-08 02:30", "2026-03-08 07:30", "2026-03-08 03:30"),
        ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29 01:30", "2026-03-29 03:30"),
        ("Australia/Lord_Howe", "2026-10-04 02:15", "2026-10-03 15:45", "2026-10-04 02:45"),
        ("Pacific/Apia", "2011-12-30 12:00", "2011-12-30 22:00", "2011-12-31 12:00"),
    ],
)
def test_a_skipped_time_is_read_with_the_offset_before_the_gap(
    zone: str, clock: str, instant: str, shown: str
) -> None:
    rules = find_zone(zone)
    assert to_instant(wall(clock), rules) == utc(instant)
    assert local(utc(instant), rules) == wall(shown)
    assert localtime.reading(wall(clock), rules).kind is ReadingKind.GAP


@pytest.mark.parametrize(
    ("zone", "clock", "instant"),
    [
        ("Asia/Kathmandu", "2026-07-01 10:00", "2026-07-01 04:15"),
        ("Pacific/Kiritimati", "2026-07-01 10:00", "2026-06-30 20:00"),
        ("Pacific/Pago_Pago", "2026-07-01 10:00", "2026-07-01 21:00"),
        ("Asia/Almaty", "2024-02-29 10:00", "2024-02-29 04:00"),
        ("Asia/Almaty", "2024-03-02 10:00", "2024-03-02 05:00"),  # +05 since 2024-03-01
        ("Europe/Volgograd", "2020-12-01 10:00", "2020-12-01 06:00"),
        ("Europe/Volgograd", "2021-01-01 10:00", "2021-01-01 07:00"),  # +03 since 2020-12-27
        ("UTC+03:00", "2026-07-01 10:00", "2026-07-01 07:00"),  # plus is east
        ("Etc/GMT+3", "2026-07-01 10:00", "2026-07-01 13:00"),  # but not by IANA's own name
        ("Europe/Berlin", "2026-03-29 03:00", "2026-03-29 01:00"),
        ("Europe/Berlin", "2026-10-25 03:00", "2026-10-25 02:00"),
    ],
)
def test_a_time_that_occurs_once_is_that_instant(zone: str, clock: str, instant: str) -> None:
    assert localtime.reading(wall(clock), find_zone(zone)) == localtime.Reading(
        ReadingKind.EXACT, utc(instant)
    )


@pytest.mark.parametrize(
    ("zone", "clock", "text"),
    [
        ("Europe/Berlin", "2026-03-29 02:30", "02:30 does not exist on 2026-03-29, read as 03:30"),
        ("Europe/Berlin", "2026-03-29 02:30:07", "02:30:07 does not exist on 2026-03-29, read as 03:30:07"),
        ("Africa/Cairo", "2026-04-24 00:00", "00:00 does not exist on 2026-04-24, read as 01:00"),
        ("America/Nuuk", "2026-03-28 23:30", "23:30 does not exist on 2026-03-28, read as 2026-03-29 00:30"),
        (
            "Europe/Berlin",
            "2026-10-25 02:30",
            "02:30 occurs twice on 2026-10-25, read as the first (UTC+02:00)",
        ),
        ("Europe/Berlin", "2026-10-25 03:00", ""),
    ],
)
def test_the_preview_says_how_a_strange_time_is_read(zone: str, clock: str, text: str) -> None:
    assert localtime.reading(wall(clock), find_zone(zone)).text == text


def test_every_zone_is_read_by_the_rule_around_each_of_its_changes() -> None:
    checked = 0
    for name in sorted(localtime.zone_names()):
        zone = find_zone(name)
        for change in changes(name):
            for moment in around(change, range(-150, 151, 10)):
                assert to_instant(moment, zone) == instant_by_the_rule(moment, change, zone), (name, moment)
                checked += 1
    assert checked > 30_000


@pytest.mark.parametrize("name", CHANGEABLE)
def test_every_minute_around_a_change_is_read_by_the_rule(name: str) -> None:
    zone = find_zone(name)
    assert changes(name)
    for change in changes(name):
        kinds = []
        for moment in around(change, range(-150, 151)):
            read = localtime.reading(moment, zone)
            assert read.instant == instant_by_the_rule(moment, change, zone), moment
            kinds.append(read.kind)
        moved = change.after - change.before
        assert kinds.count(ReadingKind.GAP) == max(moved, timedelta(0)) // MINUTE
        assert kinds.count(ReadingKind.OVERLAP) == max(-moved, timedelta(0)) // MINUTE


@given(
    name=st.sampled_from(sorted(localtime.zone_names())),
    moment=st.datetimes(wall("2026-01-01"), wall("2030-12-31")),
)
def test_a_time_and_its_reading_agree_with_dateutil(name: str, moment: datetime) -> None:
    zone = find_zone(name)
    expected = tz.resolve_imaginary(moment.replace(tzinfo=zone, fold=0)).astimezone(UTC)
    assert to_instant(moment, zone) == expected
    exists = localtime.reading(moment, zone).kind is not ReadingKind.GAP
    assert tz.datetime_exists(moment, zone) == exists


@given(
    name=st.sampled_from(sorted(localtime.zone_names())),
    moment=st.datetimes(wall("1970-01-01"), wall("9998-12-31")),
)
def test_a_time_that_exists_is_shown_by_the_clock_at_its_instant(name: str, moment: datetime) -> None:
    zone = find_zone(name)
    read = localtime.reading(moment, zone)
    assert (local(read.instant, zone) == moment) == (read.kind is not ReadingKind.GAP)


@pytest.mark.parametrize(
    "name", ["Pacific/Kiritimati", "Etc/GMT+12", "UTC+14:00", "UTC-12:00", "Europe/Berlin"]
)
@pytest.mark.parametrize("clock", ["1970-01-01 00:00", "9998-12-31 23:59"])
def test_the_first_and_the_last_year_overflow_in_no_zone(name: str, clock: str) -> None:
    zone = find_zone(name)
    moment = wall(clock)
    assert localtime.reading(moment, zone).instant == to_instant(moment, zone)
    start, end, now = wall("1970-01-01"), wall("9998-12-31 23:59"), moment.replace(tzinfo=UTC)
    nights, days = Hours.parse("22:00-06:00"), frozenset(range(7))
    found = localtime.next_interval(start, end, zone, nights, days, now)
    assert found is None or found.closes_at > now
    assert localtime.outer(start, end, zone, nights, days) is not None


@pytest.mark.parametrize("year", ["0001", "1969", "9999"])
def test_years_out_of_reach_are_refused(year: str) -> None:
    with pytest.raises(
        InvalidValueError, match=f"year {int(year)} is out of reach: give one from 1970 to 9998"
    ):
        to_instant(wall(f"{year}-06-01"), find_zone("Europe/Berlin"))


def test_aware_bounds_out_of_reach_are_refused_too() -> None:
    with pytest.raises(InvalidValueError, match="year 9999 is out of reach"):
        localtime.window(wall("2026-01-01"), utc("9999-12-31"), find_zone("Europe/Berlin"))


def test_an_aware_time_is_not_a_wall_clock_time() -> None:
    with pytest.raises(ValueError, match="carries no zone"):
        to_instant(utc("2026-07-01"), find_zone("Europe/Berlin"))


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("2026-03-29 10:00", "2026-03-29 10:00"),
        ("2026-03-29T10:00:30", "2026-03-29 10:00:30"),
        (" 2026-03-29 ", "2026-03-29 00:00"),
    ],
)
def test_a_wall_clock_time_is_read(text: str, clock: str) -> None:
    assert localtime.parse_wall(text, "start") == wall(clock)


@pytest.mark.parametrize(
    "suffix",
    ["Z", "z", "+03:00", " +03:00", "-0500", "\u221203:00", " UTC", " MSK", "[Europe/Moscow]", " UTC+3"],
)
def test_a_wall_clock_time_with_an_offset_is_refused_with_the_way_out(suffix: str) -> None:
    with pytest.raises(InvalidValueError, match=r"each client's own clock.*--zone ZONE") as refusal:
        localtime.parse_wall(f"2026-03-29 10:00{suffix}", "start")
    assert refusal.value.field == "start"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "write 2026-03-29 10:00"),
        ("tomorrow", "write 2026-03-29 10:00"),
        ("29.03.2026 10:00", "write 2026-03-29 10:00"),
        ("2026-03-29 10", "write 2026-03-29 10:00"),
        ("2026-03-29 10:00 pm", "write 2026-03-29 10:00"),
        ("2026-02-30 10:00", "not a time: day"),
        ("2026-03-29 24:00", "not a time: hour"),
        ("9999-12-31", "year 9999 is out of reach"),
        ("0000-01-01", "not a time: year"),
        ("1969-12-31 23:59", "year 1969 is out of reach"),
        ("２０２６-03-29", "write 2026-03-29 10:00"),
    ],
)
def test_what_is_no_wall_clock_time_is_refused_with_the_form(text: str, reason: str) -> None:
    with pytest.raises(InvalidValueError, match=reason):
        localtime.parse_wall(text, "start")


@given(text=st.text("0123456789-: TZ+.[\n\x1bя", max_size=50))
def test_any_text_is_a_wall_clock_time_or_refused_on_one_line(text: str) -> None:
    try:
        said = str(localtime.parse_wall(text, "start"))
    except InvalidValueError as refusal:
        said = str(refusal)
    assert said.isprintable()


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-29T10:00Z", "2026-03-29 10:00"),
        ("2026-03-29 10:00:30+03:00", "2026-03-29 07:00:30"),
        ("2026-03-29t10:00z", "2026-03-29 10:00"),
        ("2026-03-29T10:00-0330", "2026-03-29 13:30"),
        ("2026-03-29T10:00:00.5+03", "2026-03-29 07:00:00.500"),
        ("1970-01-01T00:00+14:00", "1969-12-31 10:00"),
    ],
)
def test_an_instant_is_read_to_utc(text: str, instant: str) -> None:
    read = localtime.parse_instant(text, "at")
    assert read == utc(instant)
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2026-03-29 10:00", "does not say its offset: write .*Z at the end for UTC"),
        ("2026-03-29", "is not understood"),
        ("2026-03-29T10:00 MSK", "is not understood"),
        ("2026-03-29T10:00+3", "is not understood"),
        ("2026-02-30T10:00Z", "not a time"),
        ("2026-03-29T10:00+25:00", "not a time"),
        ("9999-12-31T23:59-12:00", "year 9999 is out of reach"),
        ("0001-01-01T00:00+14:00", "year 1 is out of reach"),
    ],
)
def test_an_instant_without_an_offset_is_refused_with_the_way_out(text: str, reason: str) -> None:
    with pytest.raises(InvalidValueError, match=reason):
        localtime.parse_instant(text, "at")


# Windows

BERLIN = find_zone("Europe/Berlin")


def opened(
    start: str, end: str, hours: str | None = None, days: str | None = None, zone: tzinfo = BERLIN
) -> list[str]:
    parts = localtime.window(
        wall(start),
        wall(end),
        zone,
        Hours.parse(hours) if hours else None,
        localtime.parse_days(days) if days else None,
    )
    return [f"{part.opens_at:%m-%dT%H:%M}/{part.closes_at:%m-%dT%H:%M}" for part in parts]


def test_a_plain_window_is_one_interval() -> None:
    assert opened("2026-07-01 10:00", "2026-07-03 12:00") == ["07-01T08:00/07-03T10:00"]


@pytest.mark.parametrize("end", ["2026-07-01 10:00", "2026-07-01 09:00"])
def test_a_window_that_does_not_open_is_empty(end: str) -> None:
    assert opened("2026-07-01 10:00", end) == []
    assert localtime.outer(wall("2026-07-01 10:00"), wall(end), BERLIN, None, None) is None


def test_a_window_swallowed_by_a_gap_is_empty() -> None:
    assert opened("2026-03-29 02:30", "2026-03-29 03:15") == []


def test_a_window_holds_its_opening_and_not_its_closing() -> None:
    (part,) = localtime.window(wall("2026-07-01 10:00"), wall("2026-07-01 12:00"), BERLIN)
    assert part.opens_at in part
    assert part.closes_at not in part
    assert part.opens_at.tzinfo is UTC


def test_hours_narrow_each_day() -> None:
    assert opened("2026-07-01 10:00", "2026-07-03 11:00", "09:00-21:00") == [
        "07-01T08:00/07-01T19:00",
        "07-02T07:00/07-02T19:00",
        "07-03T07:00/07-03T09:00",
    ]


def test_a_night_belongs_to_the_day_on_which_it_starts() -> None:
    # 2026-07-03 is a Friday.
    assert opened("2026-07-01", "2026-07-08", "22:00-06:00", "fri") == ["07-03T20:00/07-04T04:00"]
    assert opened("2026-07-04 01:00", "2026-07-08", "22:00-06:00", "fri") == ["07-03T23:00/07-04T04:00"]


def test_intervals_that_touch_are_one() -> None:
    assert opened("2026-07-01", "2026-07-20", days="sat,sun") == [
        "07-03T22:00/07-05T22:00",
        "07-10T22:00/07-12T22:00",
        "07-17T22:00/07-19T22:00",
    ]
    assert opened("2026-07-01", "2027-07-01", "00:00-24:00", "mon-sun") == ["06-30T22:00/06-30T22:00"]


def test_hours_on_the_day_of_a_change_follow_the_rule() -> None:
    assert opened("2026-03-29", "2026-03-30", "01:00-04:00") == ["03-29T00:00/03-29T02:00"]  # two hours long
    assert opened("2026-10-25", "2026-10-26", "01:00-04:00") == ["10-24T23:00/10-25T03:00"]  # four
    assert opened("2026-10-25", "2026-10-26", "01:00-02:30") == ["10-24T23:00/10-25T00:30"]  # to the first
    assert opened("2026-03-29", "2026-03-30", "02:30-03:00") == []  # skipped past its end


def test_aware_bounds_are_the_same_instant_in_every_zone() -> None:
    start, end = utc("2026-07-01 10:00"), utc("2026-07-01 12:00")
    for name in ("Pacific/Kiritimati", "Europe/Berlin"):
        assert list(localtime.window(start, end, find_zone(name))) == [Interval(start, end)]


def test_no_days_at_all_open_nothing() -> None:
    assert list(localtime.window(wall("1970-01-01"), wall("9998-12-31"), BERLIN, None, frozenset())) == []


@dataclass(frozen=True)
class Plan:
    """One mailing's times, drawn by chance."""

    name: str
    start: datetime
    end: datetime
    hours: Hours | None
    days: frozenset[int] | None

    @property
    def zone(self) -> tzinfo:
        return find_zone(self.name)

    def parts(self) -> list[Interval]:
        return list(localtime.window(self.start, self.end, self.zone, self.hours, self.days))

    def wants(self, clock: datetime) -> bool:
        """Whether a clock showing this is within the plan: the definition, in local terms alone."""
        day, hours = clock.date(), self.hours
        if hours and hours.start >= hours.end and clock.time() < hours.end:
            day -= DAY
        elif hours and not hours.start <= clock.time() < (hours.end if hours.start < hours.end else time.max):
            return False
        return self.start <= clock < self.end and (self.days is None or day.weekday() in self.days)


clocks = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
all_hours = st.none() | st.tuples(clocks, clocks).filter(lambda pair: pair[0] != pair[1]).map(
    lambda pair: Hours(*pair)
)
all_days = st.none() | st.frozensets(st.integers(0, 6), min_size=1)
starts = st.datetimes(wall("2026-01-01"), wall("2028-12-31")) | st.sampled_from(
    [wall("2026-03-28 20:00"), wall("2026-10-24 23:30"), wall("2026-03-08 02:30"), wall("2026-11-01 01:30")]
)


@st.composite
def plans(draw: st.DrawFn, names: tuple[str, ...] = (*CHANGEABLE, "Asia/Kathmandu", "Europe/Moscow")) -> Plan:
    start = draw(starts).replace(second=0, microsecond=0)
    length = MINUTE * draw(st.integers(1, 60 * 24 * 40))
    return Plan(draw(st.sampled_from(names)), start, start + length, draw(all_hours), draw(all_days))


@given(plan=plans())
def test_intervals_are_in_order_apart_and_within_the_plan(plan: Plan) -> None:
    parts = plan.parts()
    assert all(part.opens_at < part.closes_at for part in parts)
    assert all(before.closes_at < after.opens_at for before, after in pairwise(parts))
    for part in parts:
        assert to_instant(plan.start, plan.zone) <= part.opens_at
        assert part.closes_at <= to_instant(plan.end, plan.zone)


@given(plan=plans())
@settings(max_examples=60)
def test_away_from_changes_the_window_is_where_the_local_clock_is_wanted(plan: Plan) -> None:
    parts = plan.parts()
    shifts = [change.at for change in changes(plan.name)]
    instant = to_instant(plan.start, plan.zone) - DAY
    while instant < to_instant(plan.end, plan.zone) + DAY:
        if not any(abs(instant - shift) < timedelta(hours=4) for shift in shifts):
            assert any(instant in part for part in parts) == plan.wants(local(instant, plan.zone)), instant
        instant += timedelta(minutes=137)


@given(plan=plans())
def test_the_edges_of_intervals_are_exact_to_the_second(plan: Plan) -> None:
    shifts = [change.at for change in changes(plan.name)]
    for part in plan.parts():
        for edge, inward in ((part.opens_at, 1), (part.closes_at, -1)):
            if any(abs(edge - shift) < timedelta(hours=4) for shift in shifts):
                continue
            second = timedelta(seconds=1)
            just_in, just_out = (edge, edge - second) if inward == 1 else (edge - second, edge)
            assert plan.wants(local(just_in, plan.zone))
            assert not plan.wants(local(just_out, plan.zone))


@given(plan=plans(), hours=all_hours.filter(lambda hours: hours is not None and hours.start != hours.end))
def test_hours_and_their_complement_are_the_whole_window_once(plan: Plan, hours: Hours) -> None:
    whole = Plan(plan.name, plan.start, plan.end, None, None)
    within = Plan(plan.name, plan.start, plan.end, hours, None)
    without = Plan(plan.name, plan.start, plan.end, Hours(hours.end, hours.start), None)
    _assert_shared_out(whole.parts(), [*within.parts(), *without.parts()])


@given(plan=plans(), days=st.frozensets(st.integers(0, 6), min_size=1, max_size=6))
def test_days_and_the_other_days_are_the_whole_window_once(plan: Plan, days: frozenset[int]) -> None:
    whole = Plan(plan.name, plan.start, plan.end, None, None)
    within = Plan(plan.name, plan.start, plan.end, None, days)
    without = Plan(plan.name, plan.start, plan.end, None, frozenset(range(7)) - days)
    _assert_shared_out(whole.parts(), [*within.parts(), *without.parts()])


def _assert_shared_out(whole: list[Interval], shares: list[Interval]) -> None:
    ordered = sorted(shares, key=lambda part: part.opens_at)
    assert all(before.closes_at == after.opens_at for before, after in pairwise(ordered))
    assert [(part.opens_at, part.closes_at) for part in whole] == (
        [(ordered[0].opens_at, ordered[-1].closes_at)] if ordered else []
    )


@given(plan=plans(), minutes=st.integers(-3 * 24 * 60, 45 * 24 * 60))
def test_the_next_interval_is_the_one_that_the_window_lists(plan: Plan, minutes: int) -> None:
    now = to_instant(plan.start, plan.zone) + MINUTE * minutes
    listed = next((part for part in plan.parts() if now < part.closes_at), None)
    assert localtime.next_interval(plan.start, plan.end, plan.zone, plan.hours, plan.days, now) == listed


@given(plan=plans())
def test_the_outer_interval_is_from_the_first_opening_to_the_last_closing(plan: Plan) -> None:
    parts = plan.parts()
    expected = Interval(parts[0].opens_at, parts[-1].closes_at) if parts else None
    assert localtime.outer(plan.start, plan.end, plan.zone, plan.hours, plan.days) == expected


def test_hours_that_are_skipped_in_the_last_week_do_not_lose_the_closing() -> None:
    # On Sunday 2026-03-29 the clock goes from 02:00 to 03:00.
    sundays = localtime.outer(
        wall("2026-03-01"), wall("2026-04-03"), BERLIN, Hours.parse("02:30-03:00"), frozenset({6})
    )
    assert sundays == Interval(utc("2026-03-01 01:30"), utc("2026-03-22 02:00"))


class CountedZone(tzinfo):
    """UTC+1, which counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    @override
    def utcoffset(self, _moment: datetime | None) -> timedelta:
        self.asked += 1
        return timedelta(hours=1)

    @override
    def dst(self, _moment: datetime | None) -> timedelta:
        return timedelta(0)

    @override
    def tzname(self, _moment: datetime | None) -> str:
        return "counted"


def test_the_next_interval_of_a_long_mailing_costs_no_more_than_that_of_a_short_one() -> None:
    zone = CountedZone()
    found = localtime.next_interval(
        wall("1970-01-01"),
        wall("9998-12-31"),
        zone,
        Hours.parse("09:00-21:00"),
        frozenset({0}),
        utc("2026-07-01 12:00"),
    )
    assert found == Interval(utc("2026-07-06 08:00"), utc("2026-07-06 20:00"))
    assert zone.asked < 200


def test_a_window_that_never_closes_within_is_not_put_together_day_by_day() -> None:
    zone = CountedZone()
    start, end = wall("1970-01-01"), wall("9998-12-31")
    whole = localtime.outer(start, end, zone, Hours.parse("00:00-24:00"), localtime.parse_days("mon-sun"))
    assert whole == Interval(utc("1969-12-31 23:00"), utc("9998-12-30 23:00"))
    assert zone.asked < 200


def test_the_intervals_of_a_long_mailing_are_worked_out_one_by_one() -> None:
    zone = CountedZone()
    parts = localtime.window(wall("1970-01-01"), wall("9998-12-31"), zone, days=frozenset({0}))
    assert next(parts).opens_at == utc("1970-01-04 23:00")
    assert zone.asked < 200
