"""A dispatcher that sleeps longer than its lease, or whose host's clock is wrong, does no harm."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaos import oracle
from chaos.dispatchers import environment
from chaos.storm import FAKETIME
from mailer_cli import database
from mailer_cli.database import Connection, Dsn
from mailer_cli.ids import mailing_and_client
from mailer_cli.sandbox import Faults, SandboxThread, read_ledger

LEASE = 8.0
CLIENTS = 600


def prepare(connection: Connection, *, seconds: float = 3600.0) -> None:
    connection.execute(
        "INSERT INTO client (phone, operator_code, timezone)"
        " SELECT '7916' || lpad(i::text, 7, '0'), '916', 'UTC' FROM generate_series(1, %s::int) i",
        [CLIENTS],
    )
    connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at, zone)"
        " VALUES ('Hello', now() - interval '1 day', now() + make_interval(secs => %s), 'UTC')",
        [seconds],
    )


def dispatcher(env: dict[str, str], home: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "mailer_cli", "dispatch", "--max-seconds", "40"],
        env=env,
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(9, id="while its window closes"),
        pytest.param(3600, id="in an open window", marks=pytest.mark.chaos),  # for the time it takes
    ],
)
def test_asleep_for_longer_than_its_lease_it_sends_nothing_when_it_wakes(
    dsn: Dsn, tmp_path: Path, seconds: float
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with (
        database.connect(dsn) as connection,
        SandboxThread(token="token", ledger=ledger, faults=Faults(latency=0.1)) as service,
    ):
        prepare(connection, seconds=seconds)
        env = environment(tmp_path, dsn.address, service.url, MAILER_LEASE=str(LEASE))
        sleeper = dispatcher(env, tmp_path)
        while service.accepted < 50:
            assert sleeper.poll() is None
            time.sleep(0.01)
        sleeper.send_signal(signal.SIGSTOP)
        time.sleep(LEASE + 1)
        slept_on = connection.execute("SELECT sum(started) FROM claim").fetchone()
        assert slept_on is not None
        assert slept_on[0], "it held nothing that was started"
        other = dispatcher(env, tmp_path)
        assert other.wait(60) == 0
        before = {entry["id"] for entry in read_ledger(ledger)}
        sleeper.send_signal(signal.SIGCONT)
        assert sleeper.wait(60) == 0
        found = oracle.judge(connection, ledger)
    found.check()
    after = [mailing_and_client(e["id"]) for e in read_ledger(ledger) if e["id"] not in before]
    assert after == [], "it sent on a lapsed lease"
    assert found.messages.total() == CLIENTS
    assert found.messages["unknown"] <= 40, "more in doubt than were started or just sent"


@pytest.mark.skipif(not FAKETIME.exists(), reason="no libfaketime: apt-get install faketime")
@pytest.mark.parametrize("offset", ["+10m", "-10m"])
def test_a_host_whose_clock_is_wrong_sends_by_the_clock_of_the_database(
    dsn: Dsn, tmp_path: Path, offset: str
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with (
        database.connect(dsn) as connection,
        SandboxThread(token="token", ledger=ledger, faults=Faults(error_rate=0.1, seed=1)) as service,
    ):
        prepare(connection)
        connection.execute(
            "INSERT INTO mailing (text, starts_at, ends_at, zone) VALUES"
            " ('Too late', now() - interval '1 day', now() - interval '5 minutes', 'UTC'),"
            " ('Too early', now() + interval '5 minutes', now() + interval '1 day', 'UTC')"
        )
        faked = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME": offset,
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }
        env = environment(tmp_path, dsn.address, service.url)
        assert dispatcher(env | faked, tmp_path).wait(60) == 0
        statuses = connection.execute(
            "SELECT mailing_id, status, count(*)::int,"
            " max(abs(extract(epoch FROM sent_at - created_at)))::int"
            " FROM message WHERE status <> 'retrying' GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
        planned = connection.execute("SELECT DISTINCT state FROM mailing_window WHERE mailing_id = 3")
        assert planned.fetchall() == [("planned",)]
    numbers = {(mailing, status): number for mailing, status, number, _ in statuses}
    assert numbers[2, "expired"] == CLIENTS
    assert numbers[1, "sent"] > CLIENTS / 2
    assert all(seconds is None or seconds < 60 for *_, seconds in statuses), "sent by the host's clock"
