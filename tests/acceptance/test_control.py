"""What operators stop, restart and decide, and the gate to the service that all hosts share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import factories
from conftest import CONFIGURED, Mailer
from mailer_cli import decisions
from mailer_cli.database import Connection, Dsn
from mailer_cli.dispatch import gate
from mailer_cli.ids import message_id
from mailer_cli.sandbox import Faults, SandboxThread, read_ledger
from mailer_cli.statuses import Status

CLIENTS = 60


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def service(bare: None, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxThread]:  # noqa: ARG001 - first the settings are cleared
    with SandboxThread(ledger=ledger) as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        monkeypatch.setenv("JWT_TOKEN", "t")
        monkeypatch.setenv("MAILER_RETRY_BASE", "0.01")
        monkeypatch.setattr(gate, "BREAK_SECONDS", 0.2)
        yield sandbox


def a_due_mailing(connection: Connection, clients: int = CLIENTS) -> int:
    factories.clients(connection, clients, timezone="UTC")
    row = connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at)"
        " VALUES ('Hello', now() - interval '1 hour', now() + interval '1 day') RETURNING id"
    ).fetchone()
    assert row is not None
    return int(row[0])


def counts(connection: Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT status, count(*) FROM message GROUP BY status").fetchall())


def counted(connection: Connection) -> dict[str, int]:
    columns = ("sending", "retrying", "sent", "failed", "unknown", "expired", "cancelled")
    row = connection.execute(
        "SELECT " + ", ".join(f"coalesce(sum({c}), 0)::int" for c in columns) + " FROM counter"  # noqa: S608 - our own names
    ).fetchone()
    assert row is not None
    return {c: n for c, n in zip(columns, row, strict=True) if n}


@pytest.mark.usefixtures("service")
def test_nothing_is_sent_while_sending_is_held_and_all_of_it_after(
    mailer: Mailer, connection: Connection, ledger: Path
) -> None:
    a_due_mailing(connection)
    assert mailer("hold", "--reason", "wrong text").code == 0
    assert mailer("dispatch").code == 0
    assert read_ledger(ledger) == []
    assert "wrong text" in mailer("report").err
    assert "wrong text" in mailer("dispatch", "--dry-run", "-o", "json").out
    assert connection.execute("SELECT ending FROM run").fetchone() == ("held",)
    assert mailer("release").code == 0
    mailer("dispatch")
    assert counts(connection) == {"sent": CLIENTS}
    actions = connection.execute("SELECT action FROM event ORDER BY id").fetchall()
    assert actions == [("sending held",), ("sending released",)]


def test_releasing_what_is_not_held_says_so(mailer: Mailer) -> None:
    assert "was not held" in mailer("release").err
    assert mailer("hold").code == 2
    assert mailer("hold", "--reason", " ").code == 1


def test_a_rejected_token_lets_one_message_through_as_a_probe_and_then_all(
    mailer: Mailer, connection: Connection, service: SandboxThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection)
    with SandboxThread(token="right") as strict:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", strict.url)
        assert mailer("dispatch", "--concurrency", "5").code == 4
        tried = strict.received
        assert tried <= 5
        assert mailer("dispatch").code == 4
        assert strict.received == tried + 1
        assert "token" in mailer("report").err
    monkeypatch.setenv("MESSAGE_SERVICE_URL", service.url)
    assert mailer("dispatch").code == 0
    assert counts(connection) == {"sent": CLIENTS}
    assert connection.execute("SELECT token_rejected_at, probe_run_id FROM service").fetchone() == (
        None,
        None,
    )


def test_the_breaker_trips_on_the_share_of_failures_and_a_probe_closes_it(
    mailer: Mailer,
    connection: Connection,
    ledger: Path,
    service: SandboxThread,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a_due_mailing(connection, 2_000)
    monkeypatch.setenv("MAILER_MAX_ATTEMPTS", "100")
    with SandboxThread(faults=Faults(status=500)) as broken:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", broken.url)
        monkeypatch.setattr(gate, "BREAK_SECONDS", 600.0)
        assert mailer("dispatch", "--concurrency", "10").code == 0
        asked = broken.received
        assert asked < 1_000
        assert mailer("dispatch").code == 0
        assert broken.received == asked
    row = connection.execute("SELECT broken_at IS NOT NULL, breaks FROM service").fetchone()
    assert row == (True, 1)
    connection.execute("UPDATE service SET probe_after = now()")
    monkeypatch.setenv("MESSAGE_SERVICE_URL", service.url)
    assert mailer("dispatch").code == 0
    assert counts(connection) == {"sent": 2_000}
    assert len(read_ledger(ledger)) == 2_000
    assert connection.execute("SELECT broken_at, breaks FROM service").fetchone() == (None, 0)


def test_a_failed_probe_doubles_the_wait(
    mailer: Mailer, connection: Connection, service: SandboxThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection)
    connection.execute("UPDATE service SET broken_at = now(), breaks = 1, probe_after = now()")
    monkeypatch.setattr(gate, "BREAK_SECONDS", 100.0)
    with SandboxThread(faults=Faults(status=503)) as broken:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", broken.url)
        assert mailer("dispatch").code == 0
        assert broken.received == 1
    assert service.received == 0
    row = connection.execute("SELECT breaks, extract(epoch FROM probe_after - now()) FROM service").fetchone()
    assert row is not None
    assert row[0] == 2
    assert 190 < row[1] <= 200


def test_when_the_service_asks_everybody_to_wait_nobody_asks_again_before(
    mailer: Mailer, connection: Connection, service: SandboxThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection)
    with SandboxThread(faults=Faults(status=429, retry_after=120)) as busy:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", busy.url)
        mailer("dispatch", "--concurrency", "5")
        asked = busy.received
        mailer("dispatch")
        assert busy.received == asked <= 10
    assert service.received == 0
    row = connection.execute("SELECT extract(epoch FROM blocked_until - now()) FROM service").fetchone()
    assert row is not None
    assert 100 < row[0] <= 120


@pytest.mark.usefixtures("service")
def test_a_copied_database_refuses_to_send_until_it_is_made_the_new_home(
    mailer: Mailer, connection: Connection, ledger: Path
) -> None:
    a_due_mailing(connection)
    connection.execute("UPDATE service SET home = 'another/1'")
    ended = mailer("dispatch")
    assert ended.code == 1
    assert "mailer release --new-home" in ended.err
    assert read_ledger(ledger) == []
    assert counts(connection) == {}
    assert mailer("release", "--new-home").code == 0
    assert mailer("dispatch").code == 0
    assert counts(connection) == {"sent": CLIENTS}


def test_failed_messages_can_be_tried_again_while_their_window_is_open(
    mailer: Mailer, connection: Connection, service: SandboxThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailing = str(a_due_mailing(connection))
    with SandboxThread(faults=Faults(status=400)) as refusing:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", refusing.url)
        mailer("dispatch")
    assert counts(connection) == {"failed": CLIENTS}
    assert f"{CLIENTS} failed would be" in mailer("mailing", "retry", mailing, "--dry-run").err
    assert "0 failed" in mailer("mailing", "retry", mailing, "--code", "404", "--dry-run").err
    assert mailer("mailing", "retry", mailing).code == 1
    assert counts(connection) == {"failed": CLIENTS}
    assert mailer("mailing", "retry", mailing, "--code", "400", "--yes").code == 0
    assert counted(connection) == counts(connection) == {"retrying": CLIENTS}
    monkeypatch.setenv("MESSAGE_SERVICE_URL", service.url)
    mailer("dispatch")
    assert counted(connection) == counts(connection) == {"sent": CLIENTS}


def test_trying_again_what_is_in_doubt_names_the_risk(
    mailer: Mailer, connection: Connection, service: SandboxThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailing = str(a_due_mailing(connection, 10))
    with SandboxThread(faults=Faults(garbage_rate=1)) as vague:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", vague.url)
        mailer("dispatch")
    assert counts(connection) == {"unknown": 10}
    assert "a second time" in mailer("mailing", "retry", mailing, "--only", "unknown").err
    assert mailer("mailing", "retry", mailing, "--only", "unknown", "--yes").code == 0
    monkeypatch.setenv("MESSAGE_SERVICE_URL", service.url)
    mailer("dispatch")
    assert counted(connection) == counts(connection) == {"sent": 10}


@pytest.mark.usefixtures("service")
def test_nothing_of_a_mailing_that_was_cancelled_meanwhile_is_tried_again(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command looks first; what counts is what the mailing is when messages are put back."""
    mailing = a_due_mailing(connection, 10)
    with SandboxThread(faults=Faults(garbage_rate=1)) as vague:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", vague.url)
        mailer("dispatch")
        assert mailer("mailing", "cancel", str(mailing), "--yes").code == 0
        mailer("dispatch")  # finishes it
    assert decisions.retry(connection, "olga", mailing, [Status.UNKNOWN]) == {Status.UNKNOWN: 0}
    assert counts(connection) == counted(connection) == {"unknown": 10}
    assert connection.execute("SELECT count(*) FROM retry").fetchone() == (0,)


