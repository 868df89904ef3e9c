"""`mailer dispatch --processes N`: one run, one command line, clean signals, and the same promises."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conftest import Mailer
from mailer_cli.database import Connection, Dsn
from mailer_cli.sandbox import Faults, SandboxThread, read_ledger

TOKEN = "a-token-that-must-never-show"
CLIENTS = 3000


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def service(bare: None, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxThread]:  # noqa: ARG001 - first the settings are cleared
    """A message service that takes its time."""
    with SandboxThread(token=TOKEN, ledger=ledger, faults=Faults(latency=0.05)) as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        monkeypatch.setenv("JWT_TOKEN", TOKEN)
        yield sandbox


@pytest.fixture
def mailing(mailer: Mailer, connection: Connection) -> int:
    connection.execute(
        "INSERT INTO client (phone, operator_code, timezone)"
        " SELECT '7916' || lpad(i::text, 7, '0'), '916', 'UTC' FROM generate_series(1, %s::int) i",
        [CLIENTS],
    )
    start, end = (f"{datetime.now(UTC) + timedelta(hours=hours):%Y-%m-%d %H:%M}" for hours in (-1, 5))
    made = mailer("mailing", "create", "Hello", "--start", start, "--end", end, "--yes", "-o", "json")
    number: int = json.loads(made.out)["id"]
    return number


def started(dsn: Dsn, home: Path, *options: str) -> subprocess.Popen[str]:
    env = {**os.environ, "DATABASE_URL": dsn.address, "HOME": str(home)}
    words = [sys.executable, "-m", "mailer_cli", "dispatch", "--processes", "3", *options]
    return subprocess.Popen(
        words, env=env, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes it has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == process.pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def until_it_sends(ledger: Path, number: int = 200) -> None:
    give_up = time.monotonic() + 60
    while not ledger.exists() or len(ledger.read_text().splitlines()) < number:
        assert time.monotonic() < give_up
        time.sleep(0.05)


def accepted(ledger: Path) -> Counter[int]:
    return Counter(entry["id"] for entry in read_ledger(ledger))


def counts(connection: Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT status, count(*) FROM message GROUP BY 1").fetchall())


@pytest.mark.usefixtures("service", "mailing")
def test_all_of_them_together_are_one_run(
    dsn: Dsn, connection: Connection, ledger: Path, tmp_path: Path
) -> None:
    run = started(dsn, tmp_path)
    assert (*run.communicate(timeout=100), run.returncode) == ("", "", 0)
    assert Counter(accepted(ledger).values()) == {1: CLIENTS}
    assert counts(connection) == {"sent": CLIENTS}
    [row] = connection.execute(
        "SELECT claimed, sent, ending, (SELECT sum(n) FROM unnest(latencies) n) FROM run"
    ).fetchall()
    assert row == (CLIENTS, CLIENTS, "done", CLIENTS)


@pytest.mark.usefixtures("service", "mailing")
def test_a_signal_lets_all_of_them_finish_what_is_under_way(
    dsn: Dsn, connection: Connection, ledger: Path, tmp_path: Path
) -> None:
    run = started(dsn, tmp_path)
    until_it_sends(ledger)
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)
    assert run.returncode == 143
    found = counts(connection)
    assert found["sent"] == len(accepted(ledger)) < CLIENTS
    assert not found.keys() & {"sending", "unknown"}
    assert connection.execute("SELECT sent FROM run").fetchall() == [(found["sent"],)]


@pytest.mark.usefixtures("service", "mailing")
def test_a_worker_that_is_killed_leaves_nothing_that_a_later_run_cannot_settle(
    dsn: Dsn, connection: Connection, ledger: Path, tmp_path: Path
) -> None:
    run = started(dsn, tmp_path)
    until_it_sends(ledger)
    os.kill(workers_of(run)[0], signal.SIGKILL)
    _, said = run.communicate(timeout=100)
    assert run.returncode == 75
    assert "a process of this run died" in said
    connection.execute("UPDATE claim SET lease_until = now()")
    again = started(dsn, tmp_path)
    assert (*again.communicate(timeout=100), again.returncode) == ("", "", 0)
    assert set(accepted(ledger).values()) == {1}
    found = counts(connection)
    assert found["sent"] + found.get("unknown", 0) == CLIENTS
    assert len(accepted(ledger)) >= found["sent"]


@pytest.mark.usefixtures("service", "mailing")
def test_workers_whose_parent_is_killed_end_by_themselves(
    dsn: Dsn, connection: Connection, ledger: Path, tmp_path: Path
) -> None:
    run = started(dsn, tmp_path)
    until_it_sends(ledger)
    orphans = workers_of(run)
    assert len(orphans) == 3
    run.kill()
    run.communicate(timeout=60)
    give_up = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/cmdline").exists() and _alive(pid) for pid in orphans):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    found = counts(connection)
    assert found["sent"] == len(accepted(ledger))
    assert "sending" not in found


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.usefixtures("service", "mailing")
def test_a_rejected_token_stops_all_of_them(
    dsn: Dsn, connection: Connection, ledger: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_TOKEN", "another-token")
    run = started(dsn, tmp_path)
    _, said = run.communicate(timeout=60)
    assert run.returncode == 4
    assert "the message service rejected the token" in said
    assert "another-token" not in said
    assert not ledger.exists() or not accepted(ledger)
    assert set(counts(connection)) <= {"retrying", "sending"}


def test_the_token_is_in_no_command_line(
    service: SandboxThread, mailing: int, dsn: Dsn, ledger: Path, tmp_path: Path
) -> None:
    assert service.url
    assert mailing
    run = started(dsn, tmp_path)
    until_it_sends(ledger)
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in (run.pid, *workers_of(run))]
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=60)
    assert len(lines) == 4
    assert not any(TOKEN.encode() in line for line in lines)


@pytest.mark.parametrize("wanted", ["0", "65", "many", "-1", "²"])
def test_a_number_that_cannot_be_is_refused(mailer: Mailer, wanted: str) -> None:
    told = mailer("dispatch", f"--processes={wanted}")
    assert told.code == 2
    assert "a number from 1 to 64, or auto" in " ".join(told.err.split())


def test_auto_means_one_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    from mailer_cli import settings
    from mailer_cli.cli.dispatch import engine_options

    monkeypatch.setenv("MAILER_PROCESSES", "auto")
    assert engine_options(settings.load()).processes == len(os.sched_getaffinity(0))
    assert engine_options(settings.load(), processes="2").processes == 2
