"""`mailer mailing test`: one phone gets the text, no report counts it, and the history tells of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import factories
from conftest import Mailer
from mailer_cli.database import Connection
from mailer_cli.ids import MAX_CLIENT_ID, mailing_and_client
from mailer_cli.sandbox import Faults, SandboxThread, read_ledger
from wire import Wire, answer

TOKEN = "a-token-that-must-never-show"
PHONE = "79161234567"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def service(bare: None, ledger: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxThread]:  # noqa: ARG001 - first the settings are cleared
    with SandboxThread(token=TOKEN, ledger=ledger) as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        monkeypatch.setenv("JWT_TOKEN", TOKEN)
        yield sandbox


def notes(connection: Connection) -> list[tuple[str, dict[str, object]]]:
    return connection.execute("SELECT action, new FROM event ORDER BY id").fetchall()


@pytest.mark.usefixtures("service")
def test_a_draft_is_tried_out_and_counted_nowhere(
    mailer: Mailer, connection: Connection, ledger: Path
) -> None:
    client = factories.a_client(connection, phone=PHONE)
    mailing = factories.a_mailing(connection, state="draft", text="Привет!")
    told = mailer("mailing", "test", str(mailing), "--to", "+7 (916) 123-45-67")
    assert (told.code, told.out) == (0, "")
    [request] = read_ledger(ledger)
    number = request["id"]
    assert (request["phone"], request["text"]) == (int(PHONE), "Привет!")
    assert mailing_and_client(number)[0] == mailing
    assert MAX_CLIENT_ID < mailing_and_client(number)[1] < 2**32
    assert mailing_and_client(number)[1] != client
    assert told.err == f"the service accepted message {number} to {PHONE}: a test, counted nowhere\n"
    assert connection.execute("SELECT count(*) FROM message").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM counter").fetchone() == (0,)
    assert notes(connection) == [
        ("mailing test begun", {"to": "7916•••4567"}),
        (
            "mailing test ended",
            {"to": "7916•••4567", "message": number, "outcome": "Accepted", "http_status": 200},
        ),
    ]
    assert PHONE not in mailer("log", "--mailing", str(mailing)).out


@pytest.mark.usefixtures("service")
def test_each_test_has_an_id_of_its_own(mailer: Mailer, connection: Connection, ledger: Path) -> None:
    mailing = str(factories.a_mailing(connection))
    mailer("mailing", "test", mailing, "--to", PHONE, "--to", "79160000001")
    mailer("mailing", "test", mailing, "--to", PHONE)
    requests = read_ledger(ledger)
    assert [each["phone"] for each in requests] == [int(PHONE), 79160000001, int(PHONE)]
    assert len({each["id"] for each in requests}) == 3


@pytest.mark.usefixtures("service")
def test_nothing_is_tried_out_while_sending_is_held(
    mailer: Mailer, connection: Connection, ledger: Path
) -> None:
    mailing = str(factories.a_mailing(connection))
    mailer("hold", "--reason", "wrong price")
    told = mailer("mailing", "test", mailing, "--to", PHONE)
    assert (told.code, told.err) == (
        1, "mailer: sending is held: wrong price; `mailer release` starts it again\n"
    )  # fmt: skip
    assert not ledger.exists() or not read_ledger(ledger)


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        ("401 Unauthorized", b"{}", 4, "the message service rejected the token"),
        ("400 Bad Request", b'{"message": "no such phone"}', 1, "the service refused message"),
        ("503 Service Unavailable", b"{}", 75, "try again later"),
        ("200 OK", b"<html>", 1, "may have been taken, or not"),
    ],
)
def test_what_the_service_thinks_of_it_is_said(
    mailer: Mailer,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    status: str,
    body: bytes,
    code: int,
    said: str,
) -> None:
    mailing = str(factories.a_mailing(connection))
    with Wire(answer(status, body)) as server:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", server.url)
        monkeypatch.setenv("JWT_TOKEN", TOKEN)
        told = mailer("mailing", "test", mailing, "--to", PHONE)
    assert told.code == code
    assert said in told.err
    assert TOKEN not in told.err
    assert len(notes(connection)) == 2
    # What one test met stops nobody else.
    row = "SELECT token_rejected_at, blocked_until, broken_at FROM service"
    assert connection.execute(row).fetchone() == (None, None, None)


@pytest.mark.usefixtures("service")
def test_what_cannot_be_tried_out_is_refused_before_anything_is_noted(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailing = str(factories.a_mailing(connection))
    assert "no mailing 99" in mailer("mailing", "test", "99", "--to", PHONE).err
    assert "phone" in mailer("mailing", "test", mailing, "--to", "12").err
    monkeypatch.delenv("JWT_TOKEN")
    assert "no token" in mailer("mailing", "test", mailing, "--to", PHONE).err
    assert notes(connection) == []


@pytest.mark.usefixtures("service")
def test_its_message_cannot_be_shown_and_the_answer_says_where_to_look(
    mailer: Mailer, connection: Connection
) -> None:
    mailing = factories.a_mailing(connection)
    mailer("mailing", "test", str(mailing), "--to", PHONE)
    number = notes(connection)[1][1]["message"]
    told = mailer("message", "show", str(number))
    assert told.code == 1
    assert f"see `mailer log --mailing {mailing}`" in told.err
    assert json.loads(mailer("report", str(mailing), "-o", "json").out)[0]["sent"] == 0


def test_no_client_can_have_an_id_of_a_test(connection: Connection) -> None:
    import psycopg

    with pytest.raises(psycopg.errors.CheckViolation):
        connection.execute(
            "INSERT INTO client (id, phone, operator_code, timezone) VALUES (%s, %s, '916', 'UTC')",
            [MAX_CLIENT_ID + 1, PHONE],
        )


def test_a_slow_service_is_waited_for(
    bare: None,  # noqa: ARG001 - first the settings are cleared
    mailer: Mailer,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mailing = str(factories.a_mailing(connection))
    with SandboxThread(token=TOKEN, faults=Faults(latency=0.3)) as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        monkeypatch.setenv("JWT_TOKEN", TOKEN)
        assert mailer("mailing", "test", mailing, "--to", PHONE).code == 0
