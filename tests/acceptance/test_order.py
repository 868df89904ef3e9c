"""Soonest end first, then priority; a few whose end is near do not wait for a giant: the ledger proves it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path

import pytest

from chaos import oracle
from chaos.dispatchers import Dispatcher, Nursery, environment
from conftest import Mailer
from mailer_cli.database import Connection, Dsn
from mailer_cli.ids import mailing_and_client
from mailer_cli.sandbox import Faults, SandboxThread, read_ledger

LATENCY = 0.03
GIANT = 20_000
FEW = 10
BUSY = 100  # accepted before the few come
SOON = 400  # acceptances by a dispatcher before the few have had their turn: what it had claimed, and a bit


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery")) as started:
        yield started


class Service:
    """A service that takes its time, hosts that send to it, and the order in which it accepted."""

    def __init__(self, nursery: Nursery, dsn: Dsn, home: Path, sandbox: SandboxThread, ledger: Path) -> None:
        self._nursery, self._sandbox, self._ledger = nursery, sandbox, ledger
        self._env = environment(home, dsn.address, sandbox.url)

    def start(self, *words: str) -> Dispatcher:
        return self._nursery.start(self._env, "dispatch", *words)

    def finish(self, running: Dispatcher, code: int = 0) -> None:
        assert self._nursery.wait(running, 30) == code, self._nursery.log

    def dispatch(self, *words: str) -> None:
        self.finish(self.start(*words))

    def interrupt(self, running: Dispatcher) -> None:
        self._nursery.signal(running, 15)
        self.finish(running, 143)

    def await_accepted(self, number: int) -> None:
        end = time.monotonic() + 30
        while self._sandbox.accepted < number:
            assert time.monotonic() < end, f"{self._sandbox.accepted} accepted; {self._nursery.log}"
            time.sleep(0.002)

    def await_all_of(self, mailing: int, number: int) -> None:
        end = time.monotonic() + 20
        while len(self.places(mailing)) < number:
            assert time.monotonic() < end, f"{len(self.places(mailing))} accepted; {self._nursery.log}"
            time.sleep(0.05)

    @property
    def order(self) -> list[int]:
        """The mailings of what was accepted, in that order."""
        return [mailing_and_client(entry["id"])[0] for entry in read_ledger(self._ledger)]

    def places(self, mailing: int) -> list[int]:
        """Where in the order a mailing's messages are."""
        return [place for place, each in enumerate(self.order) if each == mailing]

    def check(self, connection: Connection) -> None:
        oracle.judge(connection, self._ledger).check()


@pytest.fixture
def latency() -> float:
    return 0.0


@pytest.fixture
def service(dsn: Dsn, nursery: Nursery, tmp_path: Path, latency: float) -> Iterator[Service]:
    ledger = tmp_path / "ledger.jsonl"
    with SandboxThread(token="token", ledger=ledger, faults=Faults(latency=latency)) as sandbox:
        yield Service(nursery, dsn, tmp_path, sandbox, ledger)


def add_clients(connection: Connection, number: int, tag: str, *, zones: str = "UTC") -> None:
    connection.execute(
        "INSERT INTO client (phone, operator_code, tag, timezone)"
        " SELECT '79' || lpad((i + (SELECT count(*) FROM client))::text, 9, '0'), '916', %s,"
        " (string_to_array(%s, ' '))[1 + i %% array_length(string_to_array(%s, ' '), 1)]"
        " FROM generate_series(1, %s::int) i",
        [tag, zones, zones, number],
    )


def create(mailer: Mailer, tag: str, *, ends_in: timedelta, priority: int = 0) -> int:
    """A mailing to the clients with a tag, one instant for all of them, that is due since an hour."""
    now = datetime.now(UTC)
    ended = mailer(
        *("mailing", "create", "Hello", "--tag", tag, "--zone", "UTC", "--priority", str(priority)),
        *("--start", f"{now - timedelta(hours=1):%Y-%m-%d %H:%M:%S}"),
        *("--end", f"{now + ends_in:%Y-%m-%d %H:%M:%S}", "-o", "json"),
    )
    assert ended.code == 0, ended.err
    number: int = json.loads(ended.out)["id"]
    return number


