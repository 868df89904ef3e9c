"""`mailer mailing simulate`: when it would be sent, by the clients' own clocks, and what would expire."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest

import factories
from conftest import Mailer
from mailer_cli.database import Connection
from terminal import on_a_terminal

NEXT_YEAR = datetime.now(UTC).year + 1
TEN_TO_ELEVEN = ("--start", f"{NEXT_YEAR}-06-01 10:00", "--end", f"{NEXT_YEAR}-06-01 11:00", "--yes")


def a_mailing(mailer: Mailer, *options: str) -> str:
    made = mailer("mailing", "create", "Hello", *TEN_TO_ELEVEN, *options, "-o", "json")
    assert made.code == 0, made.err
    return str(json.loads(made.out)["id"])


def simulated(mailer: Mailer, *argv: str) -> dict[str, object]:
    told = mailer("mailing", "simulate", *argv, "-o", "json")
    assert told.code == 0, told.err
    found: dict[str, object] = json.loads(told.out)
    return found


def test_each_zone_is_sent_at_its_own_ten_oclock(mailer: Mailer, connection: Connection) -> None:
    factories.clients(connection, 3, timezone="Europe/Moscow")
    factories.clients(connection, 2, timezone="Asia/Omsk")
    found = simulated(mailer, a_mailing(mailer), "--rate", "1")
    assert found["hours"] == [
        {
            "hour": f"{NEXT_YEAR}-06-01T04:00:00Z",
            "zone": "Asia/Omsk",
            "local_hour": f"{NEXT_YEAR}-06-01 10:00",
            "sent": 2,
        },
        {
            "hour": f"{NEXT_YEAR}-06-01T07:00:00Z",
            "zone": "Europe/Moscow",
            "local_hour": f"{NEXT_YEAR}-06-01 10:00",
            "sent": 3,
        },
    ]
    assert (found["sent"], found["expires"]) == (5, 0)
    assert found["finishes_at"] == f"{NEXT_YEAR}-06-01T07:00:03Z"


def test_what_the_rate_cannot_do_before_the_end_expires(mailer: Mailer, connection: Connection) -> None:
    factories.clients(connection, 8)
    number = a_mailing(mailer)
    found = simulated(mailer, number, "--rate", "0.001")
    assert (found["sent"], found["expires"]) == (4, 4)
    told = mailer("mailing", "simulate", number, "--rate", "0.001")
    assert "4 would expire: raise the rate, or give it a later end" in told.err


def test_a_draft_is_looked_at_as_if_it_were_active(mailer: Mailer, connection: Connection) -> None:
    factories.clients(connection, 4, tag="vip")
    factories.clients(connection, 4)
    number = a_mailing(mailer, "--tag", "vip", "--draft")
    assert simulated(mailer, number, "--rate", "1")["sent"] == 4
    assert "is a draft" in mailer("mailing", "simulate", number, "--rate", "1").err
    assert connection.execute("SELECT state FROM mailing").fetchall() == [("draft",)]


def test_other_mailings_take_their_turns_and_a_paused_one_takes_none(
    mailer: Mailer, connection: Connection
) -> None:
    factories.clients(connection, 2)
    number, other = a_mailing(mailer), a_mailing(mailer, "--priority", "5")
    busy = simulated(mailer, number, "--rate", "0.001")
    assert (busy["sent"], busy["others"]) == (2, 2)
    mailer("mailing", "pause", other)
    free = simulated(mailer, number, "--rate", "0.001")
    assert (free["sent"], free["others"]) == (2, 0)
    assert str(free["finishes_at"]) < str(busy["finishes_at"])


def test_without_a_rate_it_goes_as_fast_as_of_late(mailer: Mailer, connection: Connection) -> None:
    factories.clients(connection, 2)
    number = a_mailing(mailer)
    refused = mailer("mailing", "simulate", number)
    assert (refused.code, refused.out) == (1, "")
    assert "give --rate N" in refused.err
    factories.a_run(connection, datetime.now(UTC) - timedelta(hours=5), sent=60)
    assert simulated(mailer, number)["per_second"] == 20.0


def test_the_limits_in_the_settings_hold(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.clients(connection, 3)
    number = a_mailing(mailer)
    monkeypatch.setenv("MAILER_RATE_PER_SECOND", "0.001")
    assert simulated(mailer, number, "--rate", "50")["per_second"] == 0.001
    assert simulated(mailer, number)["per_second_source"] == "MAILER_RATE_PER_SECOND"
    monkeypatch.setenv("MAILER_RATE_PER_DAY", "2")
    assert (simulated(mailer, number)["sent"], simulated(mailer, number)["expires"]) == (2, 1)


def test_csv_has_a_row_for_each_hour_and_zone(mailer: Mailer, connection: Connection) -> None:
    factories.clients(connection, 2)
    told = mailer("mailing", "simulate", a_mailing(mailer), "--rate", "1", "-o", "csv")
    [row] = csv.DictReader(io.StringIO(told.out))
    assert (row["zone"], row["sent"]) == ("Europe/Moscow", "2")


def test_the_tables_fit_a_terminal(mailer: Mailer, connection: Connection) -> None:
    for zone in ("Europe/Moscow", "America/Argentina/ComodRivadavia", "Asia/Omsk"):
        factories.clients(connection, 2, timezone=zone)
    told = on_a_terminal(mailer)("mailing", "simulate", a_mailing(mailer), "--rate", "0.001")
    assert told.code == 0
    assert all(len(line) <= 80 for line in told.out.splitlines())
    assert "Asia/Omsk" in told.out


def test_a_mailing_that_is_over_has_nothing_to_simulate(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection, state="finished", finished_at=datetime.now(UTC))
    told = mailer("mailing", "simulate", str(mailing), "--rate", "1")
    assert (told.code, told.out) == (1, "")
    assert f"see `mailer report {mailing}`" in told.err


def test_an_unknown_mailing_is_said_to_be_so(mailer: Mailer) -> None:
    assert "no mailing 7" in mailer("mailing", "simulate", "7", "--rate", "1").err
