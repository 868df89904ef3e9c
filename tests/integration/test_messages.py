from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import factories
from conftest import Mailer
from mailer_cli import database, messages, reports
from mailer_cli.database import Connection, Dsn
from mailer_cli.ids import message_id
from mailer_cli.statuses import Status
from memory import lines_and_peak
from terminal import on_a_terminal

KEYS = [
    *("id", "mailing_id", "client_id", "phone", "status", "attempts"),
    *("created_at", "sent_at", "retry_at", "http_status", "error"),
]
STATUSES = [status.value for status in Status]


@pytest.fixture
def typed(mailer: Mailer) -> Mailer:
    """The same commands, typed on a terminal of 80 columns."""
    return on_a_terminal(mailer)


def listed(mailer: Mailer, *argv: str) -> list[dict[str, Any]]:
    told = mailer("message", "list", *argv, "-o", "json")
    assert (told.code, told.err) == (0, "")
    found = json.loads(told.out)
    assert isinstance(found, list)
    return found


def ids(mailer: Mailer, *argv: str) -> list[int]:
    return [row["id"] for row in listed(mailer, *argv)]


def messages_in(connection: Connection, mailing: int, number: int, status: str = "sent") -> list[int]:
    clients = factories.clients(connection, number)
    return [factories.a_message(connection, mailing, client, status) for client in clients]


# Listing


def test_without_messages_there_is_nothing_to_list(mailer: Mailer) -> None:
    told = mailer("message", "list")
    assert (told.code, told.out) == (0, "")
    assert told.err == "no such messages; `mailer report` shows what there is\n"
    assert listed(mailer) == []
    assert mailer("message", "list", "-o", "csv").out == ",".join(KEYS) + "\n"


def test_a_message_is_listed_with_these_keys(mailer: Mailer, connection: Connection) -> None:
    mailing, client = factories.a_mailing(connection), factories.a_client(connection, phone="79161234567")
    at = datetime(2026, 11, 2, 8, tzinfo=UTC)
    message = factories.a_message(
        connection, mailing, client, "sent", phone="79160000000", attempts=2, created_at=at, sent_at=at
    )
    [row] = listed(mailer)
    assert list(row) == KEYS
    assert row == {
        "id": message,
        "mailing_id": mailing,
        "client_id": client,
        "phone": "79160000000",
        "status": "sent",
        "attempts": 2,
        "created_at": "2026-11-02T08:00:00Z",
        "sent_at": "2026-11-02T08:00:00Z",
        "retry_at": None,
        "http_status": 200,
        "error": None,
    }
    assert message == mailing * 2**32 + client


def test_the_newest_mailing_comes_first_and_clients_in_order(mailer: Mailer, connection: Connection) -> None:
    old, new = factories.a_mailing(connection), factories.a_mailing(connection)
    clients = factories.clients(connection, 40)
    for mailing in (old, new):
        for client in clients:
            factories.a_message(connection, mailing, client)
    expected = [message_id(mailing, client) for mailing in (new, old) for client in clients]
    assert ids(mailer) == expected
    assert ids(mailer, "--limit", "45") == expected[:45]


def test_messages_are_listed_by_mailing_client_and_status(mailer: Mailer, connection: Connection) -> None:
    mailings = [factories.a_mailing(connection) for _ in range(2)]
    clients = [factories.a_client(connection, phone=f"7916000000{n}") for n in range(2)]
    made = {
        (mailing, client): factories.a_message(connection, mailing, client, status)
        for (mailing, client), status in zip(
            [(m, c) for m in mailings for c in clients], ["sent", "failed", "unknown", "sent"], strict=True
        )
    }
    (old, new), (ann, bob) = mailings, clients
    assert ids(mailer, "--mailing", str(old)) == [made[old, ann], made[old, bob]]
    assert ids(mailer, "--client", str(bob)) == [made[new, bob], made[old, bob]]
    assert ids(mailer, "--client", "+7 (916) 000-00-01") == [made[new, bob], made[old, bob]]
    assert ids(mailer, "--client", str(bob), "--limit", "1") == [made[new, bob]]
    assert ids(mailer, "--status", "sent") == [made[new, bob], made[old, ann]]
    assert ids(mailer, "--status", "failed", "--status", "unknown") == [made[new, ann], made[old, bob]]
    assert ids(mailer, "--mailing", str(new), "--client", str(ann), "--status", "unknown") == [made[new, ann]]
    assert ids(mailer, "--mailing", str(old), "--status", "cancelled") == []


