"""`mailer dispatch`, end to end: real PostgreSQL, real HTTP, the command as an operator types it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from conftest import Mailer
from mailer_cli.database import Connection
from mailer_cli.dispatch import gate
from mailer_cli.ids import message_id
from mailer_cli.sandbox import Faults, SandboxThread, read_ledger

TOKEN = "a-token-that-must-never-show"


def wall(hours: float) -> str:
    """The wall-clock time that many hours from now, on a clock at UTC."""
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M")


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def service(bare: None, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxThread]:  # noqa: ARG001 - first the settings are cleared
    """A message service that behaves."""
    with SandboxThread(token=TOKEN, ledger=ledger) as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        monkeypatch.setenv("JWT_TOKEN", TOKEN)
        yield sandbox


def add_clients(connection: Connection, number: int, timezone: str = "UTC", first: int = 0) -> None:
    connection.execute(
        "INSERT INTO client (phone, operator_code, timezone)"
        " SELECT '7916' || lpad(i::text, 7, '0'), '916', %s FROM generate_series(%s::int, %s::int) i",
        (timezone, first, first + number - 1),
    )


def create(mailer: Mailer, start: float, end: float, *options: str) -> int:
    ended = mailer(
        "mailing", "create", "Hello", "--start", wall(start), "--end", wall(end), "-o", "json", *options
    )
    assert ended.code == 0, ended.err
    number: int = json.loads(ended.out)["id"]
    return number


def report(mailer: Mailer, mailing: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = json.loads(mailer("report", "-o", "json").out)
    [row] = [row for row in rows if row["mailing"] == mailing]
    return row


def counts(connection: Connection, mailing: int) -> dict[str, int]:
    rows = connection.execute(
        "SELECT status, count(*) FROM message WHERE mailing_id = %s GROUP BY status", (mailing,)
    )
    return dict(rows.fetchall())


@pytest.mark.usefixtures("service")
def test_everybody_due_is_sent_to_once_and_the_service_saw_what_we_recorded(
    mailer: Mailer, connection: Connection, ledger: Path
) -> None:
    add_clients(connection, 300)
    mailing = create(mailer, -1, 5)
    assert mailer("dispatch").code == 0
    seen = read_ledger(ledger)
    assert counts(connection, mailing) == {"sent": 300}
    clients = connection.execute("SELECT id, phone FROM client").fetchall()
    assert sorted((entry["id"], str(entry["phone"])) for entry in seen) == sorted(
        (message_id(mailing, client), phone) for client, phone in clients
    )
    assert {entry["text"] for entry in seen} == {"Hello"}


@pytest.mark.usefixtures("service")
def test_a_message_names_the_run_and_the_host_that_sent_it(mailer: Mailer, connection: Connection) -> None:
    add_clients(connection, 1)
    mailing = create(mailer, -1, 5)
    mailer("dispatch")
    shown = json.loads(mailer("message", "show", str(message_id(mailing, 1)), "-o", "json").out)
    run, host = connection.execute("SELECT id, host FROM run").fetchall()[0]
    assert (shown["status"], shown["run_id"], shown["host"]) == ("sent", run, host)


@pytest.mark.usefixtures("service")
def test_each_client_is_sent_to_as_their_own_clock_reaches_the_start(
    mailer: Mailer, connection: Connection
) -> None:
    add_clients(connection, 3, "Asia/Kamchatka", first=0)  # twelve hours ahead
    add_clients(connection, 2, "UTC", first=10)
    mailing = create(mailer, 6, 20)
    assert mailer("dispatch").code == 0
    assert counts(connection, mailing) == {"sent": 3}
    row = report(mailer, mailing)
    assert (row["audience"], row["waiting"], row["sent"]) == (5, 2, 3)


@pytest.mark.usefixtures("service")
def test_a_second_dispatch_sends_nothing_more(mailer: Mailer, connection: Connection, ledger: Path) -> None:
    add_clients(connection, 50)
    create(mailer, -1, 5)
    mailer("dispatch")
    assert mailer("dispatch").code == 0
    assert len(read_ledger(ledger)) == 50


@pytest.mark.usefixtures("service")
def test_what_is_over_expires_and_is_never_sent(mailer: Mailer, connection: Connection, ledger: Path) -> None:
    add_clients(connection, 40)
    mailing = create(mailer, -60, -30)
    assert mailer("dispatch").code == 0
    assert counts(connection, mailing) == {"expired": 40}
    assert read_ledger(ledger) == []
    assert report(mailer, mailing)["state"] == "finished"


@pytest.mark.usefixtures("service")
def test_dispatch_prints_nothing_when_all_is_well(mailer: Mailer, connection: Connection) -> None:
    add_clients(connection, 5)
    create(mailer, -1, 5)
    ended = mailer("dispatch")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_an_idle_dispatch_needs_neither_service_nor_token(mailer: Mailer) -> None:
    ended = mailer("dispatch")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_a_missing_token_is_named_before_anything_is_claimed(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_clients(connection, 5)
    mailing = create(mailer, -1, 5)
    monkeypatch.setenv("MESSAGE_SERVICE_URL", "http://127.0.0.1:9/")
    ended = mailer("dispatch")
    assert ended.code == 1
    assert "JWT_TOKEN" in ended.err
    assert counts(connection, mailing) == {}


def test_a_rejected_token_stops_the_run_at_once_with_exit_code_4(
    mailer: Mailer, connection: Connection, service: SandboxThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_clients(connection, 500)
    mailing = create(mailer, -1, 5)
    monkeypatch.setenv("JWT_TOKEN", "not-the-token")
    ended = mailer("dispatch", "--concurrency", "10")
    assert ended.code == 4
    assert "token" in ended.err
    assert "not-the-token" not in ended.err
    assert service.received <= 10
    row = report(mailer, mailing)
    assert row["retrying"] + row["waiting"] == 500
    monkeypatch.setenv("JWT_TOKEN", TOKEN)
    assert mailer("dispatch").code == 0
    assert counts(connection, mailing) == {"sent": 500}


def test_a_service_that_is_down_leaves_messages_retrying_and_they_are_sent_later(
    mailer: Mailer, connection: Connection, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_clients(connection, 20)
    mailing = create(mailer, -1, 5)
    monkeypatch.setenv("JWT_TOKEN", TOKEN)
    monkeypatch.setenv("MESSAGE_SERVICE_URL", "http://127.0.0.1:9/")
    monkeypatch.setenv("MAILER_RETRY_BASE", "0.01")
    monkeypatch.setenv("MAILER_MAX_ATTEMPTS", "100")
    monkeypatch.setattr(gate, "BREAK_SECONDS", 0.1)
    assert mailer("dispatch", "--max-seconds", "1").code == 0
    row = report(mailer, mailing)
    assert row["retrying"] + row["waiting"] == 20
    with SandboxThread(token=TOKEN, ledger=ledger) as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        mailer("dispatch")
    assert counts(connection, mailing) == {"sent": 20}
    assert len(read_ledger(ledger)) == 20


def test_a_lost_answer_leaves_the_message_in_doubt_and_it_is_never_sent_again(
    mailer: Mailer, connection: Connection, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_clients(connection, 15)  # fewer than make the service look broken
    mailing = create(mailer, -1, 5)
    monkeypatch.setenv("JWT_TOKEN", TOKEN)
    with SandboxThread(token=TOKEN, ledger=ledger, faults=Faults(reset_rate=1.0)) as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        assert mailer("dispatch").code == 0
        assert mailer("dispatch").code == 0
    assert counts(connection, mailing) == {"unknown": 15}
    assert len(read_ledger(ledger)) == 15


def test_with_a_service_that_deduplicates_a_lost_answer_is_tried_again_with_the_same_id(
    mailer: Mailer, connection: Connection, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_clients(connection, 20)
    mailing = create(mailer, -1, 5)
    monkeypatch.setenv("JWT_TOKEN", TOKEN)
    monkeypatch.setenv("MAILER_RETRY_BASE", "0.01")
    monkeypatch.setenv("MESSAGE_SERVICE_DEDUPLICATES", "true")
    with SandboxThread(token=TOKEN, ledger=ledger, faults=Faults(reset_rate=0.4, seed=1)) as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        for _ in range(10):
            assert mailer("dispatch").code == 0
    assert set(counts(connection, mailing)) <= {"sent", "failed"}
    assert len({entry["id"] for entry in read_ledger(ledger)}) == 20


@pytest.mark.usefixtures("service")
def test_who_was_muted_or_removed_after_the_opening_gets_a_cancelled_message(
    mailer: Mailer, connection: Connection, ledger: Path
) -> None:
    add_clients(connection, 10)
    mailing = create(mailer, -1, 5)
    connection.execute("UPDATE mailing SET state = 'paused'")
    mailer("dispatch")  # opens the windows, sends nothing
    connection.execute("UPDATE client SET muted_at = now() WHERE id = 1")
    connection.execute("UPDATE client SET removed_at = now() WHERE id = 2")
    connection.execute("UPDATE mailing SET state = 'active'")
    mailer("dispatch")
    assert counts(connection, mailing) == {"sent": 8, "cancelled": 2}
    assert len(read_ledger(ledger)) == 8
    row = report(mailer, mailing)
    assert (row["audience"], row["waiting"]) == (10, 0)


@pytest.mark.usefixtures("service")
def test_who_was_muted_before_the_opening_is_not_in_the_audience(
    mailer: Mailer, connection: Connection
) -> None:
    add_clients(connection, 10)
    connection.execute("UPDATE client SET muted_at = now() WHERE id <= 3")
    mailing = create(mailer, -1, 5)
    mailer("dispatch")
    assert counts(connection, mailing) == {"sent": 7}
    assert report(mailer, mailing)["audience"] == 7


@pytest.mark.usefixtures("service")
def test_who_registers_after_the_opening_is_not_sent_to_unless_admitted(
    mailer: Mailer, connection: Connection
) -> None:
    add_clients(connection, 4)
    mailing = create(mailer, -1, 5)
    mailer("dispatch")
    add_clients(connection, 2, first=100)
    mailer("dispatch")
    assert counts(connection, mailing) == {"sent": 4}
    assert mailer("mailing", "refresh", str(mailing)).code == 0
    mailer("dispatch")
    assert counts(connection, mailing) == {"sent": 6}


@pytest.mark.usefixtures("service")
def test_a_client_who_moves_into_an_open_zone_behind_the_cursor_is_found(
    mailer: Mailer, connection: Connection
) -> None:
    add_clients(connection, 1, "Pacific/Pago_Pago")  # far behind: opens last
    add_clients(connection, 5, "UTC", first=10)
    mailing = create(mailer, -1, 30)
    mailer("dispatch")
    assert counts(connection, mailing) == {"sent": 5}
    assert mailer("client", "update", "1", "--timezone", "UTC").code == 0
    mailer("dispatch")
    assert counts(connection, mailing) == {"sent": 6}


@pytest.mark.usefixtures("service")
def test_a_paused_mailing_is_not_sent_until_it_is_resumed(mailer: Mailer, connection: Connection) -> None:
    add_clients(connection, 10)
    mailing = create(mailer, -1, 5)
    assert mailer("mailing", "pause", str(mailing)).code == 0
    mailer("dispatch")
    assert counts(connection, mailing) == {}
    assert mailer("mailing", "resume", str(mailing)).code == 0
    mailer("dispatch")
    assert counts(connection, mailing) == {"sent": 10}


@pytest.mark.usefixtures("service")
def test_a_cancelled_mailing_is_settled_by_the_next_tick(
    mailer: Mailer, connection: Connection, ledger: Path
) -> None:
    add_clients(connection, 10)
    mailing = create(mailer, -1, 5)
    assert mailer("mailing", "cancel", str(mailing), "--yes").code == 0
    mailer("dispatch")
    assert counts(connection, mailing) == {"cancelled": 10}
    assert read_ledger(ledger) == []
    row = report(mailer, mailing)
    assert (row["audience"], row["waiting"], row["cancelled"]) == (10, 0, 10)


@pytest.mark.usefixtures("service")
def test_allowed_hours_keep_the_message_until_they_come(mailer: Mailer, connection: Connection) -> None:
    add_clients(connection, 5)
    now = datetime.now(UTC)
    hours = f"{now + timedelta(hours=2):%H:%M}-{now + timedelta(hours=4):%H:%M}"
    mailing = create(mailer, -1, 48, "--between", hours)
    mailer("dispatch")
    assert counts(connection, mailing) == {}


@pytest.mark.usefixtures("service")
def test_each_run_is_recorded_with_what_it_did(mailer: Mailer, connection: Connection) -> None:
    add_clients(connection, 12)
    create(mailer, -1, 5)
    mailer("dispatch")
    row = connection.execute("SELECT claimed, sent, ending, ended_at IS NOT NULL FROM run").fetchone()
    assert row == (12, 12, "done", True)
    [(latencies,)] = connection.execute("SELECT latencies FROM run").fetchall()
    assert sum(latencies) == 12


def test_a_dry_run_says_what_would_be_sent_and_changes_nothing(
    mailer: Mailer, connection: Connection
) -> None:
    add_clients(connection, 7)
    add_clients(connection, 2, "Pacific/Pago_Pago", first=50)
    mailing = create(mailer, -1, 5)
    ended = mailer("dispatch", "--dry-run", "-o", "json")
    rows = {row["zone"]: row for row in json.loads(ended.out)}
    assert rows["UTC"]["due"] == 7
    assert rows["Pacific/Pago_Pago"]["due"] == 0
    assert rows["UTC"]["mailing"] == mailing
    assert {"mailing", "zone", "due", "opens_at", "closes_at"} <= set(rows["UTC"])
    at = (datetime.now(UTC) + timedelta(hours=11)).isoformat()
    later = {
        r["zone"]: r["due"] for r in json.loads(mailer("dispatch", "--dry-run", "--at", at, "-o", "json").out)
    }
    assert later == {"UTC": 0, "Pacific/Pago_Pago": 2}
    assert counts(connection, mailing) == {}
    assert connection.execute("SELECT count(*) FROM run").fetchone() == (0,)


def test_at_without_dry_run_is_a_usage_error(mailer: Mailer) -> None:
    assert mailer("dispatch", "--at", "2026-01-01T00:00Z").code == 2


@pytest.mark.usefixtures("service")
def test_clients_in_a_zone_that_nobody_knows_keep_nobody_else_from_being_sent_to(
    mailer: Mailer, connection: Connection, ledger: Path
) -> None:
    add_clients(connection, 5)
    add_clients(connection, 2, "Europe/Atlantis", first=50)
    mailing = create(mailer, -1, 5)
    assert mailer("dispatch").code == 0
    assert len(read_ledger(ledger)) == 5
    assert report(mailer, mailing)["audience"] == 5
    told = mailer("mailing", "preview", str(mailing))
    assert (told.code, "2 clients left out, in zones that are not known here" in told.err) == (0, True)
    assert mailer("dispatch", "--dry-run").code == 0
    assert mailer("top", "-n", "1").code == 0
    assert mailer("mailing", "simulate", str(mailing), "--rate", "1").code == 0
    asked = mailer("why", "79160000050", "--mailing", str(mailing))
    assert asked.code in {0, 1}
    assert "bug" not in asked.err
