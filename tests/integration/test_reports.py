from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql

import factories
from conftest import Ended, Mailer
from mailer_cli import database, reports
from mailer_cli.aspects import Breakdown
from mailer_cli.database import Connection, Dsn
from mailer_cli.errors import NotFoundError
from mailer_cli.ids import message_id
from mailer_cli.statuses import Status
from terminal import on_a_terminal

STATUSES = [status.value for status in Status]
TOTAL_KEYS = [
    *("mailing", "state", "text", "starts_at", "ends_at", "opens_at", "closes_at", "finished_at"),
    *("audience", "waiting", "sending", "retrying", "sent", "failed", "unknown", "expired", "cancelled"),
    *("late_p50", "late_p95", "late_max"),
]
KALININGRAD = "Europe/Kaliningrad"


def rows(ended: Ended) -> list[dict[str, Any]]:
    assert (ended.code, ended.err) == (0, "")
    found = json.loads(ended.out)
    assert isinstance(found, list)
    return found


def report(mailer: Mailer, *argv: str) -> list[dict[str, Any]]:
    return rows(mailer("report", *argv, "-o", "json"))


def balanced(row: dict[str, Any]) -> bool:
    return bool(row["waiting"] + sum(row[status] for status in STATUSES) == row["audience"])


def in_table(connection: Connection, mailing: int) -> dict[str, int]:
    """What the messages themselves say."""
    counted = connection.execute(
        "SELECT status, count(*) FROM message WHERE mailing_id = %s GROUP BY status", [mailing]
    ).fetchall()
    return {status: dict(counted).get(status, 0) for status in STATUSES}


def one_of_each(connection: Connection, mailing: int, **client: Any) -> None:
    for number, status in enumerate(STATUSES, start=1):
        for client_id in factories.clients(connection, number, **client):
            factories.a_message(connection, mailing, client_id, status)


@pytest.fixture
def typed(mailer: Mailer) -> Mailer:
    """The same commands, typed on a terminal of 80 columns."""
    return on_a_terminal(mailer)


# What scripts rely on


def test_an_empty_database_has_nothing_to_report_and_says_what_to_do_next(mailer: Mailer) -> None:
    told = mailer("report")
    assert (told.code, told.out) == (0, "")
    assert "no mailings yet; make one with `mailer mailing create" in told.err
    assert report(mailer) == []
    assert mailer("report", "-o", "jsonl").out == ""
    assert mailer("report", "-o", "csv").out == ",".join(TOTAL_KEYS) + "\n"
    assert report(mailer, "--by", "zone") == []


def test_each_mailing_is_a_row_with_these_keys_newest_first(mailer: Mailer, connection: Connection) -> None:
    old, new = factories.a_mailing(connection), factories.a_mailing(connection, text="Second")
    found = report(mailer)
    assert [row["mailing"] for row in found] == [new, old]
    assert [list(row) for row in found] == [TOTAL_KEYS, TOTAL_KEYS]
    assert found[0]["text"] == "Second"
    assert found[0]["starts_at"] == "2026-11-02 10:00"
    assert found[0]["state"] == "active"


def test_the_limit_keeps_the_newest(mailer: Mailer, connection: Connection) -> None:
    ids = [factories.a_mailing(connection) for _ in range(3)]
    assert [row["mailing"] for row in report(mailer, "--limit", "2")] == [ids[2], ids[1]]