def test_every_status_can_be_listed(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    made = {status: messages_in(connection, mailing, 1, status) for status in STATUSES}
    assert {status: ids(mailer, "--status", status) for status in STATUSES} == made


def test_a_retry_is_listed_with_its_time(mailer: Mailer, connection: Connection) -> None:
    mailing, client = factories.a_mailing(connection), factories.a_client(connection)
    at = datetime(2026, 11, 2, 8, tzinfo=UTC)
    factories.a_message(connection, mailing, client, "retrying", retry_at=at)
    assert listed(mailer)[0]["retry_at"] == "2026-11-02T08:00:00Z"
    assert listed(mailer, "--client", str(client))[0]["retry_at"] == "2026-11-02T08:00:00Z"


def test_what_does_not_exist_is_refused_with_where_to_look(mailer: Mailer) -> None:
    told = {argv: mailer("message", *argv) for argv in UNKNOWN}
    assert {argv: (ended.code, ended.out) for argv, ended in told.items()} == dict.fromkeys(UNKNOWN, (1, ""))
    assert {argv: ended.err for argv, ended in told.items()} == {
        argv: f"mailer: {text}\n" for argv, text in UNKNOWN.items()
    }


UNKNOWN = {
    ("list", "--mailing", "12"): "no mailing 12; see `mailer mailing list`",
    ("list", "--client", "12"): "no client 12; see `mailer client list`",
    ("list", "--client", "89161234567"): "no client 79161234567; see `mailer client list`",
    ("show", "30064771073"): "no message 30064771073 (mailing 7, client 1); see `mailer message list`",
    ("show", str(2**63 - 1)): (
        f"message {2**63 - 1} is no client's: its mailing was tried out;"
        " see `mailer log --mailing 2147483647`"
    ),
}


def test_a_phone_that_is_none_is_refused(mailer: Mailer) -> None:
    told = mailer("message", "list", "--client", "Ann")
    assert told.code == 1
    assert "phone" in told.err


def test_a_status_that_is_none_is_a_usage_error_that_names_them_all(run: Mailer) -> None:
    told = run("message", "list", "--status", "delivered")
    assert (told.code, told.out) == (2, "")
    assert all(status in told.err for status in STATUSES)


@pytest.mark.parametrize(
    "argv",
    [
        ["list", "--all", "--limit", "3"],
        ["list", "--limit", "0"],
        ["list", "--mailing", "x"],
        ["show", "0"],
        ["show", "hello"],
        ["show", str(2**63)],
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(run: Mailer, argv: list[str]) -> None:
    assert run("message", *argv).code == 2


# On a terminal and off it


def test_a_terminal_shows_fifty_and_says_how_many_more(typed: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    messages_in(connection, mailing, 51)
    told = typed("message", "list")
    assert told.out.count("sent ") - told.out.count("sent at") == 50
    assert told.err == "50 of 51 messages; --all shows all of them\n"
    everything = typed("message", "list", "--all")
    assert everything.out.count("7916") == 51
    assert everything.err == ""


def test_off_a_terminal_everything_is_listed(mailer: Mailer, connection: Connection) -> None:
    made = messages_in(connection, factories.a_mailing(connection), 51)
    assert ids(mailer) == made
    assert len(mailer("message", "list", "-o", "csv").out.splitlines()) == 52
    assert mailer("message", "list").out.count("7916") == 51


@pytest.mark.parametrize("narrowed", [False, True])
def test_eighty_columns_are_enough(typed: Mailer, connection: Connection, narrowed: bool) -> None:
    mailing = factories.a_mailing(connection)
    for status in STATUSES:
        client = factories.a_client(connection)
        error = None if status == "sent" else "503 Service Unavailable: " + "come back later " * 5
        factories.a_message(connection, mailing, client, status, http_status=503, error=error)
    told = typed("message", "list", *(["--status", "failed"] if narrowed else []))
    lines = [line for line in told.out.splitlines() if line.strip()]
    assert len(lines) == 2 + (1 if narrowed else len(STATUSES))
    assert max(map(len, lines)) <= 80
    assert "503 S" in lines[-1]
    assert str(message_id(mailing, 0))[:7] in lines[-1]


def test_hostile_errors_are_shown_and_not_obeyed(mailer: Mailer, connection: Connection) -> None:
    mailing, client = factories.a_mailing(connection), factories.a_client(connection, tag="[red]\x1b[5m")
    message = factories.a_message(connection, mailing, client, "failed", error="\x1b[2J[bold]\u202ehi")
    factories.a_failed_attempt(connection, message, error="\x1b[2J[bold]")
    for argv in (["list"], ["show", str(message)]):
        for form in ("table", "json", "jsonl"):
            told = mailer("message", *argv, "-o", form)
            assert told.code == 0
            assert "\x1b" not in told.out
            assert "\u202e" not in told.out
        assert "\\x1b[2J[bold]\\u202ehi" in mailer("message", *argv).out


# At any number


def a_million(connection: Connection, mailing: int, number: int) -> None:
    """So many messages of one mailing, three of them in doubt, without clients."""
    connection.execute(
        """
        INSERT INTO message (shard, mailing_id, client_id, phone, status)
        SELECT n %% 16, %s, n, '79160000000', CASE WHEN n <= 3 THEN 'unknown' ELSE 'sent' END
        FROM generate_series(1, %s) AS n
        """,
        [mailing, number],
    )
    connection.execute(
        """
        INSERT INTO counter (shard, mailing_id, sent, unknown)
        SELECT shard, mailing_id, count(*) FILTER (WHERE status = 'sent'),
               count(*) FILTER (WHERE status = 'unknown')
        FROM message GROUP BY shard, mailing_id
        """
    )
    connection.execute("ANALYZE message")


def test_listing_reads_only_what_it_shows(connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    a_million(connection, mailing, 50_000)
    with reports.snapshot(connection):
        places = messages.places(connection, mailing_id=mailing)
        first = list(messages.listed(connection, places, limit=5))
    assert [message.client_id for message in first] == [1, 2, 3, 4, 5]
    plan = connection.execute(
        b"EXPLAIN DECLARE listing CURSOR FOR " + database.statement("message_list"),
        {"mailing_id": mailing, "shard": 1, "statuses": ["sent"]},
    ).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert "Index Scan using message_pkey" in text
    assert "Sort" not in text
    assert "Seq Scan" not in text


def test_what_is_rare_is_looked_for_only_where_it_is(connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    a_million(connection, mailing, 1_000)
    places = messages.places(connection, statuses=[Status.UNKNOWN])
    assert places == [messages.Place(mailing_id=mailing, shards=[1, 2, 3], messages=3)]
    assert messages.places(connection, statuses=[Status.EXPIRED]) == []


def test_streams_that_are_left_early_are_closed(connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    a_million(connection, mailing, 1_000)
    with reports.snapshot(connection):
        stream = messages.listed(connection, messages.places(connection))
        next(stream)
        assert len(open_cursors(connection)) == 16
        stream.close()
        assert open_cursors(connection) == []


def open_cursors(connection: Connection) -> list[Any]:
    return connection.execute("SELECT name FROM pg_cursors WHERE name ~ '^messages'").fetchall()


# Showing


def test_a_message_is_shown_with_all_that_is_known_of_it(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection, text="Hello")
    client = factories.a_client(connection, phone="79161234567", tag="vip")
    opens = datetime(2026, 11, 2, 7, tzinfo=UTC)
    factories.an_open_window(connection, mailing, opens_at=opens, closes_at=opens + timedelta(hours=10))
    run = factories.a_finished_run(connection, host="host-a")
    message = factories.a_message(
        *(connection, mailing, client, "retrying"),
        attempts=2,
        http_status=503,
        error="busy",
        retry_at=opens,
        run_id=run,
    )
    for attempt in (1, 2):
        at = opens + timedelta(minutes=attempt)
        factories.a_failed_attempt(connection, message, attempt=attempt, attempted_at=at, run_id=9)
    told = mailer("message", "show", str(message), "-o", "json")
    found = json.loads(told.out)
    assert list(found) == [*KEYS, "run_id", "host", "text", "mailing", "client", "window", "failures"]
    assert (found["id"], found["status"], found["attempts"]) == (message, "retrying", 2)
    assert (found["retry_at"], found["text"]) == ("2026-11-02T07:00:00Z", "Hello")
    assert (found["run_id"], found["host"]) == (run, "host-a")
    assert found["mailing"] == {"id": mailing, "state": "active"}
    assert found["client"] == {
        "id": client,
        "phone": "79161234567",
        "operator_code": "916",
        "tag": "vip",
        "timezone": "Europe/Moscow",
        "muted_at": None,
        "removed_at": None,
    }
    assert found["window"] == {
        "zone": "Europe/Moscow",
        "opens_at": "2026-11-02T07:00:00Z",
        "closes_at": "2026-11-02T17:00:00Z",
        "sendable_from": "2026-11-02T07:00:00Z",
        "sendable_until": "2026-11-02T17:00:00Z",
        "state": "open",
    }
    assert found["failures"][1] == {
        "attempted_at": "2026-11-02T07:02:00Z",
        "attempt": 2,
        "status": "retrying",
        "http_status": 503,
        "error": "503 Service Unavailable",
        "run_id": 9,
    }
    assert len(found["failures"]) == 2


def test_a_person_sees_the_failed_requests_below_the_message(mailer: Mailer, connection: Connection) -> None:
    mailing, client = factories.a_mailing(connection), factories.a_client(connection)
    message = factories.a_message(connection, mailing, client, "failed", error="400 Bad Request")
    factories.a_failed_attempt(connection, message, status="failed", error="400 Bad Request")
    told = mailer("message", "show", str(message))
    sheet, _, failures = told.out.partition("requests that failed")
    assert "Your order is ready" in sheet
    assert "400 Bad Request" in failures


def test_a_message_is_shown_after_its_client_is_gone(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    a_million(connection, mailing, 3)
    found = json.loads(mailer("message", "show", str(message_id(mailing, 2)), "-o", "json").out)
    assert found["client"]["phone"] is None
    assert found["window"]["state"] is None
    assert found["failures"] == []


# As CSV


def test_an_error_that_a_spreadsheet_would_execute_is_text_in_csv(
    mailer: Mailer, connection: Connection
) -> None:
    mailing, client = factories.a_mailing(connection), factories.a_client(connection)
    error = "=cmd|' /C calc'!A0"
    factories.a_message(connection, mailing, client, "failed", http_status=400, error=error)
    assert mailer("message", "list", "-o", "csv").out.splitlines()[1].endswith(f",400,'{error}")
    assert json.loads(mailer("message", "list", "-o", "jsonl").out)["error"] == error


def test_memory_does_not_grow_with_the_messages_listed(
    dsn: Dsn, connection: Connection, tmp_path: Path
) -> None:
    mailing = factories.a_mailing(connection)
    peaks = []
    for first, last in ((1, 20_000), (20_001, 200_000)):
        sent_messages(connection, mailing, first, last)
        lines, peak = lines_and_peak(dsn, tmp_path, "message", "list", "-o", "csv")
        assert lines == last + 1
        peaks.append(peak)
    # kB: 16 shards of a thousand rows each are reached with the smaller number already
    assert peaks[1] - peaks[0] < 12_000


def sent_messages(connection: Connection, mailing: int, first: int, last: int) -> None:
    """Sent messages, counted, to clients with these ids; the clients themselves are not looked at."""
    connection.execute(
        """
        INSERT INTO message (shard, mailing_id, client_id, phone, status, attempts, sent_at, http_status)
        SELECT n %% 16, %s, n, '7916' || lpad(n::text, 7, '0'), 'sent', 1, now(), 200
        FROM generate_series(%s::bigint, %s::bigint) n
        """,
        [mailing, first, last],
    )
    connection.execute(
        """
        INSERT INTO counter (shard, mailing_id, sent)
        SELECT shard, mailing_id, count(*) FROM message GROUP BY shard, mailing_id
        ON CONFLICT (shard, mailing_id) DO UPDATE SET sent = excluded.sent
        """
    )
