"""What people do in the middle of a run takes effect at once: the ledger has the times."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from chaos import oracle
from chaos.dispatchers import Dispatcher, Nursery, environment
from conftest import Mailer
from mailer_cli.database import Connection, Dsn
from mailer_cli.ids import mailing_and_client, message_id
from mailer_cli.sandbox import Faults, SandboxThread, read_ledger

CLIENTS = 2_000
LATENCY = 0.05
QUICKLY = ("--concurrency", "50")
GRACE = 1.0  # seconds that a command may take to stop every host


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery")) as started:
        yield started


class Desk:
    """A slow service, hosts that send to it, and its ledger."""

    def __init__(self, nursery: Nursery, dsn: Dsn, home: Path, service: SandboxThread, ledger: Path) -> None:
        self._nursery, self._service, self._ledger = nursery, service, ledger
        self._env = environment(home, dsn.address, service.url, MAILER_HTTP_TIMEOUT="10", MAILER_LEASE="60")

    def dispatch(self, *words: str, **settings: str) -> Dispatcher:
        return self._nursery.start(self._env | settings, "dispatch", *words)

    def kill(self, point: str) -> None:
        """Let a dispatcher kill itself there."""
        code = self._nursery.wait(self._nursery.start(self._env, "dispatch", point=point))
        assert code == -signal.SIGKILL, self._nursery.log

    def finish(self, *running: Dispatcher) -> None:
        for each in running:
            assert self._nursery.wait(each) == 0, self._nursery.log

    def until_accepted(self, number: int) -> None:
        end = time.monotonic() + 30
        while self._service.accepted < number:
            assert time.monotonic() < end, f"{self._service.accepted} accepted; {self._nursery.log}"
            time.sleep(0.005)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """What was accepted, as it came in."""
        return read_ledger(self._ledger)

    @property
    def accepted(self) -> list[tuple[int, int, datetime]]:
        """Mailing, client and time of what was accepted, in that order."""
        return [
            (*mailing_and_client(entry["id"]), datetime.fromisoformat(entry["time"]))
            for entry in self.entries
        ]

    def judge(self, connection: Connection) -> oracle.Findings:
        return oracle.judge(connection, self._ledger)


@pytest.fixture
def desk(dsn: Dsn, nursery: Nursery, tmp_path: Path) -> Iterator[Desk]:
    ledger = tmp_path / "ledger.jsonl"
    with SandboxThread(token="token", ledger=ledger, faults=Faults(latency=LATENCY)) as service:
        yield Desk(nursery, dsn, tmp_path, service, ledger)


def add_clients(connection: Connection, number: int, *, tag: str = "all", zone: str = "UTC") -> None:
    connection.execute(
        "INSERT INTO client (phone, operator_code, tag, timezone)"
        " SELECT '79' || lpad((i + (SELECT count(*) FROM client))::text, 9, '0'), '916', %s, %s"
        " FROM generate_series(1, %s::int) i",
        [tag, zone, number],
    )


def add_mailing(connection: Connection, ends_in: str, *, tag: str = "all", priority: int = 0) -> int:
    row = connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at, zone, tags, priority) VALUES"
        " ('Hello', now() - interval '1 day', now() + %s::interval, 'UTC', ARRAY[%s], %s) RETURNING id",
        [ends_in, tag, priority],
    ).fetchone()
    assert row is not None
    return int(row[0])


def committed_at(connection: Connection) -> datetime:
    row = connection.execute("SELECT max(at) FROM event").fetchone()
    assert row is not None
    found = row[0]
    assert isinstance(found, datetime)
    return found


@pytest.mark.parametrize(
    ("stop", "go_on"),
    [
        (("hold", "--reason", "wrong text"), ("release",)),
        (("mailing", "pause", "1"), ("mailing", "resume", "1")),
    ],
    ids=["hold", "pause"],
)
def test_stopped_in_the_middle_of_a_run_every_host_is_silent_within_a_second(
    connection: Connection, mailer: Mailer, desk: Desk, stop: tuple[str, ...], go_on: tuple[str, ...]
) -> None:
    add_clients(connection, CLIENTS)
    add_mailing(connection, "5 hours")
    hosts = [desk.dispatch(), desk.dispatch()]
    desk.until_accepted(300)
    assert mailer(*stop).code == 0
    since = committed_at(connection)
    desk.finish(*hosts)
    time.sleep(LATENCY)
    silent = desk.accepted
    assert len(silent) < CLIENTS
    assert max((at - since).total_seconds() for _, _, at in silent) < GRACE + LATENCY
    assert mailer(*go_on).code == 0
    desk.finish(desk.dispatch(*QUICKLY), desk.dispatch(*QUICKLY))
    found = desk.judge(connection)
    found.check()
    assert found.messages == {"sent": CLIENTS}


@pytest.mark.parametrize(
    ("stop", "go_on", "rest"),
    [(("pause",), ("resume",), "sent"), (("cancel", "--yes"), None, "cancelled")],
    ids=["pause", "cancel"],
)
def test_one_mailing_stopped_in_the_middle_is_silent_on_every_host_while_another_goes_on(
    connection: Connection,
    mailer: Mailer,
    desk: Desk,
    stop: tuple[str, ...],
    go_on: tuple[str, ...] | None,
    rest: str,
) -> None:
    add_clients(connection, CLIENTS)
    add_clients(connection, 300, tag="few")
    stopped, other = add_mailing(connection, "1 hour"), add_mailing(connection, "5 hours", tag="few")
    hosts = [desk.dispatch(), desk.dispatch()]
    desk.until_accepted(200)
    word, *options = stop
    assert mailer("mailing", word, str(stopped), *options).code == 0
    since = committed_at(connection)
    desk.finish(*hosts)
    times = {
        mailing: [at for each, _, at in desk.accepted if each == mailing] for mailing in (stopped, other)
    }
    assert max((at - since).total_seconds() for at in times[stopped]) < GRACE + LATENCY
    assert 200 <= len(times[stopped]) < CLIENTS
    assert len(times[other]) == 300
    assert max(times[other]) > since
    desk.finish(desk.dispatch())
    assert sum(mailing == stopped for mailing, _, _ in desk.accepted) == len(times[stopped])
    if go_on:
        assert mailer("mailing", *go_on, str(stopped)).code == 0
        desk.finish(desk.dispatch(*QUICKLY), desk.dispatch(*QUICKLY))
    found = desk.judge(connection)
    found.check()
    before = Counter({"sent": 300 + len(times[stopped])})
    assert found.messages == before + Counter({rest: CLIENTS - len(times[stopped])})


# One client each, all in one shard, so that a dispatcher claims them together.
KEPT, MUTED, REMOVED, CALLED, AHEAD, BEHIND, BESIDE = (16 * number for number in range(1, 8))
NEW_PHONE = "79990000000"


def add_people(connection: Connection) -> dict[int, str]:
    """A client for each thing that may happen to one; their phones by their ids."""
    phones = {client: f"7916{client:07d}" for client in (KEPT, MUTED, REMOVED, CALLED, AHEAD, BEHIND, BESIDE)}
    for client, phone in phones.items():
        connection.execute(
            "INSERT INTO client (id, phone, operator_code, timezone) VALUES (%s, %s, '916', 'UTC')",
            [client, phone],
        )
    return phones


def add_local_mailing(connection: Connection) -> int:
    """Open in UTC, from an hour ago for two more; over in Tokyo, and to come in Samoa."""
    row = connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at) VALUES ('Hello',"
        " now() AT TIME ZONE 'UTC' - interval '1 hour', now() AT TIME ZONE 'UTC' + interval '2 hours')"
        " RETURNING id"
    ).fetchone()
    assert row is not None
    return int(row[0])


def change_all(mailer: Mailer) -> None:
    for words in (
        ("mute", str(MUTED)),
        ("remove", str(REMOVED), "--yes"),
        ("update", str(CALLED), "--phone", NEW_PHONE),
        ("update", str(AHEAD), "--timezone", "Asia/Tokyo"),
        ("update", str(BEHIND), "--timezone", "Pacific/Pago_Pago"),
        ("update", str(BESIDE), "--timezone", "Africa/Abidjan"),
    ):
        ended = mailer("client", *words)
        assert ended.code == 0, ended.err


def messages(connection: Connection) -> dict[int, tuple[str, str]]:
    """Status and phone of each client's message."""
    rows = connection.execute("SELECT client_id, status, phone FROM message").fetchall()
    return {client: (status, phone) for client, status, phone in rows}


