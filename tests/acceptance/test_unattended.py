"""What cron would mail: each trouble once when it begins and once when it is over, and what the log says."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import factories
from conftest import Ended, Mailer
from mailer_cli import settings
from mailer_cli.database import Connection
from mailer_cli.dispatch import gate
from mailer_cli.errors import MailerError
from mailer_cli.sandbox import Faults, SandboxThread

TOKEN = "a-token-that-must-never-show"
NOWHERE = "postgresql://mailer:a-password@127.0.0.1:1/mailer"
HOST = socket.gethostname()


@pytest.fixture(autouse=True)
def service(bare: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxThread]:  # noqa: ARG001 - first the settings are cleared
    with SandboxThread(token=TOKEN) as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        monkeypatch.setenv("JWT_TOKEN", TOKEN)
        yield sandbox


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a moment be long enough for a trouble to be over, and no hour to pass."""
    monkeypatch.setattr("mailer_cli.troubles.CALM", 1e9)


def a_due_mailing(connection: Connection, clients: int) -> None:
    factories.clients(connection, clients, timezone="UTC")
    connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at)"
        " VALUES ('Hello', now() - interval '1 hour', now() + interval '2 days')"
    )


def silent(ended: Ended, code: int = 0) -> bool:
    return (ended.code, ended.out, ended.err) == (code, "", "")


def assert_mail(text: str, *, begins: str) -> None:
    """What an operator needs: what, where, since when, what to do."""
    assert text.startswith(f"mailer: {begins}"), text
    assert f"\non {HOST}, since {datetime.now(UTC):%Y-}" in text
    assert "told again when it is over, and every 60 minutes meanwhile" in text
    assert "`mailer doctor` looks at everything" in text


