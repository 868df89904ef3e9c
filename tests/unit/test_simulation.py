"""What would be sent when: nobody is sent to outside a window, nobody is forgotten, no rate is exceeded."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mailer_cli.simulation import Limits, Part, simulate

NOW = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)


def at(hours: float) -> datetime:
    return NOW + timedelta(hours=hours)


def part(
    waiting: int, *stretches: tuple[float, float], mailing: int = 1, zone: str = "UTC", priority: int = 0
) -> Part:
    return Part(mailing, zone, waiting, priority, [(at(begin), at(end)) for begin, end in stretches])


def test_an_open_window_is_finished_when_the_rate_says_so() -> None:
    found = simulate([part(7200, (0, 5))], NOW, Limits(1.0))
    assert [(hour.hour.hour, hour.sent) for hour in found.hours] == [(9, 1800), (10, 3600), (11, 1800)]
    assert found.outcomes[0].finishes_at == at(2)
    assert found.outcomes[0].expires == 0


def test_what_does_not_fit_before_the_end_expires() -> None:
    [outcome] = simulate([part(10_000, (0, 1))], NOW, Limits(2.0)).outcomes
    assert (outcome.sent, outcome.expires, outcome.finishes_at) == (7200, 2800, at(1))


def test_the_soonest_end_goes_first_and_among_equals_the_higher_priority() -> None:
    late, soon, urgent = (
        part(60, (0, 3)),
        part(60, (0, 1), mailing=2),
        part(60, (0, 1), mailing=3, priority=5),
    )
    found = simulate([late, soon, urgent], NOW, Limits(1.0)).outcomes
    finished = {outcome.part.mailing: outcome.finishes_at for outcome in found}
    minute = timedelta(minutes=1)
    assert finished == {3: NOW + minute, 2: NOW + 2 * minute, 1: NOW + 3 * minute}


def test_a_night_between_two_stretches_is_waited_out() -> None:
    [outcome] = simulate([part(5400, (0, 1), (12, 14))], NOW, Limits(1.0)).outcomes
    assert outcome.finishes_at == at(12.5)


def test_the_quota_of_a_day_is_kept_and_the_next_day_has_its_own() -> None:
    found = simulate([part(1000, (0, 48))], NOW, Limits(10.0, per_day=400, used_today=100))
    days = Counter[int]()
    for hour in found.hours:
        days[hour.hour.day] += hour.sent
    assert days == {1: 300, 2: 400, 3: 300}


def test_a_window_that_opens_in_ten_years_takes_no_time_to_reach() -> None:
    [outcome] = simulate([part(60, (87_600, 87_601))], NOW, Limits(1.0)).outcomes
    assert outcome.finishes_at == at(87_600) + timedelta(minutes=1)


def test_nobody_waiting_is_nothing_to_tell() -> None:
    found = simulate([part(0, (0, 1))], NOW, Limits(1.0))
    assert (found.hours, found.outcomes) == ([], [])


@st.composite
def parts(draw: st.DrawFn) -> list[Part]:
    edges = st.lists(st.integers(0, 60), min_size=2, max_size=6, unique=True).map(sorted)
    made = []
    for number in range(draw(st.integers(1, 4))):
        times = draw(edges)
        pairs = [(a / 2, b / 2) for a, b in zip(times[::2], times[1::2], strict=False)]
        made.append(part(draw(st.integers(0, 50_000)), *pairs, mailing=number))
    return made


@given(parts(), st.floats(0.01, 100), st.one_of(st.none(), st.integers(1, 20_000)))
def test_everybody_is_sent_to_or_expires_in_time_and_at_the_rate(
    given_parts: list[Part], rate: float, per_day: int | None
) -> None:
    found = simulate(given_parts, NOW, Limits(rate, per_day))
    hours, days, mailings = Counter[datetime](), Counter[object](), Counter[int]()
    for hour in found.hours:
        hours[hour.hour] += hour.sent
        days[hour.hour.date()] += hour.sent
        mailings[hour.mailing] += hour.sent
    slack = len(given_parts)  # each rounds on its own
    assert all(0 < sent <= rate * 3600 + slack for sent in hours.values())
    assert per_day is None or all(sent <= per_day + slack for sent in days.values())
    for outcome in found.outcomes:
        assert outcome.sent + outcome.expires == outcome.part.waiting
        assert outcome.sent == mailings[outcome.part.mailing]
        if outcome.finishes_at is not None:
            assert outcome.part.stretches[0][0] < outcome.finishes_at <= outcome.part.closes_at