def test_what_became_of_a_message_in_doubt_can_be_told(
    mailer: Mailer, connection: Connection, service: SandboxThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailing = a_due_mailing(connection, 2)
    with SandboxThread(faults=Faults(garbage_rate=1)) as vague:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", vague.url)
        mailer("dispatch")
    first, second = (str(message_id(mailing, client)) for client in (1, 2))
    assert mailer("message", "resolve", first, "--as", "sent").code == 0
    assert mailer("message", "resolve", second, "--as", "failed").code == 0
    assert counted(connection) == counts(connection) == {"sent": 1, "failed": 1}
    assert connection.execute("SELECT sent_at IS NOT NULL FROM message ORDER BY client_id").fetchall() == [
        (True,),
        (False,),
    ]
    assert "only one in doubt" in mailer("message", "resolve", first, "--as", "sent").err
    assert mailer("message", "resolve", str(message_id(mailing, 99)), "--as", "sent").code == 1
    assert mailer("message", "resolve", first, "--as", "lost").code == 2
    assert json.loads(mailer("message", "show", first, "-o", "json").out)["status"] == "sent"
    assert service.received == 0


def starts(ledger: Path) -> list[float]:
    return sorted(datetime.fromisoformat(entry["time"]).timestamp() for entry in read_ledger(ledger))


def assert_rate(times: list[float], rate: int) -> None:
    """Exact over all; within a second, what a busy machine delivers late comes closer to the next."""
    assert (len(times) - 1) / (times[-1] - times[0]) < 1.02 * rate
    assert all(later - earlier > 0.75 for earlier, later in zip(times, times[rate:], strict=False))


@pytest.mark.usefixtures("service")
def test_no_second_sees_more_than_the_rate_and_hardly_less(
    mailer: Mailer, connection: Connection, ledger: Path
) -> None:
    a_due_mailing(connection, 150)
    assert mailer("dispatch", "--rate", "40").code == 0
    times = starts(ledger)
    assert len(times) == 150
    assert_rate(times, 40)
    assert 150 / (times[-1] - times[0]) > 0.6 * 40  # 0.98 where nothing else runs


def test_several_dispatchers_share_one_rate(
    dsn: Dsn, connection: Connection, ledger: Path, tmp_path: Path
) -> None:
    a_due_mailing(connection, 150)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURED)}
    with SandboxThread(ledger=ledger) as sandbox:
        env = kept | {
            "HOME": str(tmp_path),
            "DATABASE_URL": dsn.address,
            "MESSAGE_SERVICE_URL": sandbox.url,
            "JWT_TOKEN": "t",
            "MAILER_RATE_PER_SECOND": "40",
        }
        command = [sys.executable, "-m", "mailer_cli", "dispatch"]
        running = [subprocess.Popen(command, env=env, cwd=tmp_path) for _ in range(3)]
        assert [process.wait(timeout=60) for process in running] == [0, 0, 0]
    times = starts(ledger)
    assert len(times) == 150
    assert_rate(times, 40)