@pytest.mark.usefixtures("later")
def test_a_database_that_is_away_is_told_once_and_its_return_once(
    mailer: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        away.setenv("DATABASE_URL", NOWHERE)
        ended = mailer("dispatch")
        assert (ended.code, ended.out) == (75, "")
        assert_mail(ended.err, begins="the database cannot be reached: ")
        assert "nothing is lost: every run tries again" in ended.err
        assert "a-password" not in ended.err
        assert [silent(mailer("dispatch"), 75) for _ in range(3)] == [True] * 3
    over = mailer("dispatch")
    assert over.code == 0
    assert over.err.startswith("mailer: over: the database cannot be reached: ")
    assert f"\non {HOST}, since " in over.err
    assert "; last seen at " in over.err
    assert silent(mailer("dispatch"))


@pytest.mark.usefixtures("later")
def test_a_rejected_token_is_told_once_and_its_replacement_once(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection, 30)
    with monkeypatch.context() as wrong:
        wrong.setenv("JWT_TOKEN", "not-the-token")
        ended = mailer("dispatch")
        assert ended.code == 4
        assert_mail(ended.err, begins="the message service rejected the token: HTTP 401")
        assert "set a valid JWT_TOKEN, JWT_TOKEN_FILE or JWT_TOKEN_COMMAND" in ended.err
        connection.execute("UPDATE retry SET retry_at = now()")
        assert silent(mailer("dispatch"), 4)
    connection.execute("UPDATE retry SET retry_at = now()")
    over = mailer("dispatch")
    assert (
        over.code,
        connection.execute("SELECT count(*) FROM message WHERE status = 'sent'").fetchall(),
    ) == (
        0,
        [(30,)],
    )
    assert over.err.startswith("mailer: over: the message service rejected the token")


@pytest.mark.usefixtures("later")
def test_a_service_that_fails_is_told_although_the_run_ends_well(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection, 100)
    monkeypatch.setattr(gate, "BREAK_SECONDS", 120.0)
    with SandboxThread(faults=Faults(status=500)) as broken, monkeypatch.context() as wrong:
        wrong.setenv("MESSAGE_SERVICE_URL", broken.url)
        ended = mailer("dispatch", "--max-seconds", "5")
        assert ended.code == 0
        assert_mail(ended.err, begins="the message service fails since ")
        assert "(HTTP 500: " in ended.err
        assert silent(mailer("dispatch", "--max-seconds", "2"))
    connection.execute("UPDATE service SET probe_after = now()")
    connection.execute("UPDATE retry SET retry_at = now()")
    over = mailer("dispatch")
    assert over.code == 0
    assert over.err.startswith("mailer: over: the message service fails since ")


def test_a_service_that_fails_is_told_although_nothing_is_left_to_be_tried_for_now(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection, gate.BREAK_MINIMUM)  # all of them tried, and none due again before a minute
    monkeypatch.setenv("MAILER_RETRY_BASE", "3600")
    with SandboxThread(faults=Faults(status=500)) as broken:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", broken.url)
        assert_mail(mailer("dispatch").err, begins="the message service ")
    assert connection.execute("SELECT count(*) FROM message WHERE status = 'retrying'").fetchall() == [
        (gate.BREAK_MINIMUM,)
    ]


@pytest.mark.usefixtures("later")
def test_a_service_that_takes_nothing_of_a_small_mailing_is_told_and_is_over_when_it_takes_something(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection, 5)  # too few to call the service broken
    with monkeypatch.context() as wrong:
        wrong.setenv("MESSAGE_SERVICE_URL", "http://127.0.0.1:1/send/")
        ended = mailer("dispatch")
        assert ended.code == 0
        assert_mail(ended.err, begins="the message service took none of 5 messages (")
    assert silent(mailer("dispatch"))  # nothing is due: nobody knows better
    connection.execute("UPDATE retry SET retry_at = now()")
    assert mailer("dispatch").err.startswith("mailer: over: the message service took none of 5 messages")


def test_one_message_that_is_refused_is_no_trouble(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection, 1)
    with SandboxThread(faults=Faults(status=400)) as refusing:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", refusing.url)
        assert silent(mailer("dispatch"))


def test_a_quota_that_is_used_up_is_told_once(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection, 5)
    monkeypatch.setenv("MAILER_RATE_PER_DAY", "2")
    if datetime.now(UTC).hour == 23 and datetime.now(UTC).minute >= 45:
        pytest.skip("the day is nearly over: the wait is no trouble")
    ended = mailer("dispatch")
    assert (ended.code, "the quota of 2 messages a day is used up" in ended.err) == (0, True)
    assert silent(mailer("dispatch"))


def test_a_hold_is_an_operators_own_and_mails_nothing(mailer: Mailer, connection: Connection) -> None:
    a_due_mailing(connection, 5)
    mailer("hold", "--reason", "wrong text")
    assert silent(mailer("dispatch"))
    assert connection.execute("SELECT ending FROM run").fetchall() == [("held",)]


@pytest.mark.usefixtures("mailer")
def test_a_setting_that_cannot_be_used_is_told_once(run: Mailer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILER_CONCURRENCY", "many")
    ended = run("dispatch")
    assert ended.code == 1
    assert_mail(ended.err, begins="a setting cannot be used: MAILER_CONCURRENCY")
    assert silent(run("dispatch"), 1)


def test_a_bug_is_told_once_and_its_exit_code_stays(mailer: Mailer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr("mailer_cli.windows.derive", broken)
    ended = mailer("dispatch")
    assert ended.code == 3
    assert_mail(ended.err, begins="this is a bug in mailer: RuntimeError at ")
    assert silent(mailer("dispatch"), 3)


def test_with_a_reminder_of_zero_every_run_tells_it(run: Mailer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    monkeypatch.setenv("MAILER_REMIND", "0")
    for _ in range(3):
        assert "the database cannot be reached" in run("dispatch").err


def test_what_cannot_be_remembered_is_told_every_time_and_says_why(
    run: Mailer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "full").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "full"))
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    for _ in range(2):
        told = run("dispatch")
        assert told.code == 75
        assert "every run tells this again, for it cannot remember that it did: " in told.err


def test_other_commands_tell_what_is_wrong_every_time(run: Mailer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    run("dispatch")
    for _ in range(2):
        assert run("report").err.startswith("mailer: the database cannot be reached")
        assert run("dispatch", "--dry-run").err.startswith("mailer: the database cannot be reached")


def test_a_run_that_is_well_asks_the_database_nothing_more(
    mailer: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(_: Connection) -> None:
        pytest.fail("it asked how things stand")

    monkeypatch.setattr("mailer_cli.hints.health", asked)
    assert silent(mailer("dispatch"))
    assert not settings.troubles_file().parent.exists()


# -- the log -------------------------------------------------------------------------------------------


def test_the_log_has_a_line_for_each_run_and_each_trouble(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAILER_LOG", str(tmp_path / "mailer.log"))
    a_due_mailing(connection, 7)
    mailer("dispatch")
    mailer("dispatch")
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    mailer("dispatch")
    mailer("dispatch")
    said = [line.partition("]: ")[2] for line in (tmp_path / "mailer.log").read_text().splitlines()]
    [(first,), (second,)] = connection.execute("SELECT id FROM run ORDER BY id").fetchall()
    assert said[:2] == [f"run {first}: 7 sent; done", f"run {second}: nothing was due; done"]
    assert len(said) == 4
    assert all(line.startswith("trouble: the database cannot be reached: ") for line in said[2:])


def test_no_secret_and_no_phone_is_in_the_log(
    mailer: Mailer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAILER_LOG", str(tmp_path / "mailer.log"))

    def refused(_: Connection) -> None:
        raise MailerError("no answer about 79161234567")

    monkeypatch.setattr("mailer_cli.windows.derive", refused)
    assert mailer("dispatch").code == 1
    log = (tmp_path / "mailer.log").read_text()
    assert "7916•••4567" in log
    assert TOKEN not in log


def test_a_log_that_cannot_be_written_stops_nothing_and_is_told_once(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MAILER_LOG", str(tmp_path / "absent" / "mailer.log"))
    a_due_mailing(connection, 3)
    ended = mailer("dispatch")
    assert ended.code == 0
    assert "mailer.log cannot be written: No such file or directory; see MAILER_LOG" in ended.err
    assert silent(mailer("dispatch"))
    assert connection.execute("SELECT count(*) FROM message WHERE status = 'sent'").fetchall() == [(3,)]


def test_two_directories_have_memories_of_their_own(
    run: Mailer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert "cannot be reached" in run("dispatch").err
        assert silent(run("dispatch"), 75)


def test_the_hour_is_counted_from_the_last_telling(run: Mailer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", NOWHERE)
    run("dispatch")
    file = settings.troubles_file()
    ago = (datetime.now(UTC) - timedelta(minutes=61)).isoformat()
    file.write_text(_older(file.read_text(), ago))
    assert run("dispatch").err.startswith("mailer: still, after ")
    assert silent(run("dispatch"), 75)


def _older(text: str, ago: str) -> str:
    import json

    known = json.loads(text)
    for standing in known.values():
        standing |= {"since": ago, "told": ago}
    return json.dumps(known)
