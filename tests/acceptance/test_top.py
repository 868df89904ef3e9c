"""`mailer top`: at a glance what an operator asks first, on a screen of any size and in a pipe."""

from __future__ import annotations

import base64
import json
import os
import pty
import select
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from typing import Any

import psycopg
import pyte
import pytest

import factories
from conftest import Mailer
from mailer_cli.database import Connection, Dsn

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
HOSTILE = "\x1b[31mred\x07 [bold]not bold[/bold] " + "very long " * 40 + "\u202e\n\tend 🎉"


def looked(mailer: Mailer, *argv: str) -> dict[str, Any]:
    told = mailer("top", "-n", "1", "-o", "jsonl", *argv)
    assert told.code == 0, told.err
    found: dict[str, Any] = json.loads(told.out)
    return found


def lines(mailer: Mailer) -> dict[str, list[str]]:
    """What it says in a pipe, by heading."""
    told = mailer("top", "-n", "1")
    assert (told.code, told.err) == (0, "")
    found: dict[str, list[str]] = {}
    for line in told.out.splitlines()[1:]:
        heading, _, text = line.partition(": ")
        found.setdefault(heading, []).append(text)
    return found


def a_jwt(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJIUzI1NiJ9.{body}.c2lnbmF0dXJl"


def test_an_empty_database_has_an_answer_to_everything(mailer: Mailer) -> None:
    said = lines(mailer)
    assert said["running"] == ["no dispatch has ever run; is cron running? see `mailer cron`"]
    assert said["late"] == said["next"] == ["nothing"]
    assert said["errors"] == ["none within the hour"]
    found = looked(mailer)
    assert (found["running"], found["late"], found["next"], found["mailings"]) == (False, None, [], [])


def test_it_says_which_run_is_under_way_and_how_fast(mailer: Mailer, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO run (host, pid, started_at, sent) VALUES ('north', 1, now() - interval '10 s', 1000)"
    )
    [said] = lines(mailer)["running"]
    assert "run 1 on north" in said
    assert "1000 sent, 100/s" in said
    assert looked(mailer)["running"] is True


def test_two_silent_minutes_are_an_alarm(mailer: Mailer, connection: Connection) -> None:
    factories.a_finished_run(connection, ago=timedelta(minutes=14), host="north")
    [said] = lines(mailer)["running"]
    assert said.startswith("no dispatch for 14 minutes; is cron running? run 1 on north ended")


def test_the_oldest_that_is_due_and_unsent_is_named(mailer: Mailer, connection: Connection) -> None:
    factories.clients(connection, 2)
    mailing = factories.a_mailing(connection, activated_at=NOW - 2 * HOUR)
    factories.an_open_window(connection, mailing)
    late = looked(mailer)["late"]
    assert (late["kind"], late["mailing"], late["zone"]) == ("window", mailing, "Europe/Moscow")
    [said] = lines(mailer)["late"]
    assert said.endswith("60 min")


def test_a_retry_may_be_the_oldest(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    client = factories.a_client(connection)
    factories.a_message(connection, mailing, client, "retrying", retry_at=NOW - 3 * HOUR)
    assert looked(mailer)["late"]["kind"] == "retry"


def test_the_next_windows_come_with_both_clocks_and_their_clients(
    mailer: Mailer, connection: Connection
) -> None:
    factories.clients(connection, 3, timezone="Asia/Kathmandu")
    mailing = factories.a_mailing(connection)
    opens_at = (NOW + HOUR).replace(microsecond=0)
    factories.a_planned_window(connection, mailing, zone="Asia/Kathmandu", opens_at=opens_at)
    [coming] = looked(mailer)["next"]
    local = (opens_at + timedelta(hours=5, minutes=45)).replace(tzinfo=None)
    assert (coming["clients"], coming["estimated"], coming["mailing"]) == (3, False, mailing)
    assert datetime.fromisoformat(coming["local"]) == local
    assert datetime.fromisoformat(coming["opens_at"]) == opens_at


def test_what_will_not_be_finished_in_time_is_said(mailer: Mailer, connection: Connection) -> None:
    made = factories.clients(connection, 40)
    ends_at = (NOW + timedelta(hours=4)).replace(tzinfo=None)
    mailing = factories.a_mailing(connection, ends_at=ends_at)
    factories.an_open_window(connection, mailing)
    connection.execute(
        "INSERT INTO run (host, pid, started_at, heartbeat_at, ended_at, sent, ending)"
        " VALUES ('a', 1, now() - interval '10 h', now() - interval '9 h', now(), 30, 'done')"
    )
    finish = looked(mailer)["finish"]
    assert finish["waiting"] == len(made)
    assert 0 < finish["expires"] < len(made)
    [said] = lines(mailer)["finish"]
    assert said.startswith(f"{finish['expires']} of 40 waiting would expire")


def test_every_status_of_each_mailing_is_shown(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    for status in ("sent", "sent", "failed", "unknown", "expired", "cancelled", "sending"):
        factories.a_message(connection, mailing, factories.a_client(connection), status)
    factories.clients(connection, 3)
    factories.an_open_window(connection, mailing)
    connection.execute(
        "UPDATE mailing_window w SET claimed = (SELECT count(*) FROM message m WHERE m.shard = w.shard)"
    )
    [found] = looked(mailer)["mailings"]
    told = {
        key: found[key] for key in ("audience", "waiting", "sent", "failed", "unknown", "expired", "sending")
    }
    assert told == {
        "audience": 10, "waiting": 3, "sent": 2, "failed": 1, "unknown": 1, "expired": 1, "sending": 1
    }  # fmt: skip


def test_the_most_frequent_errors_come_first_with_a_message(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    made = [
        factories.a_message(connection, mailing, factories.a_client(connection), "retrying") for _ in range(4)
    ]
    for message in made[:3]:
        factories.a_failed_attempt(connection, message)
    factories.a_failed_attempt(connection, made[3], http_status=None, error="no answer within 10 s")
    first, second = looked(mailer)["errors"]
    assert (first["count"], first["error"]) == (3, "503 Service Unavailable")
    assert first["message_id"] in made[:3]
    assert (second["count"], second["message_id"]) == (1, made[3])


def test_the_service_is_judged_by_its_latest_answers(mailer: Mailer, connection: Connection) -> None:
    from mailer_cli.histogram import LATENCY

    latencies = [0] * (LATENCY.bucket(0.4) + 1)
    latencies[LATENCY.bucket(0.02)], latencies[LATENCY.bucket(0.4)] = 90, 10
    connection.execute(
        "INSERT INTO run (host, pid, sent, failed, latencies) VALUES ('a', 1, 95, 5, %s)", [latencies]
    )
    service = looked(mailer)["service"]
    assert (service["answered"], service["share"]) == (100, 0.95)
    assert service["p50"] == pytest.approx(0.02, rel=0.1)
    assert service["p95"] == pytest.approx(0.4, rel=0.1)


def test_what_stands_before_the_service_is_said(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.execute("UPDATE service SET broken_at = now(), break_reason = 'all 503', quota_used = 7, "
                       "quota_day = floor(extract(epoch FROM now()) / 86400)::int")  # fmt: skip
    monkeypatch.setenv("MAILER_RATE_PER_DAY", "100")
    monkeypatch.setenv("JWT_TOKEN", a_jwt({"exp": (NOW + timedelta(days=12, hours=1)).timestamp()}))
    said = lines(mailer)["service"]
    assert said[1] == "breaker open, 7 of 100 sent today, token good for 12 d"
    assert said[2].startswith("the message service fails since")


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (a_jwt({"exp": (NOW - timedelta(days=3)).timestamp()}), "token expired 3 d ago"),
        (a_jwt({"sub": "mailer"}), "token without an end"),
        (a_jwt({"exp": "soon"}), "token without an end"),
        ("opaque", "token without an end"),
        ("a.b.c", "token without an end"),
    ],
    ids=["expired", "endless", "strange", "opaque", "dotted"],
)
def test_the_token_is_read_and_never_shown(
    mailer: Mailer, monkeypatch: pytest.MonkeyPatch, token: str, said: str
) -> None:
    monkeypatch.setenv("JWT_TOKEN", token)
    told = mailer("top", "-n", "1")
    assert said in told.out
    assert token not in told.out


def test_each_look_is_one_object_on_one_line(mailer: Mailer) -> None:
    told = mailer("top", "-n", "3", "-d", "0.1", "-o", "jsonl")
    assert [sorted(json.loads(line)) for line in told.out.splitlines()] == [sorted(looked(mailer))] * 3


@pytest.mark.parametrize("form", ["json", "csv"])
def test_what_has_no_end_is_no_array(mailer: Mailer, form: str) -> None:
    told = mailer("top", "-o", form)
    assert (told.code, told.out) == (2, "")
    assert "jsonl" in told.err


def test_hostile_text_steers_no_terminal(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection, text=HOSTILE)
    message = factories.a_message(connection, mailing, factories.a_client(connection), "retrying")
    factories.a_failed_attempt(connection, message, error=HOSTILE)
    connection.execute("INSERT INTO run (host, pid) VALUES (%s, 1)", [HOSTILE])
    told = mailer("top", "-n", "1")
    assert not set(told.out) & set("\x1b\x07\u202e\t")


def test_many_clients_are_estimated_and_not_counted(mailer: Mailer, connection: Connection) -> None:
    connection.execute(
        """
        INSERT INTO client (phone, operator_code, tag, timezone)
        SELECT '7916' || lpad(n::text, 7, '0'), '916', CASE WHEN n % 10 = 0 THEN 'vip' END,
               CASE WHEN n % 4 = 0 THEN 'Asia/Omsk' ELSE 'Europe/Moscow' END
        FROM generate_series(1, 30000) AS n
        """
    )
    connection.execute("ANALYZE client")
    mailing = factories.a_mailing(connection, tags=["vip"])
    for zone in ("Europe/Moscow", "Asia/Omsk"):
        factories.a_planned_window(connection, mailing, zone=zone)
    found = looked(mailer)
    [standing] = found["mailings"]
    assert standing["estimated"] is True
    assert standing["audience"] == pytest.approx(3000, rel=0.2)
    clients = {each["zone"]: each["clients"] for each in found["next"]}
    assert clients["Europe/Moscow"] == pytest.approx(2250, rel=0.25)
    assert "~" in " ".join(lines(mailer)["next"])


# -- on a terminal ---------------------------------------------------------------------------------------


class Terminal:
    """A terminal with `mailer top` in it."""

    def __init__(self, master: int, typed: subprocess.Popen[bytes], columns: int, rows: int) -> None:
        self.typed = typed
        self._master = master
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)

    def until(self, text: str, *, gone: bool = False) -> list[str]:
        """Read until the text is on the screen, or gone from it, and return the screen."""
        give_up = time.monotonic() + 60
        while (text in "\n".join(self._screen.display)) == gone:
            assert time.monotonic() < give_up, "\n".join(self._screen.display)
            if select.select([self._master], [], [], 1)[0]:
                try:
                    self._stream.feed(os.read(self._master, 65536))
                except OSError:
                    break
        return [line.rstrip() for line in self._screen.display]

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        ioctl(self._master, TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)
        self._screen.reset()


@contextmanager
def a_terminal(dsn: Dsn, home: Path, *argv: str, columns: int = 80, rows: int = 24) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    ioctl(slave, TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "DATABASE_URL": dsn.address,
        "TERM": "xterm-256color",
    }
    env |= {"LC_ALL": "C.UTF-8"}
    words = [sys.executable, "-m", "mailer_cli", "top", *argv]
    with subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, env=env, cwd=home) as typed:
        os.close(slave)
        try:
            yield Terminal(master, typed, columns, rows)
        finally:
            typed.kill()
    os.close(master)


@pytest.fixture
def a_busy_database(connection: Connection) -> None:
    for number in range(30):
        mailing = factories.a_mailing(connection, text=f"{number} {HOSTILE}")
        factories.a_message(connection, mailing, factories.a_client(connection), "sent")
        factories.an_open_window(connection, mailing)


@pytest.mark.usefixtures("a_busy_database")
def test_it_fits_80_by_24_and_q_ends_it(dsn: Dsn, tmp_path: Path) -> None:
    with a_terminal(dsn, tmp_path) as terminal:
        screen = terminal.until("token")
        headings = [line.split()[0] for line in screen if line and line[0].isalpha()]
        assert [each for each in headings if each != "and"] == [
            "mailer", "running", "late", "next", "finish", "id", "errors", "service"
        ]  # fmt: skip
        assert any(line.startswith("and ") and "mailer report" in line for line in screen)
        terminal.press("q")
        assert terminal.typed.wait(30) == 0


@pytest.mark.usefixtures("a_busy_database")
def test_it_follows_the_size_of_the_terminal(dsn: Dsn, tmp_path: Path) -> None:
    with a_terminal(dsn, tmp_path, "-d", "600") as terminal:
        terminal.until("token")
        terminal.resize(160, 50)
        terminal.until("cancelled")
        screen = terminal.until("token")  # the last line: everything above is drawn
        assert sum(line.split()[1:2] == ["active"] for line in screen) > 10


def test_a_database_that_goes_away_is_waited_for(dsn: Dsn, postgres: str, tmp_path: Path) -> None:
    name = psycopg.conninfo.conninfo_to_dict(dsn.address)["dbname"]
    with (
        a_terminal(dsn, tmp_path, "-d", "0.2") as terminal,
        psycopg.connect(postgres, autocommit=True) as server,
    ):
        terminal.until("token")
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        terminal.until("trying again")
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        terminal.until("trying again", gone=True)
        terminal.press("q")
        assert terminal.typed.wait(30) == 0


def test_ctrl_c_is_how_it_ends(dsn: Dsn, tmp_path: Path) -> None:
    with a_terminal(dsn, tmp_path) as terminal:
        terminal.until("token")
        terminal.typed.send_signal(2)
        assert terminal.typed.wait(30) == 0
