"""`mailer mailing`, typed as an operator types it; every test looks at what is stored."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import factories
from conftest import Mailer
from mailer_cli.cli import output
from mailer_cli.database import Connection

FAR = ("--start", "2030-05-01 10:00", "--end", "2030-05-02 20:00")


def wall(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M")


def stored(connection: Connection) -> tuple[Any, ...]:
    row = connection.execute(
        "SELECT text, starts_at, ends_at, zone, hours, weekdays, operator_codes, tags, priority, state"
        " FROM mailing"
    ).fetchone()
    assert row is not None
    return tuple(row)


def test_what_is_created_is_stored_with_a_window_in_each_zone(mailer: Mailer, connection: Connection) -> None:
    factories.a_client(connection, timezone="Europe/Moscow")
    factories.a_client(connection, timezone="Asia/Omsk")
    ended = mailer(
        "mailing", "create", "Hello", *FAR, "--operator", "916", "--operator", "903", "--tag", "vip",
        "--between", "09:00-21:00", "--days", "mon-fri", "--priority", "5", "-o", "json",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert {"id", "state", "audience"} <= set(json.loads(ended.out))
    assert stored(connection) == (
        "Hello", datetime(2030, 5, 1, 10), datetime(2030, 5, 2, 20), None, "09:00-21:00",
        "mon,tue,wed,thu,fri", ["916", "903"], ["vip"], 5, "active",
    )  # fmt: skip
    rows = connection.execute(
        "SELECT zone, opens_at, count(*) FROM mailing_window GROUP BY zone, opens_at ORDER BY zone"
    ).fetchall()
    assert rows == [
        ("Asia/Omsk", datetime(2030, 5, 1, 4, tzinfo=UTC), 16),
        ("Europe/Moscow", datetime(2030, 5, 1, 7, tzinfo=UTC), 16),
    ]


def test_the_text_may_come_from_stdin(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Two\nlines\n"))
    assert mailer("mailing", "create", "--text", "-", *FAR).code == 0
    assert stored(connection)[0] == "Two\nlines"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("Hello", "--text", "again", *FAR), 2, "give the text once"),
        (FAR, 2, "give the text once"),
        (("  ", *FAR), 1, "text: it is empty"),
        (("Hello", "--start", "2030-05-01 10:00"), 2, "--end is missing"),
        (("Hello", "--start", "2030-05-01T10:00Z", "--end", "2030-05-02"), 1, "--zone"),
        (("Hello", "--start", "2030-05-01T10:00+03:00", "--end", "2030-05-02"), 1, "offset"),
        (("Hello", "--start", "2030-05-02", "--end", "2030-05-01"), 1, "end: it is not after the start"),
        (("Hello", *FAR, "--zone", "Moscow"), 1, "Europe/Moscow"),
        (("Hello", *FAR, "--between", "9-21"), 1, "between: "),
        (("Hello", *FAR, "--days", "funday"), 1, "days: "),
        (("Hello", *FAR, "--operator", "91"), 1, "operator code: "),
    ],
)
def test_what_cannot_be_sent_is_refused_and_nothing_is_created(
    mailer: Mailer, connection: Connection, arguments: tuple[str, ...], code: int, told: str
) -> None:
    ended = mailer("mailing", "create", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert told in " ".join(ended.err.split())
    assert connection.execute("SELECT count(*) FROM mailing").fetchone() == (0,)


def test_a_mailing_that_is_never_open_is_refused(mailer: Mailer, connection: Connection) -> None:
    factories.a_client(connection)
    ended = mailer(
        "mailing", "create", "Hello", "--start", "2030-05-01", "--end", "2030-05-02", "--days", "sun"
    )
    assert ended.code == 1
    assert "never open" in ended.err


def test_with_a_zone_it_is_one_instant_for_everybody(mailer: Mailer, connection: Connection) -> None:
    factories.a_client(connection, timezone="Asia/Omsk")
    factories.a_client(connection, timezone="Pacific/Pago_Pago")
    mailer("mailing", "create", "Hello", *FAR, "--zone", "Europe/Moscow")
    rows = connection.execute("SELECT DISTINCT opens_at FROM mailing_window").fetchall()
    assert rows == [(datetime(2030, 5, 1, 7, tzinfo=UTC),)]


@pytest.mark.parametrize(
    ("zone", "start", "opens_at", "note"),
    [
        ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29T01:30:00Z", "does not exist"),
        ("America/New_York", "2026-11-01 01:30", "2026-11-01T05:30:00Z", "occurs twice"),
    ],
)
def test_a_preview_marks_where_the_clock_skips_or_repeats_the_start(
    mailer: Mailer, connection: Connection, zone: str, start: str, opens_at: str, note: str
) -> None:
    factories.a_client(connection, timezone=zone)
    factories.a_client(connection, timezone="UTC")
    ended = mailer("mailing", "preview", "--start", start, "--end", "2027-01-01", "-o", "json")
    rows = {row["zone"]: row for row in json.loads(ended.out)}
    assert {"zone", "clients", "opens_at", "closes_at"} <= set(rows["UTC"])
    assert rows[zone]["opens_at"] == opens_at
    assert note in rows[zone]["note"]
    assert rows["UTC"]["note"] == ""


def test_a_preview_counts_who_is_late_and_who_it_is_over_for(mailer: Mailer, connection: Connection) -> None:
    factories.a_client(connection, timezone="Pacific/Pago_Pago")
    factories.a_client(connection, timezone="UTC")
    factories.a_client(connection, timezone="Pacific/Kiritimati")
    ended = mailer("mailing", "preview", "--start", wall(-3), "--end", wall(3), "-o", "json")
    rows = {row["zone"]: (row["late"], row["over"]) for row in json.loads(ended.out)}
    assert rows == {"Pacific/Pago_Pago": (0, 0), "UTC": (1, 0), "Pacific/Kiritimati": (0, 1)}


def test_a_preview_tells_the_segments_and_what_makes_them_short(
    mailer: Mailer, connection: Connection
) -> None:
    factories.clients(connection, 3)
    ended = mailer("mailing", "preview", "--text", "П" * 71, *FAR)
    assert "2 SMS segments in UCS-2" in ended.err
    assert "x 3 clients = 6 segments" in ended.err
    assert "'П'" in ended.err


def test_a_filter_that_matches_nobody_or_everybody_is_said_aloud(
    mailer: Mailer, connection: Connection
) -> None:
    factories.clients(connection, 3, tag="vip")
    assert "matches nobody" in mailer("mailing", "preview", "--tag", "none", *FAR).err
    assert "every client there is: 3" in mailer("mailing", "preview", "--tag", "vip", *FAR).err


def test_on_a_terminal_it_asks_and_a_no_creates_nothing(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(output, "interactive", lambda: True)

    def decline(question: str) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(output, "ask", decline)
    ended = mailer("mailing", "create", "Hello", *FAR)
    assert (ended.code, asked) == (1, ["Create this mailing?"])
    assert "nothing was created" in ended.err
    assert connection.execute("SELECT count(*) FROM mailing").fetchone() == (0,)
    assert mailer("mailing", "create", "Hello", *FAR, "--yes").code == 0


def test_an_edit_moves_the_windows_and_is_on_record(mailer: Mailer, connection: Connection) -> None:
    factories.a_client(connection, timezone="UTC")
    mailer("mailing", "create", "Hello", *FAR)
    ended = mailer("mailing", "update", "1", "--text", "Bye", "--end", "2030-05-03 20:00")
    assert ended.code == 0, ended.err
    assert connection.execute("SELECT DISTINCT closes_at FROM mailing_window").fetchall() == [
        (datetime(2030, 5, 3, 20, tzinfo=UTC),)
    ]
    assert connection.execute("SELECT old, new FROM event WHERE action = 'mailing updated'").fetchone() == (
        {"text": "Hello", "ends_at": "2030-05-02 20:00:00"},
        {"text": "Bye", "ends_at": "2030-05-03 20:00:00"},
    )
    assert connection.execute("SELECT version FROM mailing").fetchone() == (2,)


def test_options_can_be_taken_back(mailer: Mailer, connection: Connection) -> None:
    mailer(
        "mailing", "create", "Hello", *FAR, "--zone", "UTC", "--tag", "a", "--operator", "916",
        "--between", "09:00-10:00", "--days", "wed",
    )  # fmt: skip
    cleared = ("--no-zone", "--all-tags", "--all-operators", "--no-between", "--no-days")
    assert mailer("mailing", "update", "1", *cleared).code == 0
    assert stored(connection)[3:8] == (None, None, None, [], [])
    assert mailer("mailing", "update", "1", "--tag", "a", "--all-tags").code == 2


def test_states_follow_each_other_and_nothing_else(mailer: Mailer, connection: Connection) -> None:
    mailer("mailing", "create", "Hello", *FAR, "--draft")
    assert mailer("mailing", "pause", "1").code == 1
    for command, state in (
        ("resume", "active"),
        ("pause", "paused"),
        ("pause", "paused"),
        ("resume", "active"),
    ):
        assert mailer("mailing", command, "1").code == 0
        assert stored(connection)[-1] == state
    assert mailer("mailing", "cancel", "1").code == 1
    assert mailer("mailing", "cancel", "1", "--dry-run").code == 0
    assert stored(connection)[-1] == "active"
    assert mailer("mailing", "cancel", "1", "--yes").code == 0
    for command in ("pause", "resume", "refresh"):
        assert mailer("mailing", command, "1").code == 1
    assert "was cancelled already" in mailer("mailing", "cancel", "1").err


def test_a_draft_has_an_audience_and_no_windows(mailer: Mailer, connection: Connection) -> None:
    factories.clients(connection, 4)
    ended = mailer("mailing", "create", "Hello", *FAR, "--draft", "-o", "json")
    assert json.loads(ended.out)["audience"] == 4
    assert json.loads(mailer("mailing", "show", "1", "-o", "json").out)["audience"] == 4
    assert connection.execute("SELECT count(*) FROM mailing_window").fetchone() == (0,)


def test_an_unknown_mailing_is_named(mailer: Mailer) -> None:
    for command in (("show",), ("pause",), ("cancel", "--yes"), ("refresh",), ("preview",)):
        ended = mailer("mailing", command[0], "12", *command[1:])
        assert ended.code == 1
        assert "no mailing 12; see `mailer mailing list`" in ended.err


def test_the_list_is_newest_first_and_empty_is_no_error(mailer: Mailer) -> None:
    assert json.loads(mailer("mailing", "list", "-o", "json").out) == []
    assert "mailer mailing create" in mailer("mailing", "list").err
    mailer("mailing", "create", "One", *FAR)
    mailer("mailing", "create", "Two", *FAR, "--draft")
    assert [row["text"] for row in json.loads(mailer("mailing", "list", "-o", "json").out)] == ["Two", "One"]
    drafts = mailer("mailing", "list", "--state", "draft", "-o", "json").out
    assert [row["text"] for row in json.loads(drafts)] == ["Two"]


def test_hostile_text_is_shown_literally(mailer: Mailer) -> None:
    mailer("mailing", "create", "[bold]\x1b[31m", *FAR)
    for command in (("list",), ("show", "1"), ("show", "1", "-o", "json")):
        shown = mailer("mailing", *command).out
        assert "\x1b" not in shown
        assert "[bold]" in shown
