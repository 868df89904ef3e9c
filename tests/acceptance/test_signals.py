"""Stopping a dispatcher: what is in hand is finished or handed back, never lost, never repeated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from conftest import CONFIGURED
from mailer_cli.database import Connection, Dsn
from mailer_cli.sandbox import Faults, SandboxThread, read_ledger

CLIENTS = 400


def start(dsn: Dsn, url: str, home: Path) -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURED)}
    settings = {"HOME": str(home), "DATABASE_URL": dsn.address, "MESSAGE_SERVICE_URL": url, "JWT_TOKEN": "t"}
    return subprocess.Popen(
        [sys.executable, "-m", "mailer_cli", "dispatch", "--concurrency", "10"],
        env=kept | settings,
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until_sending(service: SandboxThread) -> None:
    give_up = time.monotonic() + 20
    while service.received < 15 and time.monotonic() < give_up:
        time.sleep(0.02)
    assert service.received >= 15


def wait_until_alone(connection: Connection) -> None:
    """A killed client's last statement may still be finishing on the server."""
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    while connection.execute(others).fetchone() != (0,):
        time.sleep(0.02)


def a_due_mailing(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO client (phone, operator_code, timezone)"
        " SELECT '7916' || lpad(i::text, 7, '0'), '916', 'UTC' FROM generate_series(1, %s::int) i",
        (CLIENTS,),
    )
    connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at)"
        " VALUES ('Hello', now() - interval '1 hour', now() + interval '1 day')"
    )


def counts(connection: Connection) -> Counter[str]:
    rows = connection.execute("SELECT status, count(*) FROM message GROUP BY status").fetchall()
    return Counter(dict(rows))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_finishes_what_is_under_way_and_hands_back_the_rest(
    dsn: Dsn, connection: Connection, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    a_due_mailing(connection)
    ledger = tmp_path / "ledger"
    with SandboxThread(ledger=ledger, faults=Faults(latency=0.1)) as service:
        running = start(dsn, service.url, tmp_path)
        wait_until_sending(service)
        running.send_signal(number)
        out, err = running.communicate(timeout=20)
    assert (running.returncode, out) == (code, "")
    assert "stopped by a signal" in err
    assert "Traceback" not in err
    found = counts(connection)
    assert set(found) <= {"sent", "retrying"}
    assert found["sent"] == len(read_ledger(ledger))
    assert connection.execute("SELECT count(*) FROM claim").fetchone() == (0,)
    with SandboxThread(ledger=ledger) as service:
        again = start(dsn, service.url, tmp_path)
        again.communicate(timeout=30)
    assert again.returncode == 0
    assert counts(connection) == {"sent": CLIENTS}
    assert len({entry["id"] for entry in read_ledger(ledger)}) == len(read_ledger(ledger)) == CLIENTS


def test_a_second_signal_does_not_wait_and_leaves_what_is_under_way_in_doubt(
    dsn: Dsn, connection: Connection, tmp_path: Path
) -> None:
    a_due_mailing(connection)
    ledger = tmp_path / "ledger"
    with SandboxThread(ledger=ledger, faults=Faults(latency=5)) as service:
        running = start(dsn, service.url, tmp_path)
        give_up = time.monotonic() + 20
        while service.received < 10 and time.monotonic() < give_up:
            time.sleep(0.02)
        running.terminate()
        time.sleep(0.5)
        running.terminate()
        began = time.monotonic()
        running.communicate(timeout=20)
        waited = time.monotonic() - began
    assert running.returncode == 143
    assert waited < 5
    found = counts(connection)
    assert found["unknown"] == 10
    assert set(found) == {"unknown", "retrying"}


def test_the_rest_of_a_killed_dispatchers_claims_is_taken_over_when_its_lease_has_lapsed(
    dsn: Dsn, connection: Connection, tmp_path: Path
) -> None:
    a_due_mailing(connection)
    ledger = tmp_path / "ledger"
    with SandboxThread(ledger=ledger, faults=Faults(latency=0.1)) as service:
        running = start(dsn, service.url, tmp_path)
        wait_until_sending(service)
        running.kill()
        running.communicate()
    wait_until_alone(connection)
    held = connection.execute("SELECT count(*) FROM claim").fetchone()
    assert held is not None
    assert held[0] > 0
    connection.execute("UPDATE claim SET lease_until = now()")
    with SandboxThread(ledger=ledger) as service:
        again = start(dsn, service.url, tmp_path)
        again.communicate(timeout=30)
    assert again.returncode == 0
    found = counts(connection)
    assert set(found) == {"sent", "unknown"}
    assert found.total() == CLIENTS
    # Under way, started and queued, or answered within the last flush: a second of sending at the most.
    assert found["unknown"] <= 100
    accepted = Counter(entry["id"] for entry in read_ledger(ledger))
    assert max(accepted.values()) == 1
    assert found["sent"] <= len(accepted) <= CLIENTS