@pytest.mark.usefixtures("service")
def test_the_days_quota_is_exact_and_the_report_says_until_when(
    mailer: Mailer, connection: Connection, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection)
    monkeypatch.setenv("MAILER_RATE_PER_DAY", "25")
    for _ in range(2):
        assert mailer("dispatch", "--max-seconds", "5").code == 0
        assert len(read_ledger(ledger)) == 25
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d")
    assert f"sending waits until {tomorrow} 00:00Z: the quota of 25 messages a day" in mailer("report").err
    connection.execute("UPDATE service SET quota_day = quota_day - 1, blocked_until = NULL")
    mailer("dispatch", "--max-seconds", "5")
    assert len(read_ledger(ledger)) == 50


@pytest.mark.usefixtures("service")
def test_a_short_wait_does_not_hide_the_reason_of_a_long_one(mailer: Mailer, connection: Connection) -> None:
    gate.block(connection, 3600, "the quota is used up")
    gate.block(connection, 5, "the service asked to wait")
    assert "the quota is used up" in mailer("report").err
    gate.block(connection, 7200, "the service asked to wait")
    assert "the service asked to wait" in mailer("report").err


def test_a_probe_that_failed_says_why(
    mailer: Mailer, connection: Connection, service: SandboxThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection)
    connection.execute(
        "UPDATE service SET broken_at = now(), break_reason = 'old', breaks = 1, probe_after = now()"
    )
    monkeypatch.setattr(gate, "BREAK_SECONDS", 100.0)
    with SandboxThread(faults=Faults(status=503)) as broken:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", broken.url)
        assert mailer("dispatch").code == 0
    row = connection.execute("SELECT break_reason FROM service").fetchone()
    assert row is not None
    assert row[0].startswith("HTTP 503")
    assert service.received == 0
