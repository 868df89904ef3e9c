"""What people do in the middle of a run takes effect at once, and order is kept: the ledger has the times."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from chaos import oracle
from chaos.dispatchers import Dispatcher, Nursery, environment
from conftest import Mailer
from mailer_cli.database import Connection, Dsn
from mailer_cli.ids import mailing_and_client
from mailer_cli.sandbox import Faults, SandboxThread, read_ledger

CLIENTS = 2_000
LATENCY = 0.05
GRACE = 1.0  # seconds that a command may take to stop every host


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery")) as started:
        yield started


class Desk:
    """A slow service, hosts that send to it, and its ledger."""

    def __init__(self, nursery: Nursery, dsn: Dsn, home: Path, service: SandboxThread, ledger: Path) -> None:
        self._nursery, self._service, self._ledger = nursery, service, ledger
        self._env = environment(home, dsn.address, service.url, MAILER_HTTP_TIMEOUT="2", MAILER_LEASE="10")

    def dispatch(self, *words: str) -> Dispatcher:
        return self._nursery.start(self._env, "dispatch", *words)

    def finish(self, *running: Dispatcher) -> None:
        for each in running:
            assert self._nursery.wait(each) == 0, self._nursery.log

    def until_accepted(self, number: int) -> None:
        end = time.monotonic() + 30
        while self._service.accepted < number:
            assert time.monotonic() < end, f"{self._service.accepted} accepted; {self._nursery.log}"
            time.sleep(0.005)

    @property
    def accepted(self) -> list[tuple[int, int, datetime]]:
        """Mailing, client and time of what was accepted, in that order."""
        return [
            (*mailing_and_client(entry["id"]), datetime.fromisoformat(entry["time"]))
            for entry in read_ledger(self._ledger)
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


def test_the_soonest_end_goes_first_then_the_highest_priority(connection: Connection, desk: Desk) -> None:
    add_clients(connection, 30)
    later = add_mailing(connection, "3 hours", priority=9)
    low, high = (add_mailing(connection, "2 hours", priority=priority) for priority in (1, 5))
    connection.execute("UPDATE mailing SET ends_at = date_trunc('minute', ends_at)")
    soonest = add_mailing(connection, "1 hour")
    desk.finish(desk.dispatch("--concurrency", "1"))
    order = list(dict.fromkeys(mailing for mailing, _, _ in desk.accepted))
    assert order == [soonest, high, low, later]
    assert len(desk.accepted) == 120


def test_a_mailing_of_ten_that_is_over_in_a_minute_goes_out_at_once_beside_a_giant(
    connection: Connection, desk: Desk
) -> None:
    add_clients(connection, CLIENTS)
    add_clients(connection, 10, tag="few")
    giant = add_mailing(connection, "5 hours", priority=100)
    running = desk.dispatch()
    desk.until_accepted(200)
    urgent = add_mailing(connection, "1 minute", tag="few")
    before = len(desk.accepted)
    other = desk.dispatch()  # cron's next one: it plans what is new, and the first takes part in it
    desk.finish(running, other)
    places = [place for place, (mailing, _, _) in enumerate(desk.accepted) if mailing == urgent]
    assert len(places) == 10
    assert max(places) - before < CLIENTS / 4, "it waited for the giant"
    assert sum(mailing == giant for mailing, _, _ in desk.accepted) == CLIENTS
    desk.judge(connection).check()


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
    desk.finish(desk.dispatch(), desk.dispatch())
    found = desk.judge(connection)
    found.check()
    assert found.messages == {"sent": CLIENTS}


def test_cancelled_in_the_middle_of_a_run_it_is_over_within_a_second_and_others_go_on(
    connection: Connection, mailer: Mailer, desk: Desk
) -> None:
    add_clients(connection, 1_500)
    add_clients(connection, 100, tag="few")
    cancelled, other = add_mailing(connection, "1 hour"), add_mailing(connection, "5 hours", tag="few")
    running = desk.dispatch()
    desk.until_accepted(200)
    assert mailer("mailing", "cancel", str(cancelled), "--yes").code == 0
    since = committed_at(connection)
    desk.finish(running)
    desk.finish(desk.dispatch())
    late = [(at - since).total_seconds() for mailing, _, at in desk.accepted if mailing == cancelled]
    assert max(late) < GRACE + LATENCY
    assert sum(mailing == other for mailing, _, _ in desk.accepted) == 100
    found = desk.judge(connection)
    found.check()
    assert set(found.messages) == {"sent", "cancelled"}
    assert found.messages["cancelled"] > 500


def test_what_happens_to_a_client_before_their_turn_takes_effect(
    connection: Connection, mailer: Mailer, desk: Desk
) -> None:
    add_clients(connection, 12)
    mailing = add_mailing(connection, "5 hours")
    desk.finish(desk.dispatch("--rate", "5", "--max-seconds", "1"))  # some are sent to, the rest was claimed
    sent = {client for _, client, _ in desk.accepted}
    muted, removed, rephoned, far = sorted(set(range(1, 13)) - sent)[:4]
    assert mailer("client", "mute", str(muted)).code == 0
    assert mailer("client", "remove", str(removed), "--yes").code == 0
    assert mailer("client", "update", str(rephoned), "--phone", "79990000000").code == 0
    assert mailer("client", "update", str(far), "--timezone", "Asia/Tokyo").code == 0  # one instant for all
    desk.finish(desk.dispatch())
    desk.finish(desk.dispatch())  # a tick plans the zone that is new to the mailing; retries look again then
    connection.execute("UPDATE retry SET retry_at = now()")
    desk.finish(desk.dispatch())
    rows = connection.execute("SELECT client_id, status, phone FROM message ORDER BY 1").fetchall()
    by_client = {client: (status, phone) for client, status, phone in rows}
    assert by_client[muted][0] == by_client[removed][0] == "cancelled"
    assert by_client[rephoned] == ("sent", "79990000000")
    assert by_client[far][0] == "sent"
    assert sorted(client for _, client, _ in desk.accepted) == sorted(set(range(1, 13)) - {muted, removed})
    assert {m for m, _, _ in desk.accepted} == {mailing}
    desk.judge(connection).check()


def test_who_was_sent_to_gets_no_second_message_in_a_new_zone_or_on_a_new_phone(
    connection: Connection, mailer: Mailer, desk: Desk
) -> None:
    add_clients(connection, 3)
    connection.execute(
        "INSERT INTO mailing (text, starts_at, ends_at)"
        " VALUES ('Hello', now() - interval '1 hour', now() + interval '20 hours')"
    )
    desk.finish(desk.dispatch())
    assert len(desk.accepted) == 3
    assert mailer("client", "update", "1", "--timezone", "America/New_York").code == 0
    assert mailer("client", "update", "2", "--phone", "79990000000").code == 0
    old_phone = connection.execute("SELECT phone FROM message WHERE client_id = 2").fetchone()
    assert old_phone is not None
    assert mailer("client", "remove", "3", "--yes").code == 0
    for _ in range(2):
        desk.finish(desk.dispatch())
    assert len(desk.accepted) == 3
    assert connection.execute("SELECT status, count(*) FROM message GROUP BY 1").fetchall() == [("sent", 3)]
