"""`mailer report` tells what stands between due messages and the service: since when, why, until when."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

import factories
from conftest import Mailer
from mailer_cli.cli.reports import KEYS
from mailer_cli.database import Connection
from mailer_cli.dispatch import gate
from mailer_cli.sandbox import Faults, SandboxThread


@pytest.fixture
def service(bare: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxThread]:  # noqa: ARG001 - first the settings are cleared
    with SandboxThread() as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        monkeypatch.setenv("JWT_TOKEN", "a-token")
        yield sandbox


def a_due_mailing(connection: Connection, clients: int) -> None:
    factories.clients(connection, clients, timezone="UTC")
    connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at)"
        " VALUES ('Hello', now() - interval '1 hour', now() + interval '2 days')"
    )


def stored(connection: Connection, column: str) -> datetime:
    """An instant of the service's row."""
    row = connection.execute(f"SELECT {column} FROM service".encode()).fetchone()  # noqa: S608 - our own names
    assert row is not None
    found = row[0]
    assert isinstance(found, datetime)
    return found.astimezone(UTC)


def hints(mailer: Mailer) -> list[str]:
    ended = mailer("report")
    assert ended.code == 0
    return ended.err.splitlines()


def a_broken_service(connection: Connection, *, since: str = "2026-11-02T10:00Z", **more: str) -> None:
    """The breaker open, as `service_break` leaves it; `more` are columns and what they are set to, in SQL."""
    columns = {
        "broken_at": f"'{since}'",
        "break_reason": "'500 Internal Server Error'",
        "breaks": "1",
        **more,
    }
    changes = ", ".join(f"{column} = {value}" for column, value in columns.items())
    connection.execute(f"UPDATE service SET {changes}".encode())  # noqa: S608 - our own names and values


def test_a_tripped_breaker_is_told_with_its_reason_and_when_one_message_tries_again(
    mailer: Mailer, connection: Connection, service: SandboxThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection, 100)
    monkeypatch.setattr(gate, "BREAK_SECONDS", 120.0)
    with SandboxThread(faults=Faults(status=500)) as broken:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", broken.url)
        assert mailer("dispatch", "--concurrency", "10", "--max-seconds", "5").code == 0
    since, probe = stored(connection, "broken_at"), stored(connection, "probe_after")
    [told] = hints(mailer)
    assert told.startswith(f"the message service fails since {since:%Y-%m-%d %H:%M}Z (HTTP 500: ")
    assert told.endswith(f"); one message tries it again at {probe:%Y-%m-%d %H:%M:%S}Z")
    assert service.received == 0
    connection.execute("UPDATE service SET probe_after = now()")
    monkeypatch.setenv("MESSAGE_SERVICE_URL", service.url)
    monkeypatch.setenv("MAILER_RETRY_BASE", "0.01")
    connection.execute("UPDATE retry SET retry_at = now()")
    assert mailer("dispatch", "--max-seconds", "5").code == 0
    assert service.accepted == 100
    assert hints(mailer) == []


def test_a_probe_that_failed_leaves_since_when_and_puts_off_the_next(
    mailer: Mailer, connection: Connection, service: SandboxThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection, 5)
    a_broken_service(connection, probe_after="now()")
    monkeypatch.setattr(gate, "BREAK_SECONDS", 100.0)
    with SandboxThread(faults=Faults(status=503)) as broken:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", broken.url)
        assert mailer("dispatch", "--max-seconds", "5").code == 0
        assert broken.received == 1
    assert service.received == 0
    [told] = hints(mailer)
    probe = stored(connection, "probe_after")
    assert told.startswith("the message service fails since 2026-11-02 10:00Z (")
    assert told.endswith(f"; one message tries it again at {probe:%Y-%m-%d %H:%M:%S}Z")


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"probe_after": "now() - interval '1 second'"}, "one message tries it again with the next run"),
        ({"probe_after": "NULL"}, "one message tries it again with the next run"),
        ({"probe_after": "'2100-01-01T00:00Z'"}, "one message tries it again at 2100-01-01 00:00Z"),
        (
            {"probe_after": "now()", "probe_run_id": "1", "probe_until": "now() + interval '20 seconds'"},
            "one message is trying it again now",
        ),
        (
            {"probe_after": "now()", "probe_run_id": "1", "probe_until": "now() - interval '1 second'"},
            "one message tries it again with the next run",
        ),
    ],
    ids=["due", "never planned", "later", "under way", "given up"],
)
def test_what_comes_next_of_an_open_breaker_is_told(
    mailer: Mailer, connection: Connection, columns: dict[str, str], told: str
) -> None:
    factories.a_mailing(connection)
    a_broken_service(connection, **columns)
    assert hints(mailer) == [
        f"the message service fails since 2026-11-02 10:00Z (500 Internal Server Error); {told}"
    ]


