"""Ten dispatchers at once, some of them killed: the service's ledger is the oracle."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from conftest import CONFIGURED
from mailer_cli import database
from mailer_cli.database import Connection, Dsn
from mailer_cli.ids import message_id
from mailer_cli.sandbox import Faults, SandboxThread, read_ledger

CLIENTS = 20_000
DISPATCHERS = 10
KILLS = 8
SEED = 20261123


def environment(dsn: Dsn, url: str, home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURED)}
    return kept | {
        "HOME": str(home),
        "DATABASE_URL": dsn.address,
        "MESSAGE_SERVICE_URL": url,
        "JWT_TOKEN": "token",
        "MAILER_LEASE": "6",
        "MAILER_HTTP_TIMEOUT": "2",
        "MAILER_CONCURRENCY": "20",
        "MAILER_RETRY_BASE": "0.2",
    }


def start_dispatcher(env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "mailer_cli", "dispatch", "--max-seconds", "20"],
        env=env,
        cwd=env["HOME"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def prepare(connection: Connection) -> int:
    connection.execute(
        "INSERT INTO client (phone, operator_code, timezone)"
        " SELECT '7916' || lpad(i::text, 7, '0'), '916',"
        " (ARRAY['Europe/Moscow', 'Asia/Omsk', 'Asia/Almaty', 'Asia/Kathmandu'])[1 + i %% 4]"
        " FROM generate_series(1, %s::int) i",
        (CLIENTS,),
    )
    row = connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at)"
        " VALUES ('Hello', now() - interval '1 day', now() + interval '2 days') RETURNING id"
    ).fetchone()
    assert row is not None
    return int(row[0])


def left(connection: Connection) -> int:
    """How much is still to be done: windows not scanned, claims, retries, messages under way."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM mailing_window WHERE state NOT IN ('scanned', 'closed'))"
        " + (SELECT count(*) FROM claim) + (SELECT count(*) FROM retry)"
        " + (SELECT count(*) FROM message WHERE status IN ('sending', 'retrying'))"
        " + (SELECT count(*) FROM mailing WHERE id NOT IN (SELECT mailing_id FROM mailing_window))"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_ten_dispatchers_some_killed_send_to_each_client_at_most_once(dsn: Dsn, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    ledger = tmp_path / "ledger.jsonl"
    faults = Faults(error_rate=0.01, reset_rate=0.002, garbage_rate=0.002, seed=SEED)
    with (
        database.connect(dsn) as connection,
        SandboxThread(token="token", ledger=ledger, faults=faults) as service,
    ):
        mailing = prepare(connection)
        env = environment(dsn, service.url, tmp_path)
        running = [start_dispatcher(env) for _ in range(DISPATCHERS)]
        kills = 0
        give_up = time.monotonic() + 100
        while left(connection) and time.monotonic() < give_up:
            time.sleep(chance.uniform(0.2, 0.5))
            if kills < KILLS and service.accepted:
                victim = chance.choice(running)
                victim.send_signal(signal.SIGKILL)
                kills += 1
            for ended in [p for p in running if p.poll() is not None]:
                ended.communicate()
                running.remove(ended)
                running.append(start_dispatcher(env))
        for process in running:
            process.terminate()
        for process in running:
            process.communicate(timeout=30)
        assert left(connection) == 0
        assert kills == KILLS
        check(connection, mailing, ledger)


def check(connection: Connection, mailing: int, ledger: Path) -> None:
    accepted = Counter(entry["id"] for entry in read_ledger(ledger))
    assert [number for number, times in accepted.items() if times > 1] == []
    rows = connection.execute(
        "SELECT client_id, status FROM message WHERE mailing_id = %s", (mailing,)
    ).fetchall()
    assert len(rows) == CLIENTS == len({client for client, _ in rows})
    by_status = Counter(status for _, status in rows)
    assert set(by_status) <= {"sent", "failed", "unknown"}
    sent = {message_id(mailing, client) for client, status in rows if status == "sent"}
    assert sent <= set(accepted)
    doubtful = {message_id(mailing, client) for client, status in rows if status == "unknown"}
    assert set(accepted) <= sent | doubtful
    columns = ("sending", "retrying", "sent", "failed", "unknown", "expired", "cancelled")
    totals = connection.execute(
        "SELECT " + ", ".join(f"sum({c})::int" for c in columns) + " FROM counter"  # noqa: S608 - our own names
    ).fetchone()
    assert totals is not None
    assert dict(zip(columns, totals, strict=True)) == {c: by_status.get(c, 0) for c in columns}
    audience = connection.execute(
        "SELECT sum(audience)::int, sum(claimed)::int FROM mailing_window"
    ).fetchone()
    assert audience == (CLIENTS, CLIENTS)


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(5))
def test_the_same_again_with_other_kills(
    dsn: Dsn, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "SEED", seed)
    test_ten_dispatchers_some_killed_send_to_each_client_at_most_once(dsn, tmp_path)
