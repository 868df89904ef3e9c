"""What is secret is nowhere to be seen: on no screen, in no process list, no file and no table."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

import factories
from conftest import Mailer
from mailer_cli import roles
from mailer_cli.database import Connection, Dsn
from mailer_cli.sandbox import Faults, SandboxThread

TOKEN = "token-sesame-open"
PASSWORD = "password-sesame-open"
LINES = [
    "report",
    "report --daily",
    "top -n 1",
    "log",
    "metrics",
    "doctor",
    "config show",
    "db status",
    "cron show",
    "client list",
    "mailing list",
    "message list",
    "why 1 --mailing 1",
    "dispatch",
    "mailing test 1 --to 79161112233",
    "hold --reason x",
    "release",
    "no-such-command",
]


@pytest.fixture
def secretive(mailer: Mailer, dsn: Dsn, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Mailer:
    """A shell with a token and a password, and a mailing that is due."""
    factories.clients(connection, 5, timezone="UTC")
    factories.a_mailing(connection, ends_at=factories.ENDS_AT.replace(year=2099))
    monkeypatch.setenv("DATABASE_URL", make_conninfo(dsn.address, password=PASSWORD))
    monkeypatch.setenv("JWT_TOKEN", TOKEN)
    return mailer


def files(below: Path) -> Iterator[str]:
    for path in below.rglob("*"):
        if path.is_file():
            yield path.read_bytes().decode(errors="replace")


@pytest.mark.parametrize(
    "faults",
    [Faults(error_rate=0.5, seed=1), Faults(garbage_rate=0.5, seed=1), Faults(reset_rate=0.5, seed=1)],
)
def test_no_command_shows_or_keeps_a_secret(
    secretive: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, faults: Faults
) -> None:
    with SandboxThread(token=TOKEN, faults=faults) as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        told = [secretive(*line.split()) for line in LINES]
    kept = [
        str(connection.execute(b"TABLE %b" % table.encode()).fetchall())
        for table in roles.TABLES
        if table != "alembic_version"
    ]
    for text in (*(each.out + each.err for each in told), *kept, *files(tmp_path)):
        assert TOKEN not in text
        assert PASSWORD not in text


def started(*argv: str, **env: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "mailer_cli", *argv]
    inherited = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    return subprocess.Popen(words, env=inherited | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def family(pid: int) -> list[int]:
    """Return the process and those it started."""
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in below for each in family(int(child)))]


def test_no_command_line_holds_a_secret(secretive: Mailer, dsn: Dsn, connection: Connection) -> None:
    del secretive
    with SandboxThread(token=TOKEN, faults=Faults(latency=0.5)) as sandbox:
        dispatching = started(
            "dispatch",
            "--processes",
            "2",
            DATABASE_URL=make_conninfo(dsn.address, password=PASSWORD),
            JWT_TOKEN=TOKEN,
            MESSAGE_SERVICE_URL=sandbox.url,
        )
        seen: set[bytes] = set()
        while dispatching.poll() is None:
            for pid in family(dispatching.pid):
                seen.add(Path(f"/proc/{pid}/cmdline").read_bytes())
            time.sleep(0.02)
        assert dispatching.communicate() == (b"", b"")
    assert connection.execute("SELECT count(*) FROM message WHERE status = 'sent'").fetchone() == (5,)
    assert len(seen) > 1  # its workers were seen
    assert not [line for line in seen if TOKEN.encode() in line or PASSWORD.encode() in line]


def test_a_dispatcher_that_dies_leaves_no_core(secretive: Mailer, dsn: Dsn, connection: Connection) -> None:
    del secretive
    with SandboxThread(token=TOKEN, faults=Faults(latency=30)) as sandbox:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
        dispatching = started(
            "dispatch", DATABASE_URL=dsn.address, JWT_TOKEN=TOKEN, MESSAGE_SERVICE_URL=sandbox.url
        )
        while not claimed(connection):
            time.sleep(0.02)
        limits = Path(f"/proc/{dispatching.pid}/limits").read_text()
        dispatching.send_signal(signal.SIGSEGV)
        dispatching.communicate()
        assert dispatching.returncode == -signal.SIGSEGV
    [line] = [each for each in limits.splitlines() if each.startswith("Max core file size")]
    assert line.split()[4:6] == ["0", "0"]


def claimed(connection: Connection) -> bool:
    return connection.execute("SELECT FROM claim WHERE started > 0").fetchone() is not None
