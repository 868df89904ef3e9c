"""Ten dispatchers at once, some of them killed: the service's ledger is the oracle."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chaos import oracle
from chaos.dispatchers import environment
from mailer_cli import database
from mailer_cli.database import Connection, Dsn
from mailer_cli.sandbox import Faults, SandboxThread

CLIENTS = 20_000
DISPATCHERS = 10
KILLS = 8
SEED = 20261123


def start_dispatcher(env: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "mailer_cli", "dispatch", "--max-seconds", "20"],
        env=env,
        cwd=env["HOME"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def prepare(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO client (phone, operator_code, timezone)"
        " SELECT '7916' || lpad(i::text, 7, '0'), '916',"
        " (ARRAY['Europe/Moscow', 'Asia/Omsk', 'Asia/Almaty', 'Asia/Kathmandu'])[1 + i %% 4]"
        " FROM generate_series(1, %s::int) i",
        (CLIENTS,),
    )
    connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at)"
        " VALUES ('Hello', now() - interval '1 day', now() + interval '2 days')"
    )


def test_ten_dispatchers_some_killed_send_to_each_client_at_most_once(dsn: Dsn, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    ledger = tmp_path / "ledger.jsonl"
    faults = Faults(error_rate=0.01, reset_rate=0.002, garbage_rate=0.002, seed=SEED)
    with (
        database.connect(dsn) as connection,
        SandboxThread(token="token", ledger=ledger, faults=faults) as service,
    ):
        prepare(connection)
        env = environment(tmp_path, dsn.address, service.url, MAILER_CONCURRENCY="20", MAILER_LEASE="6")
        running = [start_dispatcher(env) for _ in range(DISPATCHERS)]
        kills = 0
        give_up = time.monotonic() + 100
        while oracle.still_due(connection) and time.monotonic() < give_up:
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
        assert oracle.still_due(connection) == 0
        assert kills == KILLS
        found = oracle.judge(connection, ledger)
        found.check()
        assert found.messages.total() == CLIENTS
        assert set(found.messages) <= {"sent", "failed", "unknown"}


@pytest.mark.chaos
@pytest.mark.parametrize("seed", range(5))
def test_the_same_again_with_other_kills(
    dsn: Dsn, tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "SEED", seed)
    test_ten_dispatchers_some_killed_send_to_each_client_at_most_once(dsn, tmp_path)