def test_a_mailing_in_detail_is_one_row_with_its_breakdowns(mailer: Mailer, connection: Connection) -> None:
    factories.a_mailing(connection)
    mailing = factories.a_mailing(connection)
    client = factories.a_client(connection, tag="vip", operator_code="903")
    factories.an_open_window(connection, mailing)
    factories.a_message(connection, mailing, client, "failed", http_status=400, error="400 Bad Request")
    [row] = report(mailer, str(mailing))
    assert list(row) == [*TOTAL_KEYS, "zones", "operators", "tags", "hours", "errors"]
    none = dict.fromkeys(STATUSES, 0)
    [zone] = row["zones"]
    assert list(zone) == ["zone", "opens_at", "closes_at", "audience", "waiting", *STATUSES]
    assert (zone["zone"], zone["audience"], zone["waiting"], zone["failed"]) == ("Europe/Moscow", 1, 0, 1)
    assert zone["opens_at"].endswith("Z")
    assert row["operators"] == [{"operator": "903", **none, "failed": 1}]
    assert row["tags"] == [{"tag": "vip", **none, "failed": 1}]
    assert row["hours"] == []
    error = {"http_status": 400, "error": "400 Bad Request", "count": 1}
    sample = {"message_id": message_id(mailing, client)}
    assert row["errors"] == [{**error, **sample, **none, "failed": 1}]


def test_csv_has_the_totals_alone(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection, text="Hello, you")
    heading, row = mailer("report", str(mailing), "-o", "csv").out.splitlines()
    assert heading == ",".join(TOTAL_KEYS)
    assert row == f'{mailing},active,"Hello, you",2026-11-02 10:00,2026-11-02 20:00,,,,0,0,0,0,0,0,0,0,0,,,'


def test_an_unknown_mailing_is_refused_with_where_to_look(mailer: Mailer) -> None:
    told = mailer("report", "12")
    assert (told.code, told.out) == (1, "")
    assert told.err == "mailer: no mailing 12; see `mailer mailing list`\n"


@pytest.mark.parametrize("argv", [["--by", "colour"], ["0"], ["seven"], ["99999999999"], ["--limit", "0"]])
def test_what_cannot_be_meant_is_a_usage_error(run: Mailer, argv: list[str]) -> None:
    told = run("report", *argv)
    assert told.code == 2
    if "--by" in argv:
        assert all(known in told.err for known in ("zone", "operator", "tag", "hour", "error"))


# The numbers


def test_counts_are_those_of_the_messages(mailer: Mailer, connection: Connection) -> None:
    mailing, other = factories.a_mailing(connection), factories.a_mailing(connection)
    factories.an_open_window(connection, mailing)
    factories.an_open_window(connection, other)
    one_of_each(connection, mailing)
    factories.a_message(connection, other, factories.a_client(connection), "sent")
    [row] = report(mailer, str(mailing))
    assert {status: row[status] for status in STATUSES} == in_table(connection, mailing)
    assert row["audience"] == sum(range(1, 8))
    assert balanced(row)


