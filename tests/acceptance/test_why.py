"""`mailer why`, typed as an operator types it, against what a dispatch really left behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import factories
from conftest import Mailer
from mailer_cli import database, windows
from mailer_cli.database import Connection
from mailer_cli.dispatch import Options, Summary, claims, gate, housekeeping
from mailer_cli.dispatch.claim_windows import claim_next
from mailer_cli.ids import message_id, shard_of
from mailer_cli.sandbox import Faults, SandboxThread
from terminal import on_a_terminal

PHONE = "79161234567"
OPTIONS = Options(concurrency=4, http_timeout=1, lease=30)


def why(mailer: Mailer, mailing: int, client: int | str = PHONE) -> dict[str, Any]:
    ended = mailer("why", str(client), "--mailing", str(mailing), "-o", "json")
    assert (ended.code, ended.err) == (0, "")
    found: dict[str, Any] = json.loads(ended.out)
    assert list(found) == ["verdict", "sentence", "evidence"]
    return found


def wall(hours: float) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M")


def create(mailer: Mailer, start: float = -1, end: float = 5, *options: str) -> int:
    times = ("--start", wall(start), "--end", wall(end))
    ended = mailer("mailing", "create", "Hello", *times, "-o", "json", *options)
    assert ended.code == 0, ended.err
    number: int = json.loads(ended.out)["id"]
    return number


@pytest.fixture
def client(connection: Connection) -> int:
    return factories.a_client(connection, phone=PHONE, timezone="UTC", tag="vip")


@pytest.fixture
def service(bare: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxThread]:  # noqa: ARG001 - first the settings are cleared
    with SandboxThread() as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        monkeypatch.setenv("JWT_TOKEN", "t")
        yield sandbox


@pytest.mark.usefixtures("service")
def test_a_message_that_was_sent_names_time_phone_run_and_host(
    mailer: Mailer, connection: Connection, client: int
) -> None:
    mailing = create(mailer)
    mailer("dispatch")
    mailer("client", "update", PHONE, "--phone", "79160000000")
    mailer("client", "mute", str(client))
    mailer("mailing", "pause", str(mailing))
    found = why(mailer, mailing, client)
    run, host = connection.execute("SELECT id, host FROM run").fetchall()[0]
    assert found["verdict"] == "sent"
    assert f"sent to {PHONE} at 20" in found["sentence"]
    assert f"by run {run} on {host}" in found["sentence"]
    assert found["evidence"]["message"]["id"] == message_id(mailing, client)
    assert found["evidence"]["client"]["phone"] == "79160000000"


def test_a_phone_may_be_written_as_people_write_it_and_an_id_does_as_well(
    mailer: Mailer, client: int
) -> None:
    mailing = create(mailer)
    assert why(mailer, mailing, "+7 (916) 123-45-67")["sentence"] == why(mailer, mailing, client)["sentence"]


@pytest.mark.usefixtures("client")
def test_what_does_not_exist_is_not_found(mailer: Mailer) -> None:
    for argv in (("79990000000", "--mailing", "1"), ("77", "--mailing", "1"), (PHONE, "--mailing", "99")):
        ended = mailer("why", *argv)
        assert (ended.code, ended.out) == (1, "")
        assert "see `mailer" in ended.err
    assert mailer("why", "nobody", "--mailing", "1").code == 1
    assert mailer("why", PHONE).code == 2


@pytest.mark.usefixtures("client")
def test_who_is_not_in_the_filter_hears_which_part(mailer: Mailer) -> None:
    mailing = create(mailer, -1, 5, "--operator", "903", "--tag", "vip")
    found = why(mailer, mailing)
    assert found["verdict"] == "not_in_filter"
    assert "operator 916 is not in 903" in found["sentence"]


@pytest.mark.usefixtures("client", "service")
def test_a_newcomer_hears_of_refresh_and_gets_it_afterwards(mailer: Mailer, connection: Connection) -> None:
    mailing = create(mailer)
    mailer("dispatch")
    newcomer = factories.a_client(connection, timezone="UTC")
    found = why(mailer, mailing, newcomer)
    assert found["verdict"] == "registered_late"
    assert f"mailer mailing refresh {mailing}" in found["sentence"]
    mailer("mailing", "refresh", str(mailing))
    assert why(mailer, mailing, newcomer)["verdict"] == "waiting"
    mailer("dispatch")
    assert why(mailer, mailing, newcomer)["verdict"] == "sent"


@pytest.mark.usefixtures("client")
def test_before_the_window_opens_both_clocks_are_told(mailer: Mailer, connection: Connection) -> None:
    omsk = factories.a_client(connection, timezone="Asia/Omsk")
    mailing = create(mailer, 12, 15)
    found = why(mailer, mailing, omsk)
    assert found["verdict"] == "not_open_yet"
    assert found["sentence"].count("Z)") == 2
    assert "in Asia/Omsk now, and the window opens at" in found["sentence"]
    assert found["evidence"]["window"]["zone"] == "Asia/Omsk"


@pytest.mark.usefixtures("client")
def test_a_draft_has_no_windows_stored_and_is_explained_all_the_same(mailer: Mailer) -> None:
    mailing = create(mailer, 1, 5, "--draft")
    found = why(mailer, mailing)
    assert found["verdict"] == "mailing_draft"
    assert [each["verdict"] for each in found["evidence"]["also"]] == ["not_open_yet", "no_dispatch"]
    assert found["evidence"]["window"]["opens_at"].endswith("Z")


@pytest.mark.usefixtures("client")
def test_a_muted_client_of_a_paused_mailing_under_a_hold(mailer: Mailer) -> None:
    mailing = create(mailer)
    mailer("mailing", "pause", str(mailing))
    mailer("client", "mute", PHONE, "--reason", "asked")
    mailer("hold", "--reason", "wrong text")
    found = why(mailer, mailing)
    assert found["verdict"] == "client_muted"
    assert "(asked)" in found["sentence"]
    also = {each["verdict"]: each["sentence"] for each in found["evidence"]["also"]}
    assert list(also) == ["mailing_paused", "sending_held", "no_dispatch"]
    assert "by " in also["mailing_paused"]
    assert "(wrong text)" in also["sending_held"]


@pytest.mark.usefixtures("client")
def test_without_cron_the_silence_is_what_stops_it(mailer: Mailer, connection: Connection) -> None:
    mailing = create(mailer)
    assert "no dispatch has ever run" in why(mailer, mailing)["sentence"]
    factories.a_finished_run(connection, ago=timedelta(minutes=14))
    assert "no dispatch has run for 14 minutes" in why(mailer, mailing)["sentence"]


def test_who_is_waiting_hears_how_many_are_ahead_and_when_their_turn_comes(
    mailer: Mailer, connection: Connection
) -> None:
    clients = factories.clients(connection, 64, timezone="UTC")
    last = clients[-1]
    mailing = create(mailer)
    sooner = create(mailer, -1, 2)
    windows.derive(connection)
    housekeeping.open_windows(connection, housekeeping.untended(connection))
    housekeeping.tend(connection, Summary(), lambda: True)
    factories.a_run(connection, datetime.now(UTC), None, sent=48)
    found = why(mailer, mailing, last)
    assert found["verdict"] == "waiting"
    assert "3 are before them in their window's shard, and 4 in more urgent windows" in found["sentence"]
    queue = found["evidence"]["queue"]
    assert (queue["ahead"], queue["ahead_elsewhere"]) == (3, 4)
    assert queue["per_second"] == pytest.approx(16, rel=0.1)
    assert queue["expected_at"] is not None
    assert why(mailer, sooner, last)["evidence"]["queue"]["ahead_elsewhere"] == 0


def a_claim(connection: Connection, client: int) -> int:
    run = factories.a_run(connection, datetime.now(UTC), None)
    windows.derive(connection)
    housekeeping.open_windows(connection, housekeeping.untended(connection))
    claim = claim_next(connection, run, shard_of(client), OPTIONS, Summary())
    assert claim is not None
    assert claims.start(connection, run, claim, 1, OPTIONS)
    return run


def test_a_message_under_way_names_its_claim_and_one_whose_run_died_says_so(
    mailer: Mailer, connection: Connection, client: int
) -> None:
    mailing = create(mailer)
    run = a_claim(connection, client)
    found = why(mailer, mailing)
    assert found["verdict"] == "sending"
    assert f"is being sent right now by run {run} on host-a, claimed since 20" in found["sentence"]
    connection.execute("UPDATE claim SET lease_until = now()")
    assert "has not been heard of since" in why(mailer, mailing)["sentence"]


@pytest.mark.usefixtures("client", "service")
def test_a_message_in_doubt_says_what_to_do_and_who_has_settled_it(
    mailer: Mailer, connection: Connection, client: int
) -> None:
    mailing = create(mailer)
    a_claim(connection, client)
    connection.execute("UPDATE claim SET lease_until = now()")
    mailer("dispatch")
    found = why(mailer, mailing)
    assert found["verdict"] == "unknown"
    number = message_id(mailing, client)
    assert f"mailer message resolve {number} --as sent" in found["sentence"]
    assert f"mailer mailing retry {mailing} --only unknown" in found["sentence"]
    assert mailer("message", "resolve", str(number), "--as", "sent").code == 0
    assert "settled as sent by" in why(mailer, mailing)["sentence"]


@pytest.mark.usefixtures("client")
def test_a_message_to_be_tried_again_tells_the_answer_and_the_next_try(
    mailer: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailing = create(mailer)
    monkeypatch.setattr(gate, "BREAK_MINIMUM", 1000)
    with SandboxThread(faults=Faults(status=500)) as service:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", service.url)
        monkeypatch.setenv("JWT_TOKEN", "t")
        monkeypatch.setenv("MAILER_RETRY_BASE", "3600")
        mailer("dispatch")
    found = why(mailer, mailing)
    assert found["verdict"] == "retrying"
    assert "after 1 attempt the service has not taken it: HTTP 500" in found["sentence"]
    assert "the next try is at 20" in found["sentence"]


@pytest.mark.usefixtures("client")
def test_a_refused_message_tells_the_answer_and_a_rejected_token_that_it_was(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_TOKEN", "t")
    first = create(mailer)
    with SandboxThread(token="another") as service:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", service.url)
        mailer("dispatch")
    assert why(mailer, first)["verdict"] == "token_rejected"
    connection.execute("UPDATE service SET token_rejected_at = NULL")
    with SandboxThread(faults=Faults(status=400)) as service:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", service.url)
        mailer("dispatch")
    found = why(mailer, first)
    assert found["verdict"] == "failed"
    assert "after 1 attempt by run 2 on " in found["sentence"]
    assert "HTTP 400" in found["sentence"]


@pytest.mark.usefixtures("client", "service")
def test_what_was_never_reached_expired_and_what_was_cancelled_says_by_what(
    mailer: Mailer, connection: Connection
) -> None:
    over, cancelled, muted = create(mailer, -9, -2), create(mailer, 1, 5), create(mailer)
    mailer("mailing", "cancel", str(cancelled), "--yes")
    windows.derive(connection)
    housekeeping.open_windows(connection, housekeeping.untended(connection))
    mailer("client", "mute", PHONE, "--reason", "asked")
    mailer("client", "unmute", PHONE)
    mailer("client", "mute", PHONE, "--reason", "asked again")
    mailer("dispatch")
    assert "before it was reached" in why(mailer, over)["sentence"]
    assert why(mailer, over)["verdict"] == "expired"
    found = why(mailer, cancelled)
    assert (found["verdict"], "the mailing was cancelled at" in found["sentence"]) == ("cancelled", True)
    found = why(mailer, muted)
    assert found["verdict"] == "cancelled"
    assert "the client was muted at" in found["sentence"]
    assert "(asked again)" in found["sentence"]


@pytest.mark.usefixtures("client")
def test_a_copied_database_says_so(mailer: Mailer, connection: Connection) -> None:
    mailing = create(mailer)
    connection.execute("UPDATE service SET home = 'elsewhere'")
    assert why(mailer, mailing)["verdict"] == "database_copy"
    found = database.fetch_one(connection, "service_state", gate.Gate)
    assert found is not None
    connection.execute("UPDATE service SET home = %s", [found.here])
    assert why(mailer, mailing)["verdict"] == "no_dispatch"


def test_the_sentence_comes_first_and_text_from_the_database_steers_nothing(
    mailer: Mailer, connection: Connection
) -> None:
    nasty = "\x1b[31m[red]vip\n😀" + "x" * 100
    factories.a_client(connection, phone=PHONE, timezone="UTC", tag=nasty)
    mailing = create(mailer, -1, 5, "--tag", "gold")
    for ended in (
        mailer("why", PHONE, "--mailing", str(mailing)),
        on_a_terminal(mailer)("why", PHONE, "--mailing", str(mailing)),
    ):
        assert ended.out.startswith(f"client 1, mailing {mailing}: the client is not in the mailing's filter")
        assert "\x1b" not in ended.out
        assert "[red]" in ended.out
        assert "also: no dispatch has ever run" in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80
    assert list(json.loads(mailer("why", PHONE, "--mailing", str(mailing), "-o", "jsonl").out)) == [
        *("verdict", "sentence", "evidence"),
    ]
    assert mailer("why", PHONE, "--mailing", str(mailing), "-o", "csv").out.startswith(
        "verdict,sentence,evidence\n"
    )
