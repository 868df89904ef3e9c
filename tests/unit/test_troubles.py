"""A trouble is told when it begins, now and then while it lasts, and when it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailer_cli.troubles import Memory, Trouble

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
AWAY = Trouble("database", "the database is away")


@pytest.fixture
def memory(tmp_path: Path) -> Memory:
    return Memory(tmp_path / "state" / "mailer" / "troubles.json", HOUR)


def told(memory: Memory, minute: float, *seen: Trouble, everything: bool = True) -> list[tuple[str, str]]:
    news, failure = memory.news(seen, NOON + timedelta(minutes=minute), everything=everything)
    assert not failure
    return [(each.kind, each.says) for each in news]


def test_sixty_failing_ticks_tell_it_once(memory: Memory) -> None:
    said = [told(memory, minute, AWAY, everything=False) for minute in range(60)]
    assert said == [[("begins", "the database is away")], *[[]] * 59]


def test_it_is_told_again_after_the_hour_in_its_latest_words(memory: Memory) -> None:
    told(memory, 0, AWAY)
    later = Trouble("database", "the database starts up")
    assert told(memory, 60, later) == [("goes on", "the database starts up")]
    assert told(memory, 61, later) == []


def test_it_is_over_after_five_calm_minutes_with_when_it_began_and_ended(memory: Memory) -> None:
    for minute in range(10):
        told(memory, minute, AWAY)
    assert told(memory, 13.9) == []
    [news], _ = memory.news([], NOON + timedelta(minutes=14), everything=True)
    assert (news.kind, news.since, news.seen) == ("is over", NOON, NOON + timedelta(minutes=9))
    assert told(memory, 15) == []
    assert not memory.file.exists()


def test_what_comes_and_goes_is_one_trouble(memory: Memory) -> None:
    said = [told(memory, minute, *([AWAY] if minute % 3 == 0 else [])) for minute in range(59)]
    assert said == [[("begins", "the database is away")], *[[]] * 58]


def test_a_run_that_did_not_come_far_ends_no_trouble(memory: Memory) -> None:
    told(memory, 0, Trouble("token", "the token is rejected"))
    assert told(memory, 10, AWAY, everything=False) == [("begins", "the database is away")]
    assert told(memory, 30) == [("is over", "the token is rejected"), ("is over", "the database is away")]


def test_what_nothing_waits_for_is_neither_begun_nor_repeated_and_yet_not_over(memory: Memory) -> None:
    idle = Trouble("service", "the service fails", pressing=False)
    assert told(memory, 0, idle) == []
    told(memory, 1, Trouble("service", "the service fails"))
    assert [told(memory, minute, idle) for minute in range(2, 200)] == [[]] * 198


def test_a_reminder_of_zero_tells_it_every_time(memory: Memory) -> None:
    always = Memory(memory.file, timedelta(0))
    assert [told(always, minute, AWAY)[0][0] for minute in range(3)] == ["begins", "goes on", "goes on"]
    assert told(always, 3) == [("is over", "the database is away")]


def test_a_clock_that_was_put_back_by_a_day_silences_nothing(memory: Memory) -> None:
    told(memory, 0, AWAY)
    assert told(memory, -1440, AWAY) == [("goes on", "the database is away")]


GARBAGE = {
    "empty": "",
    "cut off": "{",
    "a list": "[]",
    "null": "null",
    "numbers": '{"database": 1}',
    "too little": '{"database": {"says": "x"}}',
    "no times": '{"database": {"says": "x", "since": "yesterday", "told": "never", "seen": "2026-11-23"}}',
    "bytes": "\x00\xff",
    "deep": "[" * 100_000,
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_an_empty_memory(memory: Memory, garbage: str) -> None:
    memory.file.parent.mkdir(parents=True)
    memory.file.write_text(garbage, encoding="latin-1")
    assert told(memory, 0, AWAY) == [("begins", "the database is away")]
    assert told(memory, 1, AWAY) == []


def test_where_nothing_can_be_written_every_run_tells_it_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    memory = Memory(tmp_path / "file" / "troubles.json", HOUR)
    for minute in range(2):
        news, failure = memory.news([AWAY], NOON + timedelta(minutes=minute), everything=False)
        assert [each.kind for each in news] == ["begins"]
        assert "troubles.json: " in failure


def test_nothing_but_the_file_is_left_and_only_its_owner_reads_it(memory: Memory) -> None:
    told(memory, 0, AWAY)
    assert [path.name for path in memory.file.parent.iterdir()] == ["troubles.json"]
    assert memory.file.parent.stat().st_mode & 0o077 == 0
