"""How late messages were sent, and when: histograms that cost the same however many there are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import factories
from conftest import Mailer
from mailer_cli import pace
from mailer_cli.database import Connection
from mailer_cli.histogram import LATENESS
from mailer_cli.ids import SHARDS

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


@given(st.floats(0, 10**7))
def test_the_middle_of_a_bucket_is_within_a_tenth_of_what_fell_into_it(seconds: float) -> None:
    middle = LATENESS.middle(LATENESS.bucket(seconds))
    assert abs(middle - seconds) <= max(0.1, 0.1 * seconds)


@given(st.floats(0, 10**6), st.floats(0, 10**6))
def test_who_is_later_is_never_in_an_earlier_bucket(one: float, other: float) -> None:
    assert LATENESS.bucket(min(one, other)) <= LATENESS.bucket(max(one, other))


def test_percentiles_are_read_from_the_histogram() -> None:
    parts = [
        pace.Part(LATENESS.bucket(1.0), 90, 1.0),
        pace.Part(LATENESS.bucket(60.0), 9, 61.0),
        pace.Part(LATENESS.bucket(4000.0), 1, 4000.0),
    ]
    late = pace.lateness(parts)
    assert late is not None
    assert late.p50 == pytest.approx(1.0, rel=0.1)
    assert late.p95 == pytest.approx(60.0, rel=0.1)
    assert late.max == 4000.0


def test_what_an_operator_found_out_has_an_hour_and_no_lateness() -> None:
    assert pace.lateness([pace.Part(pace.UNTOLD, 5, 0.0)]) is None


def test_sendings_add_up_over_batches(connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    for _ in range(2):
        sendings = pace.Sendings()
        for seconds in (0.05, 3, 3700):
            sendings.sent(mailing, NOON, NOON + timedelta(seconds=seconds))
        with connection.transaction():
            sendings.write(connection, 3)
    found = connection.execute("SELECT shard, hour, sent, latest FROM pace ORDER BY hour, latest").fetchall()
    assert found == [
        (3, NOON, 2, 0.05),
        (3, NOON, 2, 3.0),
        (3, NOON + timedelta(hours=1), 2, 3700.0),
    ]


def a_day(connection: Connection) -> int:
    """A mailing of which three were sent on the second of November, 2, 4 and 300 seconds late."""
    mailing = factories.a_mailing(connection, text="Sale")
    factories.an_open_window(connection, mailing, opens_at=NOON, closes_at=NOON + timedelta(hours=1))
    for seconds in (2, 4, 300):
        message = factories.a_message(
            connection,
            mailing,
            factories.a_client(connection),
            sent_at=NOON + timedelta(seconds=seconds),
        )
        connection.execute(
            "UPDATE pace SET bucket = %s, latest = %s WHERE bucket = -1", [LATENESS.bucket(seconds), seconds]
        )
    factories.a_failed_attempt(connection, message, attempted_at=NOON + timedelta(minutes=1))
    return mailing


def test_a_report_tells_how_late_messages_were_sent(mailer: Mailer, connection: Connection) -> None:
    mailing = a_day(connection)
    [row] = json.loads(mailer("report", str(mailing), "-o", "json").out)
    assert row["late_p50"] == pytest.approx(4, rel=0.1)
    assert row["late_max"] == 300
    assert "half within" in mailer("report", str(mailing)).out


def test_hours_are_drawn_as_a_histogram(mailer: Mailer, connection: Connection) -> None:
    mailing = a_day(connection)
    told = mailer("report", str(mailing), "--by", "hour").out
    assert "histogram" in told
    assert told.count("█") == 30


def test_the_daily_report_tells_what_happened_on_that_day(mailer: Mailer, connection: Connection) -> None:
    a_day(connection)
    told = mailer("report", "--daily", "--date", "2026-11-02")
    assert told.code == 0
    assert told.out.startswith("2026-11-02 (UTC): 3 sent; half within")
    assert "503 Service Unavailable" in told.out
    [row] = json.loads(mailer("report", "--daily", "--date", "2026-11-02", "-o", "json").out)
    assert (row["date"], row["text"], row["sent_that_day"]) == ("2026-11-02", "Sale", 3)


def test_the_daily_report_says_nothing_when_nothing_happened(mailer: Mailer, connection: Connection) -> None:
    a_day(connection)
    told = mailer("report", "--daily", "--date", "2026-11-05")
    assert (told.code, told.out, told.err) == (0, "", "")


def test_the_daily_report_is_of_yesterday_unless_told_otherwise(
    mailer: Mailer, connection: Connection
) -> None:
    mailing = factories.a_mailing(connection)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    connection.execute("UPDATE mailing SET ends_at = now() + interval '1 day'")
    factories.a_message(connection, mailing, factories.a_client(connection), sent_at=yesterday)
    [row] = json.loads(mailer("report", "--daily", "-o", "json").out)
    assert (row["date"], row["sent_that_day"]) == (yesterday.date().isoformat(), 1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--date", "2026-11-02"], "--date goes with --daily"),
        (["--daily", "--by", "zone"], "--daily goes with --date and -o only"),
        (["--daily", "--date", "yesterday"], "'yesterday' is no date"),
        (["--since", "a while"], "'a while' is not understood"),
        (["--since", "2026-02-30"], "no day of the calendar"),
    ],
)
def test_what_does_not_go_together_is_refused(mailer: Mailer, words: list[str], told: str) -> None:
    ended = mailer("report", *words)
    assert ended.code in {1, 2}
    assert told in " ".join(ended.err.replace("│", " ").split())


def test_since_leaves_out_what_was_over_before(mailer: Mailer, connection: Connection) -> None:
    old = factories.a_mailing(connection, finished_at=datetime.now(UTC) - timedelta(days=8), state="finished")
    recent = factories.a_mailing(
        connection, finished_at=datetime.now(UTC) - timedelta(days=2), state="finished"
    )
    going = factories.a_mailing(connection)
    shown = [row["mailing"] for row in json.loads(mailer("report", "--since", "7d", "-o", "json").out)]
    assert shown == [going, recent]
    assert old not in shown


def test_shards_are_all_read(connection: Connection, mailer: Mailer) -> None:
    mailing = factories.a_mailing(connection)
    for shard in range(SHARDS):
        sendings = pace.Sendings()
        sendings.sent(mailing, NOON, NOON)
        sendings.write(connection, shard)
    [row] = json.loads(mailer("report", str(mailing), "--by", "hour", "-o", "json").out)
    assert row["sent"] == SHARDS