def test_the_sum_holds_from_the_plan_to_the_end(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    clients = factories.clients(connection, 5)

    def now() -> tuple[int, int]:
        [row] = report(mailer)
        assert balanced(row)
        return row["audience"], row["waiting"]

    assert now() == (0, 0)
    factories.a_planned_window(connection, mailing)
    assert now() == (5, 5)
    connection.execute("DELETE FROM mailing_window")
    factories.an_uncounted_window(connection, mailing)
    assert now() == (5, 5)
    factories.a_message(connection, mailing, clients[0], "sending")
    assert now() == (5, 4)
    connection.execute("DELETE FROM mailing_window WHERE mailing_id = %s", [mailing])
    factories.an_open_window(connection, mailing)
    connection.execute("UPDATE mailing_window SET claimed = 1 WHERE shard = %s", [clients[0] % 16])
    assert now() == (5, 4)
    for client, status in zip(clients[1:], ["sent", "failed", "unknown", "expired"], strict=True):
        factories.a_message(connection, mailing, client, status)
        assert now()[0] == 5
    factories.close_windows(connection, mailing)
    assert now() == (5, 0)


def test_a_planned_audience_is_who_matches_now(mailer: Mailer, connection: Connection) -> None:
    now = datetime.now(UTC)
    factories.clients(connection, 3, tag="vip", operator_code="903")
    factories.a_client(connection, tag="vip", operator_code="916")
    factories.a_client(connection, operator_code="903")
    factories.a_client(connection, tag="vip", operator_code="903", muted_at=now)
    factories.a_client(connection, tag="vip", operator_code="903", removed_at=now)
    factories.a_client(connection, tag="vip", operator_code="903", timezone=KALININGRAD)
    filters: list[dict[str, Any]] = [
        {},
        {"tags": ["vip"]},
        {"operator_codes": ["903"]},
        {"tags": ["vip", "new"], "operator_codes": ["903"]},
    ]
    for each in filters:
        factories.a_planned_window(connection, factories.a_mailing(connection, **each))
    assert [row["audience"] for row in reversed(report(mailer))] == [5, 4, 4, 3]


def test_a_frozen_audience_is_who_matched_when_it_was_frozen(mailer: Mailer, connection: Connection) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    stayed = factories.clients(connection, 4)
    factories.a_client(connection, muted_at=past)
    factories.a_client(connection, removed_at=past)
    mailing = factories.a_mailing(connection)
    factories.an_uncounted_window(connection, mailing)
    connection.execute("UPDATE client SET muted_at = now() WHERE id = %s", [stayed[0]])
    connection.execute("UPDATE client SET removed_at = now() WHERE id = %s", [stayed[1]])
    factories.clients(connection, 16)
    [row] = report(mailer)
    assert row["audience"] == 4
    assert balanced(row)


def test_a_counted_audience_is_not_counted_again(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    factories.clients(connection, 2)
    factories.an_open_window(connection, mailing)
    connection.execute("UPDATE mailing_window SET audience = 1000 WHERE shard = 0")
    [row] = report(mailer)
    assert row["audience"] >= 1000


def test_clients_are_not_read_when_no_window_needs_it(connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    factories.clients(connection, 20)
    factories.an_open_window(connection, mailing)
    plan = explained(connection, "report_audience", mailings=[mailing], by_zone=False)
    scans = [node for node in plan if node.get("Relation Name") == "client"]
    assert scans
    assert {node["Actual Loops"] for node in scans} == {0}


def test_totals_never_read_messages(connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    values = {
        "mailing": None,
        "limit": None,
        "since": None,
        "mailings": [mailing],
        "by_zone": False,
        "shards": [0],
    }
    plans = [explained(connection, name, **values) for name in ("report_mailings", "report_audience")]
    read = {node.get("Relation Name") for plan in plans for node in plan}
    assert "counter" in read
    assert "message" not in read


def explained(connection: Connection, name: str, **values: object) -> list[dict[str, Any]]:
    """The nodes of the plan of one statement, as it was run."""
    statement = b"EXPLAIN (ANALYZE, FORMAT JSON) " + database.statement(name)
    row = connection.execute(statement, values).fetchone()
    assert row is not None

    def nodes(node: dict[str, Any]) -> list[dict[str, Any]]:
        return [node, *(found for child in node.get("Plans", []) for found in nodes(child))]

    return nodes(row[0][0]["Plan"])


def test_a_report_is_of_one_moment(dsn: Dsn, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    clients = factories.clients(connection, 2)
    factories.an_open_window(connection, mailing)
    with psycopg.connect(dsn.address, autocommit=True) as other, reports.snapshot(connection):
        [before] = reports.totals(connection)
        factories.a_message(other, mailing, clients[0], "sent")
        [after] = reports.totals(connection)
        assert (before, after.waiting) == (after, 2)
        assert reports.parts(connection, [mailing], Breakdown.HOUR) == []
    with reports.snapshot(connection):
        assert reports.totals(connection)[0].waiting == 1


def test_a_report_changes_nothing(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), reports.snapshot(connection):
        connection.execute("DELETE FROM run")


def test_an_unknown_mailing_raises(connection: Connection) -> None:
    with pytest.raises(NotFoundError, match="no mailing 3;"):
        reports.totals(connection, mailing=3)


# The breakdowns


def test_zones_have_their_audience_their_window_and_their_messages(
    mailer: Mailer, connection: Connection
) -> None:
    mailing = factories.a_mailing(connection)
    factories.clients(connection, 2)
    west = factories.clients(connection, 3, timezone=KALININGRAD)
    opens, closes = datetime(2026, 11, 2, 8, tzinfo=UTC), datetime(2026, 11, 2, 18, tzinfo=UTC)
    factories.a_planned_window(connection, mailing)
    factories.an_open_window(connection, mailing, zone=KALININGRAD, opens_at=opens, closes_at=closes)
    factories.a_message(connection, mailing, west[0], "sent")
    found = report(mailer, str(mailing), "--by", "zone")
    none = dict.fromkeys(STATUSES, 0)
    assert found[0] == {
        "mailing": mailing,
        "zone": KALININGRAD,
        "opens_at": "2026-11-02T08:00:00Z",
        "closes_at": "2026-11-02T18:00:00Z",
        "audience": 3,
        "waiting": 2,
        **none,
        "sent": 1,
    }
    assert (found[1]["zone"], found[1]["audience"], found[1]["waiting"]) == ("Europe/Moscow", 2, 2)
    assert all(map(balanced, found))
    assert sum(zone["audience"] for zone in found) == report(mailer)[0]["audience"]


@pytest.mark.parametrize(
    ("by", "named"), [("operator", lambda code: {"operator_code": code}), ("tag", lambda tag: {"tag": tag})]
)
def test_clients_are_told_apart_by_operator_and_tag(
    mailer: Mailer, connection: Connection, by: str, named: Any
) -> None:
    mailing = factories.a_mailing(connection)
    factories.an_open_window(connection, mailing)
    one_of_each(connection, mailing, **named("903"))
    factories.a_message(connection, mailing, factories.a_client(connection, **named("999")), "sent")
    found = report(mailer, "--by", by)
    assert [list(row) for row in found] == [["mailing", by, *STATUSES]] * 2
    assert [row[by] for row in found] == ["903", "999"]
    summed = {status: sum(row[status] for row in found) for status in STATUSES}
    assert summed == in_table(connection, mailing)


def test_clients_without_a_tag_are_a_row_of_their_own(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    factories.a_message(connection, mailing, factories.a_client(connection), "sent")
    [row] = report(mailer, str(mailing), "--by", "tag")
    assert (row["tag"], row["sent"]) == (None, 1)


def test_what_was_sent_is_counted_by_the_hour_in_utc(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    for minute in (0, 59, 60):
        at = datetime(2026, 11, 2, 10, tzinfo=UTC) + timedelta(minutes=minute)
        factories.a_message(connection, mailing, factories.a_client(connection), "sent", sent_at=at)
    assert report(mailer, "--by", "hour") == [
        {"mailing": mailing, "hour": "2026-11-02T10:00:00Z", "sent": 2},
        {"mailing": mailing, "hour": "2026-11-02T11:00:00Z", "sent": 1},
    ]


def test_errors_are_counted_most_frequent_first_with_a_message_to_look_at(
    mailer: Mailer, connection: Connection
) -> None:
    mailing = factories.a_mailing(connection)
    clients = factories.clients(connection, 5)
    wrongs: list[tuple[str, int | None, str | None]] = [
        *(("failed", 400, "400 Bad Request"), ("unknown", None, "read timeout")),
        *(("expired", None, "read timeout"), ("cancelled", None, None), ("sent", 200, "late")),
    ]
    for client, (status, http_status, error) in zip(clients, wrongs, strict=True):
        factories.a_message(connection, mailing, client, status, http_status=http_status, error=error)
    found = report(mailer, "--by", "error")
    assert [list(row) for row in found] == [
        ["mailing", "http_status", "error", "count", "message_id", *STATUSES]
    ] * 2
    told = [(row["http_status"], row["error"], row["count"], row["message_id"]) for row in found]
    assert told == [
        (None, "read timeout", 2, message_id(mailing, clients[1])),
        (400, "400 Bad Request", 1, message_id(mailing, clients[0])),
    ]
    assert (found[0]["unknown"], found[0]["expired"]) == (1, 1)


def test_a_breakdown_without_a_mailing_is_of_all_of_them(mailer: Mailer, connection: Connection) -> None:
    mailings = [factories.a_mailing(connection) for _ in range(2)]
    client = factories.a_client(connection)
    for mailing in mailings:
        factories.a_message(connection, mailing, client, "sent")
    assert [row["mailing"] for row in report(mailer, "--by", "operator")] == [mailings[1], mailings[0]]


# What a person sees


def test_a_table_in_a_pipe_leaves_nothing_out(mailer: Mailer, connection: Connection) -> None:
    text = "A text that is a good deal longer than any terminal has room for, " * 3
    for _ in range(25):
        factories.a_mailing(connection, text=text)
    told = mailer("report")
    assert told.out.count(text.strip()) == 25
    assert told.err == ""


def test_a_terminal_shows_the_newest_twenty_and_says_how_many_there_are(
    typed: Mailer, connection: Connection
) -> None:
    for _ in range(21):
        factories.a_mailing(connection)
    told = typed("report")
    assert told.out.count("active") == 20
    assert told.err == "the newest 20 of 21 mailings; --limit shows more\n"


@pytest.mark.parametrize("million", [1, 10_000_000])
@pytest.mark.parametrize("statuses", [["sent", "failed", "unknown"], STATUSES])
def test_eighty_columns_are_enough(
    typed: Mailer, connection: Connection, statuses: list[str], million: int
) -> None:
    mailing = factories.a_mailing(connection, text="Ваш заказ готов, ждём вас " * 9)
    for status in statuses:
        factories.a_message(connection, mailing, factories.a_client(connection), status)
    factories.an_open_window(connection, mailing)
    for status in statuses:
        grow = sql.SQL("UPDATE counter SET {0} = {0} * %s").format(sql.Identifier(status))
        connection.execute(grow, [million])
    connection.execute("UPDATE mailing_window SET audience = audience * %s", [million])
    connection.execute("UPDATE mailing_window SET claimed = audience")
    for argv in ([], [str(mailing)], ["--by", "zone"], ["--by", "tag"]):
        told = typed("report", *argv)
        assert max([len(line) for line in told.out.splitlines()], default=0) <= 80
    heading, _, first, *_ = [line for line in typed("report").out.splitlines() if line.strip()]
    assert "%" in first
    assert "Ваш" in first
    assert "progress" in heading


def test_statuses_that_nobody_has_are_left_out_of_the_table(typed: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    factories.a_message(connection, mailing, factories.a_client(connection), "sent")
    heading = typed("report").out.splitlines()[1]
    assert "sent" in heading
    assert "expired" not in heading
    assert report(typed)[0]["expired"] == 0


def test_progress_is_the_share_that_is_final_and_full_only_at_the_end(
    mailer: Mailer, connection: Connection
) -> None:
    mailing = factories.a_mailing(connection)
    clients = factories.clients(connection, 4)
    factories.an_open_window(connection, mailing)
    factories.a_message(connection, mailing, clients[0], "sent")
    factories.a_message(connection, mailing, clients[1], "unknown")
    factories.a_message(connection, mailing, clients[2], "retrying")
    assert "█████░░░░░  50%" in mailer("report").out


def test_progress_is_drawn_in_ascii_where_blocks_cannot_be_shown(dsn: Dsn, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    client = factories.clients(connection, 2)[0]
    factories.an_open_window(connection, mailing)
    factories.a_message(connection, mailing, client, "sent")
    told = printed(dsn, "report", PYTHONIOENCODING="ascii")
    assert "#####-----  50%" in told


def printed(dsn: Dsn, *argv: str, **environment: str) -> str:
    """What a process of its own prints."""
    program = [sys.executable, "-m", "mailer_cli", *argv]
    environ = {**os.environ, "DATABASE_URL": dsn.address, **environment}
    return subprocess.run(program, env=environ, capture_output=True, text=True, check=True).stdout


def test_hostile_tags_and_errors_are_shown_and_not_obeyed(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection, text="[bold]hi\x1b[31m")
    client = factories.a_client(connection, tag="\x1b]0;owned\x07[red]vip")
    factories.a_message(connection, mailing, client, "failed", error="\x1b[2J[link=x]\u202eoops")
    for argv in (
        ["report"],
        ["report", str(mailing)],
        ["report", "--by", "tag"],
        ["report", "--by", "error"],
    ):
        for form in ("table", "json", "jsonl"):
            told = mailer(*argv, "-o", form)
            assert told.code == 0
            assert "\x1b" not in told.out
            assert "\u202e" not in told.out
    assert "\\x1b]0;owned\\x07[red]vip" in mailer("report", "--by", "tag").out
    assert "\\x1b[2J[link=x]\\u202eoops" in mailer("report", str(mailing)).out


# What is told beside the numbers


def test_messages_in_doubt_are_pointed_at(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    for client in factories.clients(connection, 3):
        factories.a_message(connection, mailing, client, "unknown")
    expected = (
        f"unknown: 3 messages are in doubt; see `mailer message list --mailing {mailing} --status unknown`\n"
    )
    assert mailer("report").err == expected
    assert mailer("report", "-o", "json").err == ""


@pytest.mark.parametrize(
    ("work", "last", "told"),
    [
        (
            "window",
            None,
            "messages are due and no dispatch has ever run; is cron running? see `mailer cron`\n",
        ),
        ("window", 14, "no dispatch has run for 14 minutes; is cron running? see `mailer cron`\n"),
        ("retry", 300, "no dispatch has run for 5 hours; is cron running? see `mailer cron`\n"),
        ("window", 1, ""),
    ],
)
def test_a_silent_cron_is_noticed_when_work_is_due(
    mailer: Mailer, connection: Connection, last: int | None, told: str, work: str
) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    mailing = factories.a_mailing(connection, activated_at=past)
    if work == "window":
        factories.a_planned_window(
            connection, mailing, opens_at=past, closes_at=datetime.now(UTC) + timedelta(hours=1)
        )
    else:
        client = factories.a_client(connection)
        factories.a_message(connection, mailing, client, "retrying", retry_at=past)
    if last is not None:
        factories.a_finished_run(connection, ago=timedelta(minutes=last, seconds=5))
    assert mailer("report").err == told


def test_a_silent_cron_is_no_matter_when_nothing_is_due(mailer: Mailer, connection: Connection) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    for state in ("paused", "draft", "cancelled"):
        factories.an_open_window(connection, factories.a_mailing(connection, state=state, activated_at=past))
    factories.a_planned_window(connection, factories.a_mailing(connection))
    assert mailer("report").err == ""


def test_held_sending_a_rejected_token_and_a_busy_service_are_told(
    mailer: Mailer, connection: Connection
) -> None:
    factories.a_mailing(connection)
    connection.execute(
        "UPDATE service SET held_at = '2026-11-02T10:00Z', held_by = 'ann@host', hold_reason = 'wrong text',"
        " token_rejected_at = '2026-11-02T09:00Z', blocked_until = '2100-01-01T00:00Z', block_reason = '429'"
    )
    assert mailer("report").err.splitlines() == [
        "sending is held since 2026-11-02 10:00Z by ann@host: wrong text; `mailer release` starts it again",
        "the message service rejected the token at 2026-11-02 09:00Z; the next run tries it with one message",
        "sending waits until 2100-01-01 00:00Z: 429",
    ]


def test_a_json_report_starts_without_what_it_does_not_need(dsn: Dsn) -> None:
    code = (
        "import sys; from mailer_cli.cli import main; main(['report', '-o', 'json']);"
        "print([m for m in ('sqlmodel', 'sqlalchemy', 'httpx', 'alembic', 'rich.table') if m in sys.modules])"
    )
    environ = {**os.environ, "DATABASE_URL": dsn.address}
    told = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    )
    assert told.stdout == "[]\n[]\n"
