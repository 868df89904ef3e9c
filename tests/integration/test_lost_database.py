"""Wherever in a run the database is lost, the same run goes on when it is back; and ends well when it is not.

A server that restarts and crashes for real is in `chaos/test_lost_database.py`, and in `test_pooler.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from chaos import oracle
from chaos.proxy import Cut, Proxy
from mailer_cli import database, windows
from mailer_cli.database import Connection, Dsn
from mailer_cli.dispatch import Options, Summary, claims, dispatch, engine, housekeeping, recover, tick
from mailer_cli.dispatch.claim_windows import claim_next
from mailer_cli.errors import UnavailableError
from mailer_cli.sandbox import Faults, Received, SandboxThread
from mailer_cli.service import MessageService

CLIENTS = 200
TOKEN = "token"

# The tick's own work, in the order in which it is done; the engine has connections of its own.
WORK: dict[str, tuple[Any, str]] = {
    "deriving windows": (windows, "derive"),
    "looking for windows to open": (housekeeping, "untended"),
    "opening windows": (housekeeping, "open_windows"),
    "looking for what is due": (claims, "due"),
    "recovering": (recover, "recover"),
    "finishing mailings": (housekeeping, "finish_mailings"),
}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


@pytest.fixture
def due(connection: Connection) -> None:
    """Clients, and a mailing that is due to all of them."""
    connection.execute(
        "INSERT INTO client (phone, operator_code, timezone)"
        " SELECT '7916' || lpad(i::text, 7, '0'), '916', 'UTC' FROM generate_series(1, %s::int) i",
        (CLIENTS,),
    )
    connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at, zone)"
        " VALUES ('Hello', now() - interval '1 day', now() + interval '1 day', 'UTC')"
    )


def run(dsn: Dsn, service: SandboxThread, *, seconds: float = 30) -> Summary:
    """One execution of `mailer dispatch`."""
    options = Options(concurrency=10, max_seconds=seconds, http_timeout=2)

    def connect() -> MessageService:
        return MessageService(service.url, TOKEN, connections=10, timeout=2)

    return dispatch(dsn, connect, options)


def drop_everybody(admin: Connection, dsn: Dsn) -> None:
    """End every connection to the database but those of the test."""
    admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = %s AND application_name = 'mailer'",
        (name_of(dsn),),
    )


@contextmanager
def administrator(postgres: str) -> Iterator[Connection]:
    with psycopg.connect(postgres, autocommit=True, application_name="an administrator") as admin:
        yield admin


def first(act: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    """`act` before the first call."""
    acted: list[bool] = []

    def wrapped(*arguments: Any, **named: Any) -> Any:
        if not acted:
            acted.append(True)
            act()
        return function(*arguments, **named)

    return wrapped


def endings(connection: Connection) -> list[tuple[str | None]]:
    return connection.execute("SELECT ending FROM run ORDER BY id").fetchall()


@pytest.mark.usefixtures("due")
@pytest.mark.parametrize("work", WORK)
def test_a_run_goes_on_whatever_it_is_doing_when_its_connections_are_lost(
    work: str,
    postgres: str,
    dsn: Dsn,
    connection: Connection,
    ledger: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost: list[str] = []
    with administrator(postgres) as admin, SandboxThread(token=TOKEN, ledger=ledger) as service:
        if work == "recovering":
            leave_a_lapsed_claim(connection)

        def lose() -> None:
            drop_everybody(admin, dsn)
            lost.append(work)

        module, name = WORK[work]
        monkeypatch.setattr(module, name, first(lose, getattr(module, name)))
        run(dsn, service)
    assert lost == [work]
    with database.connect(dsn) as again:
        found = oracle.judge(again, ledger)
        assert endings(again)[-1] == ("done",)
    found.check()
    assert found.messages == {"sent": CLIENTS}


def leave_a_lapsed_claim(connection: Connection) -> None:
    """Be a dispatcher that died between claiming and starting, a lease ago."""
    windows.derive(connection)
    housekeeping.open_windows(connection, housekeeping.untended(connection))
    run_id = database.fetch_value(connection, "run_start", host="a-host", pid=1)
    assert claim_next(connection, run_id, 0, Options(), Summary()) is not None
    connection.execute("UPDATE claim SET lease_until = now()")


@pytest.mark.usefixtures("due")
def test_a_run_sends_what_it_claimed_although_the_reply_to_the_commit_was_lost(
    dsn: Dsn, connection: Connection, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(dsn.address) as proxy, SandboxThread(token=TOKEN, ledger=ledger) as service:
        cut = first(lambda: proxy.cut_next(Cut.AFTER_COMMIT), claim_next)
        monkeypatch.setattr(engine, "claim_next", cut)
        run(Dsn(proxy.address), service)
    assert proxy.made == [Cut.AFTER_COMMIT]
    found = oracle.judge(connection, ledger)
    found.check()
    assert found.messages == {"sent": CLIENTS}
    assert endings(connection) == [("done",)]


@pytest.mark.usefixtures("due")
def test_a_run_that_waits_for_the_service_goes_on_after_the_database_was_away(
    postgres: str, dsn: Dsn, connection: Connection, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.execute("UPDATE service SET blocked_until = now() + interval '1 second'")
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 1:
            turn_away(admin, dsn)
            threading.Timer(0.5, let_in, [postgres, dsn]).start()
        time.sleep(seconds)

    monkeypatch.setattr(tick, "time", SimpleNamespace(sleep=nap))
    with administrator(postgres) as admin, SandboxThread(token=TOKEN, ledger=ledger) as service:
        run(dsn, service)
    assert naps, "it did not wait"
    with database.connect(dsn) as again:
        found = oracle.judge(again, ledger)
        assert endings(again) == [("done",)]
    found.check()
    assert found.messages == {"sent": CLIENTS}


@pytest.mark.usefixtures("due")
def test_how_a_run_ended_is_written_although_the_database_was_lost_just_then(
    postgres: str, dsn: Dsn, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with administrator(postgres) as admin, SandboxThread(token=TOKEN, ledger=ledger) as service:
        monkeypatch.setattr(tick, "_end", first(lambda: drop_everybody(admin, dsn), tick._end))
        run(dsn, service)
    with database.connect(dsn) as connection:
        assert connection.execute("SELECT ending, sent FROM run").fetchall() == [("done", CLIENTS)]


def test_a_run_without_a_database_at_its_start_tries_once_and_ends(
    postgres: str, dsn: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[Dsn] = []
    connect = database.connect

    def counted(asked: Dsn) -> Connection:
        tries.append(asked)
        return connect(asked)

    with administrator(postgres) as admin, SandboxThread(token=TOKEN) as service:
        turn_away(admin, dsn)
        monkeypatch.setattr(database, "connect", counted)
        with pytest.raises(UnavailableError, match="cannot be reached"):
            run(dsn, service)
        let_in(postgres, dsn)
    assert tries == [dsn]


@pytest.mark.usefixtures("due")
def test_a_run_whose_database_does_not_come_back_ends_and_the_next_one_finishes(
    postgres: str, dsn: Dsn, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent and could not be recorded is in doubt, with the reason; it is not sent again."""
    monkeypatch.setattr(engine, "PATIENCE", 0.5)
    monkeypatch.setattr(tick, "LAST_WORD", 0.5)
    away = threading.Event()

    def lose(_: Received) -> None:
        if service.accepted >= 10 and not away.is_set():
            away.set()
            turn_away(admin, dsn)

    with (
        administrator(postgres) as admin,
        SandboxThread(token=TOKEN, ledger=ledger, faults=Faults(latency=0.1), on_request=lose) as service,
    ):
        with pytest.raises((UnavailableError, psycopg.OperationalError)):
            run(dsn, service, seconds=5)
        let_in(postgres, dsn)
        with database.connect(dsn) as connection:
            assert endings(connection) == [(None,)]
            connection.execute("UPDATE claim SET lease_until = now()")
            run(dsn, service)
            found = oracle.judge(connection, ledger)
            reasons = connection.execute(
                "SELECT DISTINCT error FROM message WHERE status = 'unknown'"
            ).fetchall()
            assert endings(connection) == [(None,), ("done",)]
    found.check()
    assert found.messages.total() == CLIENTS
    assert set(found.messages) <= {"sent", "unknown"}
    assert found.in_doubt < 0.5, f"{found}: only what was under way when the database went"
    assert reasons in ([], [(recover.IN_DOUBT,)])


def turn_away(admin: Connection, dsn: Dsn) -> None:
    """Let nobody connect any more, and end who is connected, as if the server had gone."""
    admin.execute(allow(dsn, connections=False))
    drop_everybody(admin, dsn)


def let_in(postgres: str, dsn: Dsn) -> None:
    with administrator(postgres) as admin:
        admin.execute(allow(dsn, connections=True))


def allow(dsn: Dsn, *, connections: bool) -> sql.Composed:
    return sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
        sql.Identifier(name_of(dsn)), sql.Literal(connections)
    )


def name_of(dsn: Dsn) -> str:
    return str(conninfo_to_dict(dsn.address)["dbname"])
