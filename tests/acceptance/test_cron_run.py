"""`mailer cron run`: cron's work in the foreground, by real processes and signals; `cron check` sees it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

import factories
from conftest import CONFIGURED, Mailer
from mailer_cli.cli.ticks import MOST, Ticks
from mailer_cli.database import Connection, Dsn
from mailer_cli.sandbox import Faults, SandboxThread

PATIENCE = 30
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@contextmanager
def cron(home: Path, *words: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """`mailer cron run` as a container starts it; killed if a test leaves it behind."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURED)}
    running = subprocess.Popen(
        [sys.executable, "-m", "mailer_cli", "cron", "run", *words],
        env=kept | {"HOME": str(home)} | settings,
        cwd=home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def wait_for(true: Callable[[], object]) -> None:
    give_up = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < give_up:
        time.sleep(0.02)
    assert true()


def wait_out_the_hour() -> None:
    """On the full hour the next one starts."""
    if (left := 3600 - time.time() % 3600) < PATIENCE:
        time.sleep(left + 0.1)


def runs(connection: Connection) -> list[str | None]:
    return [ending for (ending,) in connection.execute("SELECT ending FROM run ORDER BY id").fetchall()]


def heard_twice(running: subprocess.Popen[str], words: str) -> list[str]:
    """Read its log until these words have stood in it twice."""
    assert running.stdout is not None
    seen: list[str] = []
    while sum(words in line for line in seen) < 2:
        seen.append(running.stdout.readline())
        assert seen[-1], "it has ended"
    return seen


def started_an_hour_ago(connection: Connection) -> None:
    connection.execute(
        "UPDATE mailing SET starts_at = now() - interval '1 hour', ends_at = now() + interval '5 hours'"
    )


def stopped(running: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> list[str]:
    """Send a signal, and return the log of one that ended in good order."""
    running.send_signal(number)
    out, err = running.communicate(timeout=PATIENCE)
    assert (running.returncode, err) == (0, "")
    return out.splitlines()


def test_it_dispatches_at_once_and_again_and_says_nothing_of_it(
    dsn: Dsn, connection: Connection, tmp_path: Path
) -> None:
    with cron(tmp_path, "--every", "1", DATABASE_URL=dsn.address) as running:
        wait_for(lambda: len(runs(connection)) >= 3)
        said = stopped(running)
    assert said[0] == "mailer dispatch runs now and every 1 seconds; SIGTERM or Ctrl-C ends it"
    assert said[-1].startswith("stopped; ")
    assert {
        line for line in said[1:-1] if not line.startswith(f"{MOST} dispatches are still running")
    } == set()
    assert runs(connection)[:2] == ["done", "done"]  # the last may have been stopped before it began


def test_within_the_minute_there_is_one(dsn: Dsn, connection: Connection, tmp_path: Path) -> None:
    wait_out_the_hour()
    with cron(tmp_path, "--every", "3600", DATABASE_URL=dsn.address) as running:
        wait_for(lambda: runs(connection) == ["done"])
        said = stopped(running)
    assert said[-1] == "stopped; 1 were started"
    assert runs(connection) == ["done"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_handed_on_and_what_is_under_way_is_recorded(
    dsn: Dsn, connection: Connection, tmp_path: Path, number: signal.Signals
) -> None:
    mailing = factories.a_mailing(connection, zone="UTC")
    factories.clients(connection, 300)
    factories.an_open_window(connection, mailing)
    started_an_hour_ago(connection)
    with SandboxThread(faults=Faults(latency=0.3)) as service:
        settings = {"DATABASE_URL": dsn.address, "MESSAGE_SERVICE_URL": service.url, "JWT_TOKEN": "t"}
        settings["MAILER_CONCURRENCY"] = "10"
        wait_out_the_hour()
        with cron(tmp_path, "--every", "3600", **settings) as running:
            wait_for(lambda: service.accepted >= 1)
            said = stopped(running, number)
        accepted = service.accepted
    assert "mailer: stopped by a signal; what was in hand is recorded or handed back" in said
    assert runs(connection) == ["stopped"]
    assert connection.execute("SELECT count(*) FROM message WHERE status = 'sent'").fetchone() == (accepted,)
    assert accepted < 300
    assert connection.execute("SELECT count(*) FROM claim").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM message WHERE status = 'unknown'").fetchone() == (0,)


def test_one_that_fails_is_told_on_stdout_and_the_next_starts_all_the_same(tmp_path: Path) -> None:
    with cron(tmp_path, "--every", "1", DATABASE_URL=NOWHERE) as running:
        seen = heard_twice(running, "(try again)")
        stopped(running)
    assert any("mailer: the database cannot be reached" in line for line in seen)
    assert "a dispatch ended with 75 (try again); the next starts on time\n" in seen


def test_without_a_message_service_it_says_what_is_missing_and_goes_on(
    dsn: Dsn, connection: Connection, tmp_path: Path
) -> None:
    mailing = factories.a_mailing(connection, zone="UTC")
    factories.a_client(connection)
    factories.an_open_window(connection, mailing)
    started_an_hour_ago(connection)
    with cron(tmp_path, "--every", "1", DATABASE_URL=dsn.address) as running:
        seen = heard_twice(running, "a dispatch ended with 1 (refused); the next starts on time")
        stopped(running)
    what = "mailer: no message service; set MESSAGE_SERVICE_URL, or try `mailer sandbox`"
    assert [line.startswith(what) for line in seen].count(True) == 1  # a trouble is told when it begins
    assert runs(connection)[:2] == ["configuration", "configuration"]
    assert connection.execute("SELECT attempts FROM message").fetchall() in ([], [(0,)])


# -- The schedule alone, with a clock of the test's own -----------------------------------------------


class Clock:
    """Shows these times, one a look; with the last of them it asks to stop."""

    def __init__(self, *times: float, before_the_last: Callable[[], object] = bool) -> None:
        self._times = list(times)
        self._before_the_last = before_the_last

    def __call__(self) -> float:
        if len(self._times) == 1:
            self._before_the_last()
            # To this thread: the tests' own have others, which would take it for theirs.
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        return self._times.pop(0)


def ticked(clock: Clock, script: str = "pass") -> tuple[Ticks, list[str]]:
    said: list[str] = []
    ticks = Ticks([sys.executable, "-c", script], 60.0, said.append, clock)
    ticks.run()
    return ticks, said


def just_before(minute: int) -> float:
    return minute * 60 - 0.001


def test_each_full_minute_is_one_whatever_the_clock_does() -> None:
    assert ticked(Clock(just_before(10), just_before(10), just_before(10)))[0].started == 1
    assert ticked(Clock(just_before(10), just_before(11), just_before(12)))[0].started == 3
    # Set back by an hour, and forth again: no minute waits for an hour that was there before.
    assert ticked(Clock(just_before(100), just_before(40), just_before(41), just_before(101)))[0].started == 4


def test_the_next_does_not_wait_for_the_last_but_there_is_an_end_to_it() -> None:
    times = [just_before(minute) for minute in range(10, 12 + MOST)]
    ticks, said = ticked(Clock(*times), "import time; time.sleep(60)")
    assert ticks.started == MOST
    assert said.count(f"{MOST} dispatches are still running; none is started now: see `mailer top`") == 2
    assert len(said) == 2  # that they were stopped is no news


def a_child_is_dead() -> None:
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)


def test_one_that_crashes_is_told_by_its_signal() -> None:
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    _, said = ticked(Clock(just_before(1), just_before(1), before_the_last=a_child_is_dead), crash)
    assert said == ["a dispatch was killed by SIGSEGV"]


def test_what_cannot_be_started_is_told_and_tried_again() -> None:
    said: list[str] = []
    ticks = Ticks(["/nowhere/mailer"], 60.0, said.append, Clock(just_before(1), just_before(2)))
    ticks.run()
    assert ticks.started == 0
    assert (
        said == ["a dispatch could not be started: No such file or directory; the next is tried on time"] * 2
    )


def test_the_caller_gets_its_signals_back() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    ticked(Clock(just_before(1)))
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


# -- The health check ----------------------------------------------------------------------------------


def test_a_host_whose_dispatches_come_round_is_healthy(mailer: Mailer, connection: Connection) -> None:
    factories.a_finished_run(connection, host=socket.gethostname(), ago=timedelta(seconds=50))
    told = mailer("cron", "check")
    assert told.code == 0
    assert told.out.startswith(f"the last dispatch of {socket.gethostname()} began 5")
    assert told.out.endswith(" s ago\n")


def test_silence_for_two_minutes_is_not_and_another_host_does_not_count(
    mailer: Mailer, connection: Connection
) -> None:
    factories.a_finished_run(connection, host="another")
    told = mailer("cron", "check")
    assert (told.code, told.out) == (1, "")
    assert f"no dispatch of {socket.gethostname()} has begun yet" in told.err
    factories.a_finished_run(connection, host=socket.gethostname(), ago=timedelta(minutes=5))
    told = mailer("cron", "check")
    assert told.code == 1
    assert "has begun for 5 min; is cron, or `mailer cron run`, running there?" in told.err


def test_without_a_database_nobody_is_healthy(run: Mailer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    assert run("cron", "check").code == 75
