"""Hours and days as operators write them."""

from __future__ import annotations

from datetime import date, time

import pytest

from mailer_cli.errors import InvalidValueError
from mailer_cli.hours import Hours, format_days, parse_days


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("09:00-21:00", "09:00-21:00"),
        (" 9:00 - 21:30 ", "09:00-21:30"),
        ("22:00-06:00", "22:00-06:00"),
        ("00:00-24:00", "00:00-24:00"),
        ("18:00-24:00", "18:00-24:00"),
        ("18:00-00:00", "18:00-24:00"),
    ],
)
def test_hours_are_written_back_in_one_form(text: str, canonical: str) -> None:
    assert str(Hours.parse(text)) == canonical
    assert Hours.parse(canonical) == Hours.parse(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("09:00-09:00", "start and end at 09:00: for the whole day write 00:00-24:00"),
        ("00:00-00:00", "start and end at 00:00"),
        ("24:00-06:00", "no time of day"),
        ("24:00-24:00", "start and end at 24:00"),
        ("09:00-24:01", "no time of day"),
        ("09:60-21:00", "no time of day"),
        ("9-21", "write hours as 09:00-21:00"),
        ("", "write hours as 09:00-21:00"),
        ("٠٩:٠٠-٢١:٠٠", "write hours as 09:00-21:00"),
    ],
)
def test_hours_that_say_nothing_are_refused_with_the_form(text: str, reason: str) -> None:
    with pytest.raises(InvalidValueError, match=reason) as refusal:
        Hours.parse(text, field="between")
    assert refusal.value.field == "between"


def test_equal_hours_are_refused_however_they_are_made() -> None:
    with pytest.raises(InvalidValueError, match="start and end at 10:00"):
        Hours(time(10), time(10))


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("mon", "mon"),
        ("Sun, MON", "mon,sun"),
        ("mon-fri", "mon,tue,wed,thu,fri"),
        ("fri-mon", "mon,fri,sat,sun"),
        ("mon-wed,tue-thu,sat", "mon,tue,wed,thu,sat"),
        ("tue-tue", "tue"),
    ],
)
def test_days_are_written_back_in_the_order_of_the_week(text: str, canonical: str) -> None:
    assert format_days(parse_days(text)) == canonical
    assert parse_days(canonical) == parse_days(text)


@pytest.mark.parametrize("text", ["", "mon,", "monday", "mon-", "-fri", "пн", "mon-tue-wed", "0"])
def test_what_is_no_day_is_refused_with_the_names(text: str) -> None:
    with pytest.raises(InvalidValueError, match="mon, tue, wed, thu, fri, sat, sun"):
        parse_days(text)


def test_days_of_the_week_start_with_monday() -> None:
    assert parse_days("mon") == {date(2026, 7, 6).weekday()} == {0}