def runs(order: list[int]) -> list[tuple[int, int]]:
    """Which mailing had how many turns in a row."""
    return [(mailing, len(list(group))) for mailing, group in groupby(order)]


def test_the_mailing_that_ends_sooner_goes_first_whatever_came_first_and_its_priority(
    mailer: Mailer, connection: Connection, service: Service
) -> None:
    add_clients(connection, 30, "all", zones="UTC Asia/Omsk Europe/Moscow")
    later = create(mailer, "all", ends_in=timedelta(hours=3), priority=100)
    sooner = create(mailer, "all", ends_in=timedelta(hours=2), priority=-100)
    service.dispatch("--concurrency", "1")
    assert runs(service.order) == [(sooner, 30), (later, 30)]
    service.check(connection)


def test_of_mailings_with_the_same_end_the_higher_priority_goes_first_then_the_elder(
    mailer: Mailer, connection: Connection, service: Service
) -> None:
    add_clients(connection, 20, "all")
    low, high, negative, younger = (
        create(mailer, "all", ends_in=timedelta(hours=2), priority=priority) for priority in (1, 5, -1, 1)
    )
    connection.execute("UPDATE mailing SET ends_at = (SELECT ends_at FROM mailing WHERE id = 1)")
    service.dispatch("--concurrency", "1")
    order = runs(service.order)
    assert [order[0], order[-1]] == [(high, 20), (negative, 20)]
    assert set(service.order[20:60]) == {low, younger}
    service.check(connection)


def test_an_end_is_the_one_on_the_clients_own_clock(
    mailer: Mailer, connection: Connection, service: Service
) -> None:
    add_clients(connection, 20, "east", zones="Asia/Tokyo")
    add_clients(connection, 20, "west", zones="Europe/London")
    now = datetime.now(UTC)
    # Tokyo's clocks are nine hours ahead of London's: what ends later on the wall ends there first.
    for tag, hours in (("west", 3), ("east", 11)):
        ended = mailer(
            *("mailing", "create", "Hello", "--tag", tag),
            *("--start", f"{now - timedelta(days=1):%Y-%m-%d %H:%M}"),
            *("--end", f"{now + timedelta(hours=hours):%Y-%m-%d %H:%M}"),
        )
        assert ended.code == 0, ended.err
    service.dispatch("--concurrency", "1")
    assert runs(service.order) == [(2, 20), (1, 20)]
    service.check(connection)


@pytest.mark.parametrize("latency", [LATENCY])
@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        (1, ("--concurrency", "5")),
        (2, ("--concurrency", "5")),
        (1, ("--rate", "60", "--concurrency", "100")),
    ],
    ids=["slow", "two hosts", "rated"],
)
def test_ten_whose_end_is_near_go_out_at_once_in_the_middle_of_a_run_with_a_giant(
    mailer: Mailer, connection: Connection, service: Service, hosts: int, words: tuple[str, ...]
) -> None:
    add_clients(connection, GIANT, "giant", zones="UTC Asia/Omsk Europe/Moscow")
    add_clients(connection, FEW, "few", zones="UTC Asia/Omsk")
    giant = create(mailer, "giant", ends_in=timedelta(hours=2), priority=100)
    running = [service.start(*words) for _ in range(hosts)]
    service.await_accepted(BUSY)
    urgent = create(mailer, "few", ends_in=timedelta(minutes=1), priority=-100)
    created = len(service.order)
    service.await_all_of(urgent, FEW)
    for each in running:
        service.interrupt(each)
    assert max(service.places(urgent)) < created + hosts * SOON
    assert len(service.places(urgent)) == FEW
    assert set(service.order) == {giant, urgent}


