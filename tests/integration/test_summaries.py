"""A large mailing's breakdowns are kept when it is over, and are never what they no longer are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import factories
from conftest import Mailer
from mailer_cli import reports, summaries
from mailer_cli.aspects import Breakdown
from mailer_cli.database import Connection
from mailer_cli.statuses import Status

NOW = datetime.now(UTC)
KEPT = ("zones", "operators", "tags", "errors")


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summaries, "LIVE", 2)


@pytest.fixture
def mailing(connection: Connection) -> int:
    """Three sent, one failed, one in doubt, in two zones."""
    made = factories.a_mailing(connection, text="Sale")
    for zone, status, error in (
        ("Europe/Moscow", "sent", None),
        ("Europe/Moscow", "sent", None),
        ("Asia/Omsk", "sent", None),
        ("Asia/Omsk", "failed", "HTTP 400"),
        ("Asia/Omsk", "unknown", "lost"),
    ):
        client = factories.a_client(connection, timezone=zone, tag="vip")
        factories.a_message(connection, made, client, status, error=error)
    for zone in ("Europe/Moscow", "Asia/Omsk"):
        times = {"opens_at": NOW - timedelta(hours=3), "closes_at": NOW - timedelta(hours=2)}
        factories.an_open_window(connection, made, zone=zone, **times)
    factories.close_windows(connection, made)
    return made


def report(mailer: Mailer, mailing: int) -> dict[str, Any]:
    [row] = json.loads(mailer("report", str(mailing), "-o", "json").out)
    assert isinstance(row, dict)
    return row


def test_what_was_kept_is_what_reading_all_messages_gives(
    connection: Connection, mailer: Mailer, mailing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert summaries.keep(connection, mailing)
    kept = report(mailer, mailing)
    monkeypatch.setattr(summaries, "LIVE", 1_000)
    assert kept == report(mailer, mailing)
    assert [part["sent"] for part in kept["zones"]] == [1, 2]
    assert [part["error"] for part in kept["errors"]] == ["HTTP 400", "lost"]


def test_what_was_kept_is_read_without_the_messages(
    connection: Connection, mailer: Mailer, mailing: int
) -> None:
    summaries.keep(connection, mailing)
    before = report(mailer, mailing)
    connection.execute("DELETE FROM message")  # as purge does
    assert report(mailer, mailing) == before


def test_a_large_mailing_that_is_going_on_is_not_read_unless_asked_for(mailer: Mailer, mailing: int) -> None:
    row = report(mailer, mailing)
    assert [row[name] for name in KEPT] == [None] * 4
    assert row["sent"] == 3
    assert row["hours"] != []
    told = mailer("report", str(mailing))
    assert (
        "by zone, operator, tag, error: kept when it is over; --by reads all of its messages now" in told.err
    )
    zones = json.loads(mailer("report", str(mailing), "--by", "zone", "-o", "json").out)
    assert [zone["sent"] for zone in zones] == [1, 2]


def test_what_is_no_longer_true_is_not_told(connection: Connection, mailer: Mailer, mailing: int) -> None:
    summaries.keep(connection, mailing)
    doubtful = connection.execute(
        "SELECT mailing_id * 4294967296 + client_id FROM message WHERE status = 'unknown'"
    ).fetchone()
    assert doubtful is not None
    assert mailer("message", "resolve", str(doubtful[0]), "--as", "sent").code == 0
    row = report(mailer, mailing)
    assert (row["sent"], row["unknown"], row["zones"]) == (4, 0, None)


def test_a_small_mailing_is_read_and_nothing_kept(
    connection: Connection, mailing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summaries, "LIVE", 5)
    assert not summaries.keep(connection, mailing)
    assert connection.execute("SELECT count(*) FROM summary").fetchone() == (0,)


def test_dispatch_keeps_them_when_a_mailing_is_over(
    connection: Connection, mailer: Mailer, mailing: int
) -> None:
    connection.execute(
        "UPDATE mailing SET state = 'active', finished_at = NULL, zone = 'UTC',"
        " starts_at = now() - interval '3 hours', ends_at = now() - interval '2 hours'"
    )
    assert mailer("dispatch").code == 0
    aspects = connection.execute("SELECT aspect FROM summary ORDER BY 1").fetchall()
    assert aspects == [("error",), ("operator",), ("tag",), ("zone",)]
    with reports.snapshot(connection):
        [total] = reports.totals(connection, mailing=mailing)
        parts = summaries.parts(connection, total, Breakdown.OPERATOR)
    assert parts is not None
    assert sum(getattr(part, Status.SENT) for part in parts) == 3
