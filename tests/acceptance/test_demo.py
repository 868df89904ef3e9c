"""`mailer demo` and the embedded database as a newcomer meets them: nothing configured or installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import CONFIGURED


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A newcomer's home, which the server's user can reach where we are root."""
    path = Path(tempfile.mkdtemp(prefix="mailer newcomer "))
    path.chmod(0o755)
    try:
        yield path
    finally:
        type_command(path, "db", "stop")
        stopped = type_command(path, "demo", "--stop")
        assert stopped.returncode == 0
        shutil.rmtree(path)


def type_command(home: Path, *argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURED)}
    return subprocess.run(
        [sys.executable, "-m", "mailer_cli", *argv],
        env=kept | {"HOME": str(home)} | env,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_demo_shows_clients_mailings_sending_and_the_report(home: Path) -> None:
    ended = type_command(home, "demo")
    assert ended.returncode == 0, ended.stderr
    assert "320 in 20 time zones" in ended.stderr
    assert ended.stderr.count("mailing  ") == 3
    assert "sent     " in ended.stderr
    assert "mailer client add" in ended.stderr.splitlines()[-1]
    assert "Весенняя распродажа" in ended.stdout
    assert "expired" in ended.stdout


def test_the_demo_can_be_run_twice_and_started_over(home: Path) -> None:
    type_command(home, "demo")
    again = type_command(home, "demo")
    assert again.returncode == 0, again.stderr
    assert "320 in 20 time zones" in again.stderr
    over = type_command(home, "demo", "--reset")
    assert over.returncode == 0, over.stderr
    assert "mailing  1, " in over.stderr


def test_the_demo_keeps_apart_from_the_operators_own_database(home: Path) -> None:
    type_command(home, "demo")
    ended = type_command(home, "client", "count", "-o", "json")
    assert json.loads(ended.stdout) == {"clients": 0}


def test_the_demos_address_opens_its_report(home: Path) -> None:
    shown = type_command(home, "demo").stderr
    address = next(line for line in shown.splitlines() if "DATABASE_URL=" in line).split("'")[1]
    rows = json.loads(type_command(home, "report", "-o", "json", DATABASE_URL=address).stdout)
    assert rows
    for row in rows:
        statuses = ("sending", "retrying", "sent", "failed", "unknown", "expired", "cancelled")
        assert row["audience"] == row["waiting"] + sum(row[status] for status in statuses)


def test_the_embedded_database_starts_by_itself_and_stops_when_told(home: Path) -> None:
    first = type_command(home, "report", "-o", "json")
    assert (first.returncode, first.stdout, first.stderr) == (0, "[]\n", "")
    status = json.loads(type_command(home, "db", "status", "-o", "json").stdout)
    assert (status["kind"], status["running"], status["up_to_date"]) == ("embedded", True, True)
    assert "was stopped" in type_command(home, "db", "stop").stderr
    assert "was not running" in type_command(home, "db", "stop").stderr
    assert json.loads(type_command(home, "db", "status", "-o", "json").stdout)["running"] is False
    assert "up to date" in type_command(home, "db", "upgrade").stderr