def leave_waiting(connection: Connection, mailer: Mailer, desk: Desk) -> None:
    """The windows are open, and nobody is claimed."""
    assert mailer("hold", "--reason", "not yet").code == 0
    desk.finish(desk.dispatch())
    assert mailer("release").code == 0
    assert messages(connection) == {}


def leave_claimed(connection: Connection, mailer: Mailer, desk: Desk) -> None:  # noqa: ARG001 - one of three alike
    """A dispatcher was killed between its claim and its first request."""
    desk.kill("before starting")
    assert {status for status, _ in messages(connection).values()} == {"sending"}
    connection.execute("UPDATE claim SET lease_until = now()")


def leave_retrying(connection: Connection, mailer: Mailer, desk: Desk) -> None:  # noqa: ARG001 - likewise
    """The service was out of order when their turn came."""
    with SandboxThread(token="token", faults=Faults(status=500)) as broken:
        desk.finish(
            desk.dispatch("--max-seconds", "1", MESSAGE_SERVICE_URL=broken.url, MAILER_RETRY_BASE="9")
        )
    assert {status for status, _ in messages(connection).values()} == {"retrying"}
    connection.execute("UPDATE retry SET retry_at = now()")


@pytest.mark.parametrize("leave", [leave_waiting, leave_claimed, leave_retrying])
def test_whatever_happens_to_a_client_between_the_opening_and_their_turn_takes_effect(
    connection: Connection,
    mailer: Mailer,
    desk: Desk,
    leave: Callable[[Connection, Mailer, Desk], None],
) -> None:
    phones = add_people(connection)
    mailing = add_local_mailing(connection)
    leave(connection, mailer, desk)
    change_all(mailer)
    for _ in range(3):
        desk.finish(desk.dispatch())
    assert sorted((entry["id"], str(entry["phone"])) for entry in desk.entries) == [
        (message_id(mailing, KEPT), phones[KEPT]),
        (message_id(mailing, CALLED), NEW_PHONE),
        (message_id(mailing, BESIDE), phones[BESIDE]),
    ]
    expected = {
        KEPT: ("sent", phones[KEPT]),
        MUTED: ("cancelled", phones[MUTED]),
        REMOVED: ("cancelled", phones[REMOVED]),
        CALLED: ("sent", NEW_PHONE),
        AHEAD: ("expired", phones[AHEAD]),
        BESIDE: ("sent", phones[BESIDE]),
    }
    waits = {BEHIND: ("retrying", phones[BEHIND])} if leave is not leave_waiting else {}
    assert messages(connection) == expected | waits
    opening = connection.execute(
        "SELECT DISTINCT sendable_from FROM mailing_window"
        " WHERE zone = 'Pacific/Pago_Pago' AND state = 'planned' AND opens_at > now()"
    ).fetchall()
    assert len(opening) == 1
    assert connection.execute("SELECT retry_at FROM retry").fetchall() == opening * len(waits)
    [row] = json.loads(mailer("report", "-o", "json").out)
    counted = Counter(status for status, _ in messages(connection).values())
    assert {status: row[status] for status in counted} == counted
    assert row["audience"] == row["waiting"] + counted.total()


