"""Several hosts on one PostgreSQL, each in a network namespace of its own; one is cut off in the middle."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import namespaces
from benchmarks.hosts import service
from chaos import oracle
from chaos.dispatchers import environment
from chaos.storm import add_clients
from chaos.test_lost_database import start_mailing
from mailer_cli import database
from mailer_cli.database import Dsn, schema
from mailer_cli.sandbox import read_ledger

CLIENTS = 4000
AWAY = 12.0  # seconds: longer than the lease
MAILER = str(Path(sys.executable).with_name("mailer"))

pytestmark = pytest.mark.chaos


def accepted(ledger: Path) -> int:
    return len(read_ledger(ledger))


@pytest.mark.parametrize("number", [2, 4])
def test_a_host_that_is_cut_off_and_comes_back_sends_to_nobody_twice(number: int, tmp_path: Path) -> None:
    if reason := namespaces.lacking():
        pytest.skip(reason)
    ledger = tmp_path / "ledger.jsonl"
    with namespaces.network(number) as net, namespaces.postgres(net) as address, service(net, ledger) as url:
        dsn = Dsn(address)
        schema.upgrade(dsn)
        with database.connect(dsn) as connection:
            add_clients(connection, CLIENTS)
        start_mailing(dsn)
        env = environment(tmp_path, address, url, PATH=os.environ["PATH"])
        words = (MAILER, "dispatch", "--max-seconds", "50")
        runs = [subprocess.Popen(host.words(*words), env=env) for host in net.hosts]
        while accepted(ledger) < 200:
            time.sleep(0.05)
        net.hosts[0].cable(plugged=False)
        before = accepted(ledger)
        time.sleep(AWAY)
        assert accepted(ledger) > before + 100, "the others went on"
        net.hosts[0].cable(plugged=True)
        codes = [run.wait(120) for run in runs]
        assert set(codes[1:]) == {0}
        assert codes[0] in {0, 75}
        with database.connect(dsn) as connection:
            end = time.monotonic() + 120
            while oracle.still_due(connection):
                assert time.monotonic() < end
                assert subprocess.run(net.hosts[0].words(*words), env=env, check=False).returncode == 0
            found = oracle.judge(connection, ledger)
    found.check()
    assert found.messages.total() == CLIENTS
    assert found.messages["unknown"] <= 50, "more is in doubt than one host had under way"