def test_behind_a_giant_that_ends_sooner_nobody_is_forgotten(
    mailer: Mailer, connection: Connection, service: Service
) -> None:
    add_clients(connection, 2_000, "giant")
    add_clients(connection, FEW, "few")
    patient = create(mailer, "few", ends_in=timedelta(hours=3), priority=100)
    giant = create(mailer, "giant", ends_in=timedelta(hours=2), priority=-100)
    service.dispatch("--concurrency", "1", "--max-seconds", "1")  # out of time before the giant is out
    assert set(service.order) == {giant}
    service.dispatch("--concurrency", "50")
    assert len(service.places(giant)) == 2_000
    assert len(service.places(patient)) == FEW
    assert min(service.places(patient)) > 2_000 - 50, "the last of the giant's were still under way, no more"
    service.check(connection)


def test_a_giant_whose_messages_are_all_retrying_does_not_keep_others_waiting(
    mailer: Mailer, connection: Connection, service: Service, dsn: Dsn, nursery: Nursery, tmp_path: Path
) -> None:
    add_clients(connection, 100, "giant")
    add_clients(connection, FEW, "few")
    giant = create(mailer, "giant", ends_in=timedelta(hours=2), priority=100)
    with SandboxThread(token="token", faults=Faults(status=500)) as broken:
        settings = {"MAILER_RETRY_BASE": "600", "MAILER_CONCURRENCY": "100"}
        failing = environment(tmp_path, dsn.address, broken.url, **settings)
        nursery.wait(nursery.start(failing, "dispatch", "--max-seconds", "2"))
    connection.execute(
        "UPDATE service SET broken_at = NULL, breaks = 0, probe_after = NULL, tally_since = NULL"
    )
    patient = create(mailer, "few", ends_in=timedelta(hours=3))
    service.dispatch()
    retrying = connection.execute("SELECT count(*) FROM retry WHERE mailing_id = %s", [giant]).fetchone()
    assert retrying is not None
    assert retrying[0] > 0
    assert len(service.places(patient)) == FEW
    connection.execute("UPDATE retry SET retry_at = now()")
    service.dispatch()
    assert len(service.places(giant)) == 100
    service.check(connection)


def test_ten_retries_whose_end_is_near_do_not_stand_behind_thousands_of_a_giants(
    mailer: Mailer, connection: Connection, service: Service
) -> None:
    add_clients(connection, 2_000, "many")
    add_clients(connection, 10, "few")
    giant = create(mailer, "many", ends_in=timedelta(hours=5))
    urgent = create(mailer, "few", ends_in=timedelta(minutes=5))
    service.dispatch("--max-seconds", "1", "--rate", "0.001")  # opens the windows, and sends one at the most
    # As if all had been told "not now", the giant's first.
    connection.execute(
        "INSERT INTO message (shard, mailing_id, client_id, phone, status, attempts)"
        " SELECT c.shard, m.id, c.id, c.phone, 'retrying', 1"
        " FROM client c JOIN mailing m ON c.tag = ANY (m.tags) ON CONFLICT DO NOTHING"
    )
    connection.execute("DELETE FROM retry")
    connection.execute("DELETE FROM claim")
    connection.execute("UPDATE message SET status = 'retrying'")
    connection.execute(
        "INSERT INTO retry (shard, mailing_id, client_id, retry_at)"
        " SELECT shard, mailing_id, client_id, now() - make_interval(mins => 60 - mailing_id::int)"
        " FROM message"
    )
    connection.execute("UPDATE mailing_window SET position = 0, catching_up = true, claimed = audience")
    connection.execute("DELETE FROM counter")
    connection.execute(
        "INSERT INTO counter (shard, mailing_id, retrying)"
        " SELECT shard, mailing_id, count(*) FROM message GROUP BY 1, 2"
    )
    connection.execute("UPDATE service SET rate_next = 0")
    before = len(service.order)
    service.dispatch()
    assert len(service.places(giant)) >= 2_000
    assert len([place for place in service.places(urgent) if place >= before]) == 10
    assert max(service.places(urgent)) < 500