def test_who_was_sent_to_is_not_written_to_again_wherever_they_move_and_whatever_their_phone(
    connection: Connection, mailer: Mailer, desk: Desk
) -> None:
    phones = add_people(connection)
    add_local_mailing(connection)
    desk.finish(desk.dispatch())
    sent = {client: ("sent", phone) for client, phone in phones.items()}
    assert messages(connection) == sent
    change_all(mailer)
    desk.finish(desk.dispatch())
    for words in (
        ("unmute", str(MUTED)),
        ("add", phones[REMOVED], "--timezone", "Africa/Abidjan"),
        ("update", str(CALLED), "--phone", phones[CALLED]),
        ("update", str(AHEAD), "--timezone", "UTC"),
        ("update", str(BEHIND), "--timezone", "Africa/Abidjan"),
    ):
        ended = mailer("client", *words)
        assert ended.code == 0, ended.err
    for _ in range(2):
        desk.finish(desk.dispatch())
    assert len(desk.accepted) == len(phones)
    assert messages(connection) == sent
    desk.judge(connection).check()


def test_the_phone_of_who_was_removed_goes_to_nobody_else_and_comes_back_with_its_history(
    connection: Connection, mailer: Mailer, desk: Desk
) -> None:
    phones = add_people(connection)
    mailing = add_local_mailing(connection)
    desk.finish(desk.dispatch())
    assert mailer("client", "remove", str(REMOVED), "--yes").code == 0
    taken = mailer("client", "update", str(KEPT), "--phone", phones[REMOVED])
    assert taken.code == 1
    assert "was removed" in taken.err
    back = json.loads(mailer("client", "add", phones[REMOVED], "--timezone", "UTC", "-o", "json").out)
    assert back["id"] == REMOVED
    desk.finish(desk.dispatch())
    assert mailer("mailing", "refresh", str(mailing)).code == 0
    desk.finish(desk.dispatch())
    assert [str(entry["phone"]) for entry in desk.entries].count(phones[REMOVED]) == 1
    desk.judge(connection).check()


