"""Names of time zones: which are accepted, and what is said of the others."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path

import pytest

from mailer_cli import zones
from mailer_cli.errors import InvalidValueError
from mailer_cli.zones import find_zone


def test_every_iana_name_has_rules_and_keeps_its_name() -> None:
    names = zones.zone_names()
    assert len(names) > 550
    assert all(str(find_zone(name)) == name for name in names)
    assert find_zone("Europe/Moscow") is find_zone("Europe/Moscow")


@pytest.fixture
def host_with_wrong_files(tmp_path: Path) -> Iterator[None]:
    """A host on which Moscow keeps the time of Tokyo."""
    tokyo = files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Moscow").write_bytes(tokyo)
    zoneinfo.reset_tzpath([tmp_path])
    zones._load.cache_clear()
    yield
    zoneinfo.reset_tzpath()


@pytest.mark.usefixtures("host_with_wrong_files")
def test_rules_come_from_the_package_whatever_the_host_has() -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert noon.astimezone(zoneinfo.ZoneInfo.no_cache("Europe/Moscow")).hour == 21
    assert noon.astimezone(find_zone("Europe/Moscow")).hour == 15


def test_the_release_of_the_rules_is_known() -> None:
    assert re.fullmatch("20[0-9]{2}[a-z]", zones.tzdata_version())


@pytest.mark.parametrize("name", ["UTC", "Etc/UTC", "GMT", "Etc/GMT+3", "Cuba", "EST5EDT", "UTC+05:45"])
def test_names_in_their_own_spelling_are_accepted(name: str) -> None:
    assert zones.canonical_zone(name) == name


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("europe/moscow", "Europe/Moscow"),
        ("Moscow", "Europe/Moscow"),
        ("Moskow", "Europe/Moscow"),
        ("Europe/Moskow", "Europe/Moscow"),
        (" Europe/Moscow", "Europe/Moscow"),
        ("America/New York", "America/New_York"),
        ("posix/Europe/Moscow", "Europe/Moscow"),
        ("right/Asia/Almaty", "Asia/Almaty"),
        ("Eastern", "Canada/Eastern or US/Eastern"),
        ("MSK", "Europe/Moscow"),
        ("EST", "America/New_York"),
        ("utc", "UTC"),
        ("UTC+0", "UTC"),
        ("UTC+3", "UTC+03:00, east of Greenwich"),
        ("GMT-3", "UTC-03:00, west of Greenwich"),
        ("+0545", "UTC+05:45, east of Greenwich"),
        ("UTC\u22123", "UTC-03:00, west of Greenwich"),
    ],
)
def test_a_misspelt_zone_is_refused_with_what_was_meant(name: str, meant: str) -> None:
    with pytest.raises(InvalidValueError) as refusal:
        find_zone(name)
    assert refusal.value.field == "timezone"
    assert refusal.value.reason.endswith(f"did you mean {meant}?")


@pytest.mark.parametrize(
    "name",
    ["", " ", "PST", "Factory", "localtime", "posixrules", "../etc/passwd", "x" * 10**6, "Москва", "Europe"],
)
def test_what_is_no_zone_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(InvalidValueError, match="name a place, such as Europe/Moscow") as refusal:
        zones.canonical_zone(name)
    assert len(str(refusal.value)) < 200


def test_control_characters_of_a_name_are_not_echoed() -> None:
    with pytest.raises(InvalidValueError) as refusal:
        zones.canonical_zone("Mos\x1b[31m\ncow")
    assert str(refusal.value).isprintable()


def test_fixed_offsets_are_the_quarter_hours_from_minus_12_to_plus_14() -> None:
    offsets = [timedelta(minutes=n) for n in range(-16 * 60, 16 * 60 + 1) if n]
    names = [str(timezone(offset)) for offset in offsets]
    accepted = {offset for name, offset in zip(names, offsets, strict=True) if _accepted(name)}
    quarters = {timedelta(minutes=15 * n) for n in range(-48, 57)} - {timedelta(0)}
    assert accepted == quarters
    assert all(find_zone(str(timezone(offset))).utcoffset(None) == offset for offset in quarters)


def _accepted(name: str) -> bool:
    try:
        return zones.canonical_zone(name) == name
    except InvalidValueError:
        return False