def test_a_probe_waits_for_the_end_of_a_block_and_for_the_release(
    mailer: Mailer, connection: Connection
) -> None:
    factories.a_mailing(connection)
    a_broken_service(
        connection,
        probe_after="now()",
        blocked_until="'2100-01-01T00:00Z'",
        block_reason="'the service asked to wait'",
    )
    failing = "the message service fails since 2026-11-02 10:00Z (500 Internal Server Error)"
    blocked = "sending waits until 2100-01-01 00:00Z: the service asked to wait"
    assert hints(mailer) == [blocked, f"{failing}; one message tries it again at 2100-01-01 00:00Z"]
    assert mailer("hold", "--reason", "lunch").code == 0
    held, *rest = hints(mailer)
    assert held.startswith("sending is held since ")
    assert rest == [blocked, f"{failing}; one message tries it again after the release"]


def test_a_break_without_a_reason_is_told_without_one(mailer: Mailer, connection: Connection) -> None:
    factories.a_mailing(connection)
    a_broken_service(connection, break_reason="NULL")
    assert hints(mailer) == [
        "the message service fails since 2026-11-02 10:00Z; one message tries it again with the next run"
    ]


def test_a_reason_from_outside_cannot_steer_the_terminal(mailer: Mailer, connection: Connection) -> None:
    factories.a_mailing(connection)
    a_broken_service(connection, break_reason="E'\\x1b[2J[bold]gone'")
    [told] = hints(mailer)
    assert "\\x1b[2J[bold]gone" in told
    assert "\x1b" not in told


def test_a_service_that_asked_to_wait_is_told_to_the_second_when_that_is_soon(
    mailer: Mailer, connection: Connection, service: SandboxThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection, 10)
    with SandboxThread(faults=Faults(status=429, retry_after=120)) as busy:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", busy.url)
        assert mailer("dispatch", "--concurrency", "2", "--max-seconds", "5").code == 0
    until = stored(connection, "blocked_until")
    assert hints(mailer) == [f"sending waits until {until:%Y-%m-%d %H:%M:%S}Z: the service asked to wait"]
    connection.execute("UPDATE service SET blocked_until = now()")
    assert hints(mailer) == []
    assert service.received == 0


def test_a_quota_that_is_used_up_is_told_until_the_day_of_utc_ends(
    mailer: Mailer, connection: Connection, service: SandboxThread, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_due_mailing(connection, 10)
    monkeypatch.setenv("MAILER_RATE_PER_DAY", "4")
    assert mailer("dispatch", "--max-seconds", "5").code == 0
    assert service.accepted == 4
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d")
    [told] = hints(mailer)
    assert told.startswith(f"sending waits until {tomorrow} 00:00")
    assert told.endswith("Z: the quota of 4 messages a day is used up")


def test_the_keys_of_json_and_csv_are_the_same_whatever_the_service_does(
    mailer: Mailer, connection: Connection
) -> None:
    mailing = factories.a_mailing(connection)
    well = {form: mailer("report", "-o", form) for form in ("json", "jsonl", "csv")}
    a_broken_service(
        connection,
        probe_after="now() + interval '1 minute'",
        blocked_until="now() + interval '1 minute'",
        block_reason="'the quota of 4 messages a day is used up'",
        token_rejected_at="now()",
        held_at="now()",
    )
    ill = {form: mailer("report", "-o", form) for form in ("json", "jsonl", "csv")}
    assert ill == well, "data on stdout is data alone, and nothing is said beside it"
    [row] = json.loads(ill["json"].out)
    assert (tuple(row), row["mailing"]) == (KEYS, mailing)
    assert tuple(json.loads(ill["jsonl"].out)) == KEYS
    assert tuple(next(csv.reader(io.StringIO(ill["csv"].out)))) == KEYS
    assert {ended.err for ended in ill.values()} == {""}