def test_a_phone_passed_on_in_the_middle_reaches_whoever_has_it_at_their_turn(
    connection: Connection, mailer: Mailer, desk: Desk
) -> None:
    phones = add_people(connection)
    mailing = add_local_mailing(connection)
    leave_waiting(connection, mailer, desk)
    assert mailer("client", "update", str(CALLED), "--phone", NEW_PHONE).code == 0
    assert mailer("client", "update", str(KEPT), "--phone", phones[CALLED]).code == 0
    desk.finish(desk.dispatch())
    told = {entry["id"]: str(entry["phone"]) for entry in desk.entries}
    assert len(desk.entries) == len(told) == len(set(told.values())) == len(phones)
    assert told[message_id(mailing, CALLED)] == NEW_PHONE
    assert told[message_id(mailing, KEPT)] == phones[CALLED]
    assert messages(connection)[KEPT] == ("sent", phones[CALLED])
    desk.judge(connection).check()


@pytest.mark.parametrize("change", ["mute", "remove", "phone", "zone"])
def test_who_is_changed_while_a_dispatcher_at_work_has_claimed_them_is_treated_as_they_are_then(
    connection: Connection, mailer: Mailer, desk: Desk, change: str
) -> None:
    clients = [16 * number for number in range(1, 51)]  # one shard, one claim
    for client in clients:
        connection.execute(
            "INSERT INTO client (id, phone, operator_code, timezone) VALUES (%s, %s, '916', 'UTC')",
            [client, f"7916{client:07d}"],
        )
    add_local_mailing(connection)
    running = desk.dispatch("--concurrency", "1")
    desk.until_accepted(3)
    last = clients[-1]
    words = {
        "mute": ("mute", str(last)),
        "remove": ("remove", str(last), "--yes"),
        "phone": ("update", str(last), "--phone", NEW_PHONE),
        "zone": ("update", str(last), "--timezone", "Asia/Tokyo"),
    }
    assert messages(connection)[last] == ("sending", f"7916{last:07d}")
    assert mailer("client", *words[change]).code == 0
    assert messages(connection)[last][0] == "sending", "it came too late to prove anything"
    desk.finish(running)
    for _ in range(2):
        connection.execute("UPDATE retry SET retry_at = now()")
        desk.finish(desk.dispatch())
    seen = [str(entry["phone"]) for entry in desk.entries if mailing_and_client(entry["id"])[1] == last]
    status, phone = messages(connection)[last]
    if change == "phone":
        assert (status, phone, seen) == ("sent", NEW_PHONE, [NEW_PHONE])
    else:
        assert (status, seen) == ("expired" if change == "zone" else "cancelled", [])
    assert len(desk.entries) == len({entry["id"] for entry in desk.entries}) == 49 + (change == "phone")
