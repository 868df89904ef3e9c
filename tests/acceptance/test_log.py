"""`mailer log`, typed as an operator types it."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import factories
from conftest import Mailer
from mailer_cli.database import Connection
from terminal import on_a_terminal

KEYS = ["time", "kind", "actor", "mailing", "message", "client", "run", "text", "details"]
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
PHONE = "79161234567"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"


def logged(mailer: Mailer, *options: str) -> list[dict[str, Any]]:
    ended = mailer("log", "-o", "json", *options)
    assert ended.code == 0, ended.err
    found: list[dict[str, Any]] = json.loads(ended.out)
    return found


def texts(mailer: Mailer, *options: str) -> list[str]:
    return [entry["text"] for entry in logged(mailer, *options)]


@pytest.fixture
def client(connection: Connection) -> int:
    return factories.a_client(connection, phone=PHONE)


@pytest.fixture
def mailing(connection: Connection) -> int:
    return factories.a_mailing(connection)


def test_runs_failed_requests_and_changes_stand_in_one_order_of_time(
    mailer: Mailer, connection: Connection, client: int, mailing: int
) -> None:
    run = factories.a_run(connection, NOON + timedelta(minutes=2), sent=4)
    message = factories.a_message(connection, mailing, client, "retrying")
    factories.a_failed_attempt(connection, message, attempted_at=NOON + timedelta(minutes=1), run_id=run)
    factories.an_event(
        *(connection, "mailing paused"),
        at=NOON,
        mailing_id=mailing,
        old={"state": "active"},
        new={"state": "paused"},
    )
    found = logged(mailer)
    assert all(list(entry) == KEYS for entry in found)
    assert [(e["time"], e["kind"], e["actor"]) for e in found] == [
        ("2026-11-02T12:00:00Z", "change", "olga@office"),
        ("2026-11-02T12:01:00Z", "attempt", "host-a"),
        ("2026-11-02T12:02:00Z", "run", "host-a"),
    ]
    assert [e["text"] for e in found] == [
        f"mailing {mailing} paused: state active → paused",
        f"message {message}, attempt 1, retrying: 503 Service Unavailable",
        f"run {run} ended after 3.0 s, done: claimed 4, sent 4",
    ]
    assert [(e["mailing"], e["message"], e["client"], e["run"]) for e in found] == [
        (mailing, None, None, None),
        (mailing, message, client, run),
        (None, None, None, run),
    ]
    assert found[0]["details"]["old"] == {"state": "active"}
    assert found[1]["details"]["http_status"] == 503
    assert (found[2]["details"]["sent"], found[2]["details"]["ending"]) == (4, "done")


def test_every_format_has_the_same_keys_and_the_table_a_line_for_each(
    mailer: Mailer, connection: Connection
) -> None:
    factories.an_event(connection, "sending held", at=NOON, new={"reason": "wrong text"})
    assert list(json.loads(mailer("log", "-o", "jsonl").out)) == KEYS
    assert next(csv.reader(io.StringIO(mailer("log", "-o", "csv").out))) == KEYS
    assert mailer("log").out == "2026-11-02 12:00:00Z  sending held: reason wrong text (olga@office)\n"


def test_an_empty_history_says_so_and_is_no_failure(mailer: Mailer) -> None:
    ended = mailer("log")
    assert (ended.code, ended.out) == (0, "")
    assert "nothing to show" in ended.err
    assert mailer("log", "-o", "json").out == "[]\n"


def test_runs_that_had_nothing_to_do_are_shown_only_if_asked_for(
    mailer: Mailer, connection: Connection
) -> None:
    idle, held = factories.a_run(connection, NOON), factories.a_run(connection, NOON, "held")
    waiting = factories.a_run(connection, NOON, "waiting for the service")
    assert [e["run"] for e in logged(mailer)] == [waiting]
    assert [e["run"] for e in logged(mailer, "--idle")] == [idle, held, waiting]
    assert [e["run"] for e in logged(mailer, "--run", str(idle))] == [idle]


def test_a_run_that_was_killed_is_told_from_one_under_way(mailer: Mailer, connection: Connection) -> None:
    killed = factories.a_run(connection, NOON, None)
    running = factories.a_run(connection, datetime.now(UTC), None, sent=3)
    assert texts(mailer) == [
        f"run {killed} started and never ended, last heard of at 2026-11-02 12:00:00Z: nothing to do",
        f"run {running} started and is under way: claimed 3, sent 3",
    ]


def test_one_mailing_is_its_failed_requests_and_changes(
    mailer: Mailer, connection: Connection, client: int, mailing: int
) -> None:
    other = factories.a_mailing(connection)
    factories.a_run(connection, NOON, sent=1)
    for each in (mailing, other):
        message = factories.a_message(connection, each, client, "failed")
        factories.a_failed_attempt(connection, message, attempted_at=NOON)
        factories.an_event(connection, "mailing paused", at=NOON, mailing_id=each)
    factories.an_event(connection, "client muted", at=NOON, client_id=client)
    found = logged(mailer, "--mailing", str(mailing))
    assert [(e["kind"], e["mailing"]) for e in found] == [("attempt", mailing), ("change", mailing)]


def test_one_client_is_what_was_sent_too_and_the_runs_that_did_it(
    mailer: Mailer, connection: Connection, client: int, mailing: int
) -> None:
    run, failed = (
        factories.a_run(connection, NOON, sent=1),
        factories.a_run(connection, NOON - timedelta(hours=1), sent=9),
    )
    factories.a_run(connection, NOON, sent=7)
    message = factories.a_message(connection, mailing, client, sent_at=NOON, run_id=run, attempts=2)
    factories.a_failed_attempt(connection, message, attempted_at=NOON - timedelta(hours=1), run_id=failed)
    factories.an_event(connection, "client updated", client_id=client, at=NOON - timedelta(hours=2))
    factories.an_event(connection, "client updated", at=NOON, client_id=client + 1)
    factories.an_event(connection, "mailing paused", at=NOON, mailing_id=mailing)
    found = logged(mailer, "--client", "+7 916 123-45-67")
    assert [(e["kind"], e["run"]) for e in found] == [
        ("change", None),
        *[("run", failed), ("attempt", failed)],
        *[("run", run), ("sent", run)],
    ]
    assert found[-1]["text"] == f"message {message} sent to 7916•••4567 by run {run}, attempt 2"
    assert logged(mailer, "--client", str(client)) == found


def test_one_message_is_its_own_history_and_that_of_its_mailing_and_its_client(
    mailer: Mailer, connection: Connection, client: int, mailing: int
) -> None:
    message = factories.a_message(connection, mailing, client, sent_at=NOON)
    somebody = factories.a_client(connection)
    concerned: list[dict[str, Any]] = [
        {"mailing_id": mailing},
        {"client_id": client},
        {"mailing_id": mailing, "client_id": client},
        {"mailing_id": mailing, "client_id": somebody},
        {"mailing_id": mailing + 1, "client_id": client},
        {"client_id": somebody},
    ]
    for values in concerned:
        factories.an_event(connection, "noted", at=NOON, **values)
    found = logged(mailer, "--message", str(message), "--kind", "change")
    assert [(e["mailing"], e["client"]) for e in found] == [
        (mailing, None),
        (None, client),
        (mailing, client),
    ]
    assert [e["kind"] for e in logged(mailer, "--message", str(message), "--kind", "sent")] == ["sent"]


def test_one_run_is_itself_and_its_failed_requests(
    mailer: Mailer, connection: Connection, client: int, mailing: int
) -> None:
    run, other = factories.a_run(connection, NOON, sent=1), factories.a_run(connection, NOON, sent=1)
    message = factories.a_message(connection, mailing, client, "retrying")
    for n, each in enumerate((run, other)):
        at = NOON + timedelta(seconds=n)
        factories.a_failed_attempt(connection, message, attempted_at=at, run_id=each)
    found = logged(mailer, "--run", str(run))
    assert [(e["kind"], e["run"]) for e in found] == [("run", run), ("attempt", run)]


@pytest.mark.parametrize(
    "options",
    [
        *(("--mailing", "99"), ("--message", "99"), ("--client", "99"), ("--run", "99")),
        *(("--client", "79990000000"), ("--client", "nobody"), ("--since", "soon")),
    ],
)
def test_what_is_not_there_is_refused_with_what_to_do(mailer: Mailer, options: tuple[str, str]) -> None:
    ended = mailer("log", *options)
    assert (ended.code, ended.out) == (1, "")
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize("options", [("--mailing", "1", "--run", "1"), ("--follow", "-o", "json")])
def test_what_contradicts_itself_is_a_mistake_in_the_command_line(
    mailer: Mailer, options: tuple[str, ...]
) -> None:
    assert mailer("log", *options).code == 2


def test_since_leaves_out_what_is_older(mailer: Mailer, connection: Connection) -> None:
    factories.an_event(connection, "old", at=NOON)
    factories.an_event(connection, "new", at=datetime.now(UTC) - timedelta(minutes=5))
    assert texts(mailer, "--since", "1h") == ["new"]
    assert texts(mailer, "--since", "2026-11-02T15:00:00+03:00") == ["old", "new"]


def test_the_newest_are_kept_by_a_limit_and_the_rest_is_mentioned(
    mailer: Mailer, connection: Connection
) -> None:
    for n in range(130):
        factories.an_event(connection, f"change {n}", at=NOON + timedelta(seconds=n))
    assert texts(mailer, "--limit", "2") == ["change 128", "change 129"]
    assert "there are older ones" in mailer("log", "--limit", "2").err
    assert "older" not in mailer("log", "--limit", "130").err
    assert len(mailer("log").out.splitlines()) == 130
    ended = on_a_terminal(mailer)("log")
    assert len(ended.out.splitlines()) == 100
    assert "--limit 1000" in ended.err


def test_phones_are_masked_everywhere_unless_they_are_to_be_shown(
    mailer: Mailer, connection: Connection, client: int, mailing: int
) -> None:
    mailer("client", "mute", PHONE, "--reason", "asked by 8 (916) 123-45-67")
    mailer("client", "update", PHONE, "--phone", "79161234568")
    message = factories.a_message(connection, mailing, client, phone=PHONE)
    factories.a_failed_attempt(connection, message, error=f"no such number: +{PHONE}")
    for form in ("table", "json", "jsonl", "csv"):
        for options in ((), ("--client", str(client))):
            out = mailer("log", "-o", form, *options).out
            assert "7916•••4567" in out
            assert "123456" not in out
            assert "123-45-67" not in out
    shown = mailer("log", "--show-phones", "--client", str(client)).out
    for written in (PHONE, "79161234568", "8 (916) 123-45-67", f"+{PHONE}"):
        assert written in shown


def test_a_token_is_shown_to_nobody(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_TOKEN", "a-token-of-ours")
    factories.an_event(
        connection, "sending held", at=NOON, new={"reason": f"tokens a-token-of-ours and {JWT}"}
    )
    assert texts(mailer, "--show-phones") == ["sending held: reason tokens [token] and [token]"]


def test_text_from_the_database_steers_no_terminal_and_is_no_markup(
    mailer: Mailer, connection: Connection
) -> None:
    factories.an_event(connection, "mailing \x1b[31m[red]\n", new={"text": "a\x1b]0;x\x07\nb 😀" * 40})
    for ended in (mailer("log"), on_a_terminal(mailer)("log")):
        assert "\x1b" not in ended.out
        assert "[red]" in ended.out
    wide = max(map(len, on_a_terminal(mailer)("log").out.splitlines()))
    assert wide <= 80
