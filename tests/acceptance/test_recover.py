"""After a promotion or a restore: who may have been sent to is in doubt, and nobody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

import factories
from conftest import Mailer
from mailer_cli.database import Connection
from mailer_cli.ids import mailing_and_client, shard_of
from mailer_cli.sandbox import SandboxThread

NOW = datetime.now(UTC)
CLIENTS = 160


@pytest.fixture
def promoted(connection: Connection) -> int:
    """A database that was a standby a moment ago, in the middle of a mailing."""
    made = factories.clients(connection, CLIENTS, timezone="UTC")
    mailing = factories.a_mailing(connection, ends_at=datetime(2099, 1, 1))
    factories.an_open_window(connection, mailing, zone="UTC", closes_at=NOW + timedelta(hours=5))
    for client in made[:2]:
        factories.a_message(connection, mailing, client, "sending")
    factories.a_message(connection, mailing, made[2], "sent")
    retry(connection, factories.a_message(connection, mailing, made[3], "retrying"), "-1 s")
    retry(connection, factories.a_message(connection, mailing, made[4], "retrying"), "1 h")
    connection.execute(
        "UPDATE service SET home = (SELECT system_identifier::text FROM pg_control_system())"
        " || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()),"
        " timeline = '000000FF', synchronous = false"
    )
    return mailing


def retry(connection: Connection, message: int, after: str) -> None:
    mailing, client = mailing_and_client(message)
    connection.execute("DELETE FROM retry WHERE client_id = %s", [client])
    connection.execute(
        "INSERT INTO retry (shard, mailing_id, client_id, retry_at) VALUES (%s, %s, %s, now() + %s)",
        [shard_of(client), mailing, client, after],
    )


def statuses(connection: Connection) -> dict[str, int]:
    counted = dict(connection.execute("SELECT status, count(*) FROM message GROUP BY 1").fetchall())
    sums = connection.execute(
        "SELECT sum(sending), sum(retrying), sum(sent), sum(unknown) FROM counter"
    ).fetchone()
    names = ("sending", "retrying", "sent", "unknown")
    assert {name: int(n) for name, n in zip(names, sums or (), strict=True) if n} == counted
    return counted


@pytest.mark.usefixtures("promoted")
def test_a_promoted_database_sends_nothing_and_says_what_to_do(
    mailer: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_TOKEN", "t")
    with SandboxThread(token="t") as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        told = mailer("dispatch")
        assert sandbox.accepted == 0
    assert told.code == 1
    assert "may not know who was sent to last" in told.err
    assert "`mailer recover --since TIME`" in told.err
    assert "restored or promoted" in mailer("doctor").out
    assert "restored or promoted" in mailer("why", "100", "--mailing", "1").out
    assert "restored or promoted" in mailer("report").err


@pytest.mark.usefixtures("promoted")
def test_a_dry_run_says_how_many_and_marks_nobody(mailer: Mailer, connection: Connection) -> None:
    told = mailer("recover", "--since", "2h", "--dry-run", "-o", "jsonl")
    assert told.code == 0
    assert told.out == '{"mailing": 1, "under_way": 4, "waiting": 155}\n'
    assert "up to 159 messages since" in told.err
    assert statuses(connection) == {"sending": 2, "sent": 1, "retrying": 2}
    assert mailer("dispatch").code == 1


@pytest.mark.usefixtures("promoted")
def test_everybody_who_may_have_been_sent_to_is_in_doubt(mailer: Mailer, connection: Connection) -> None:
    told = mailer("recover", "--since", "2h", "--yes")
    assert told.code == 0, told.err
    assert "158 messages are in doubt now" in told.err
    # A retry that was not due cannot have been sent.
    assert statuses(connection) == {"unknown": 158, "sent": 1, "retrying": 1}
    assert connection.execute("SELECT count(*) FROM retry").fetchone() == (1,)
    reason = connection.execute("SELECT DISTINCT error FROM message WHERE status = 'unknown'").fetchall()
    assert reason == [("it may have been sent before the database was restored or promoted",)]
    actions = connection.execute("SELECT action FROM event ORDER BY id").fetchall()
    assert actions == [
        ("recovery begun",),
        ("messages marked in doubt",),
        ("sending moved to this database",),
    ]


@pytest.mark.usefixtures("promoted")
def test_with_a_bound_the_others_are_sent_to(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert mailer("recover", "--since", "2h", "--most", "3", "--yes").code == 0
    # Three of each of the sixteen queues, and three that were under way or due.
    assert statuses(connection) == {"unknown": 51, "sent": 1, "retrying": 1}
    monkeypatch.setenv("JWT_TOKEN", "t")
    with SandboxThread(token="t") as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        assert mailer("dispatch").code == 0
    assert statuses(connection) == {"unknown": 51, "sent": 108, "retrying": 1}


@pytest.mark.usefixtures("promoted")
def test_windows_that_were_not_open_since_then_are_left_alone(mailer: Mailer, connection: Connection) -> None:
    connection.execute("UPDATE mailing_window SET closes_at = now() - interval '1 h'")
    connection.execute("UPDATE mailing SET ends_at = now() - interval '1 h', zone = 'UTC'")
    assert mailer("recover", "--since", "10m", "--yes").code == 0
    assert statuses(connection) == {"sending": 2, "sent": 1, "retrying": 2}


def test_while_this_database_sends_nobody_is_marked(mailer: Mailer, connection: Connection) -> None:
    told = mailer("recover", "--since", "2h", "--yes")
    assert told.code == 1
    assert "sending is not held; nothing seems to be lost" in told.err
    assert connection.execute("SELECT count(*) FROM event").fetchone() == (0,)


@pytest.mark.usefixtures("promoted")
def test_off_a_terminal_it_wants_a_yes(mailer: Mailer, connection: Connection) -> None:
    assert mailer("recover", "--since", "2h").code == 1
    assert statuses(connection) == {"sending": 2, "sent": 1, "retrying": 2}


@pytest.mark.usefixtures("promoted")
@pytest.mark.parametrize(("minutes", "code"), [(1, 0), (15, 1)])
def test_one_that_was_synchronous_is_believed_if_it_heard_of_a_dispatcher_lately(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch, minutes: int, code: int
) -> None:
    factories.a_finished_run(connection, ago=timedelta(minutes=minutes))
    connection.execute("UPDATE service SET synchronous = true")
    refused = code != 0
    for told in (mailer("why", "100", "--mailing", "1").out, mailer("report").err, mailer("doctor").out):
        assert ("restored or promoted" in told) == refused
    monkeypatch.setenv("JWT_TOKEN", "t")
    with SandboxThread(token="t") as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        assert mailer("dispatch").code == code
        assert (sandbox.accepted == 0) == refused
