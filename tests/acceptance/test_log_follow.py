"""`mailer log --follow`, in a pipe, as a program of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, Queue

import factories
from conftest import CONFIGURED
from mailer_cli.database import Connection, Dsn

KEYS = ["time", "kind", "actor", "mailing", "message", "client", "run", "text", "details"]
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Following:
    """`mailer log --follow` in a pipe, as a program of its own."""

    process: subprocess.Popen[str]
    lines: Queue[str]

    def line(self) -> str:
        return self.lines.get(timeout=20)

    def nothing_more(self) -> bool:
        try:
            self.lines.get(timeout=1.5)
        except Empty:
            return True
        return False

    def interrupt(self) -> tuple[int, str]:
        self.process.send_signal(signal.SIGINT)
        assert self.process.stderr is not None
        return self.process.wait(timeout=20), self.process.stderr.read()


@contextmanager
def following(dsn: Dsn, home: Path, *options: str) -> Iterator[Following]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURED)}
    with subprocess.Popen(
        [sys.executable, "-m", "mailer_cli", "log", "--follow", *options],
        env=kept | {"HOME": str(home), "DATABASE_URL": dsn.address},
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        lines: Queue[str] = Queue()
        reader = threading.Thread(target=_read, args=[process, lines])
        reader.start()
        try:
            yield Following(process, lines)
        finally:
            process.kill()
            reader.join()


def _read(process: subprocess.Popen[str], lines: Queue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line.rstrip("\n"))


def test_a_followed_log_writes_each_new_line_once_and_ends_cleanly_when_interrupted(
    dsn: Dsn, connection: Connection, tmp_path: Path
) -> None:
    for n in range(12):
        factories.an_event(connection, f"old {n}", at=datetime.now(UTC) - timedelta(minutes=2))
    with following(dsn, tmp_path) as log:
        assert [log.line()[22:] for _ in range(10)] == [f"old {n} (olga@office)" for n in range(2, 12)]
        factories.an_event(connection, "new")
        assert log.line()[22:] == "new (olga@office)"
        factories.an_event(connection, "committed late", at=datetime.now(UTC) - timedelta(minutes=1))
        assert log.line()[22:] == "committed late (olga@office)"
        mailing, client = factories.a_mailing(connection), factories.a_client(connection)
        message = factories.a_message(connection, mailing, client, "retrying")
        factories.a_failed_attempt(connection, message, error="busy")
        assert log.line()[22:] == f"message {message}, attempt 1, retrying: busy"
        assert log.nothing_more()
        assert log.interrupt() == (0, "")


def test_a_followed_log_is_json_lines_too(dsn: Dsn, connection: Connection, tmp_path: Path) -> None:
    factories.an_event(connection, "old", at=datetime.now(UTC) - timedelta(hours=3))
    factories.an_event(connection, "younger", at=datetime.now(UTC) - timedelta(minutes=3))
    with following(dsn, tmp_path, "-o", "jsonl", "--since", "1h") as log:
        assert json.loads(log.line())["text"] == "younger"
        run = factories.a_run(connection, datetime.now(UTC), None)
        assert json.loads(log.line())["text"] == f"run {run} started and is under way: nothing to do"
        connection.execute("UPDATE run SET ended_at = now(), ending = 'done', sent = 1")
        assert "done: sent 1" in json.loads(log.line())["text"]
        assert log.interrupt() == (0, "")


def test_a_followed_csv_has_its_heading_once(dsn: Dsn, connection: Connection, tmp_path: Path) -> None:
    factories.an_event(connection, "old", at=NOON)
    with following(dsn, tmp_path, "-o", "csv") as log:
        assert log.line() == ",".join(KEYS)
        assert "old" in log.line()
        factories.an_event(connection, "new")
        assert "new" in log.line()


def test_a_followed_log_ends_when_its_reader_has_seen_enough(
    dsn: Dsn, connection: Connection, tmp_path: Path
) -> None:
    factories.an_event(connection, "old", at=NOON)
    with subprocess.Popen(
        [
            *("/bin/bash", "-c"),
            f"{sys.executable} -m mailer_cli log --follow | head -1; exit ${{PIPESTATUS[0]}}",
        ],
        env=os.environ | {"DATABASE_URL": dsn.address, "HOME": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as shell:
        assert shell.stdout is not None
        assert "old" in shell.stdout.readline()
        while shell.poll() is None:
            factories.an_event(connection, "new")
            time.sleep(0.2)
        assert shell.stderr is not None
        assert (shell.returncode, shell.stderr.read()) == (0, "")
