"""Debian's cron, an ordinary user, the crontab as shipped, PostgreSQL over TCP with a password, on two hosts.

For nine minutes, for cron knows nothing shorter than one: a mailing that is due in the next minute, a
database that is away, a service that fails, a token that is rejected; and every mail that an operator gets.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chaos.cron_world import PASSWORD, PROGRAM, ROOT, Host, Server, a_place, a_user, install, missing
from mailer_cli.sandbox import read_ledger

CLIENTS = 1500
TOKEN, NEXT_TOKEN = "a-token-that-must-never-show", "the-next-token-that-must-never-show"
SETTINGS = """\
DB_HOST={address}
POSTGRES_USER=mailer
POSTGRES_PASSWORD={password}
MESSAGE_SERVICE_URL=http://{address}:8025/send/
JWT_TOKEN={token}
MAILER_CONCURRENCY=10
MAILER_MAX_ATTEMPTS=20
MAILER_RETRY_BASE=5
MAILER_REMIND=600
MAILER_LOG={log}
"""

pytestmark = [pytest.mark.chaos]


@dataclass
class World:
    """Two hosts and what they share."""

    server: Server
    hosts: tuple[Host, Host]
    addresses: tuple[str, str]

    def configure(self, token: str) -> None:
        logs = ("syslog", f"/home/{self.hosts[1].user}/mailer.log")
        for host, address, log in zip(self.hosts, self.addresses, logs, strict=True):
            host.configure(SETTINGS.format(address=address, password=PASSWORD, token=token, log=log))

    def mailer(self, *words: str) -> str:
        return self.hosts[0].type(PROGRAM, *words)

    def create(self, text: str, start: datetime) -> None:
        end = start + timedelta(hours=2)
        self.mailer(
            "mailing", "create", text, f"--start '{start:%Y-%m-%d %H:%M}' --end '{end:%Y-%m-%d %H:%M}'"
        )

    def report(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.mailer("report", "-o", "json"))
        return sorted(rows, key=lambda row: row["mailing"])

    def mails(self) -> list[int]:
        return [len(host.mails) for host in self.hosts]


@pytest.fixture
def world() -> Iterator[World]:
    if reason := missing():
        pytest.skip(reason)
    with ExitStack() as stack:
        place = stack.enter_context(a_place())
        user = stack.enter_context(a_user())
        (place / "opt").mkdir()
        server = stack.enter_context(Server(place))
        one = stack.enter_context(Host("host-a", user, place / "a"))
        two = stack.enter_context(Host("host-b", user, place / "b"))
        install(one)
        yield World(server, (one, two), (server.wire(one, 1), server.wire(two, 2)))
        for host in (one, two):
            show(f"mails of {host.name}", host.mails)
            show(f"syslog of {host.name}", host.syslog)


def now() -> datetime:
    return datetime.now(UTC)


def wait_until(instant: datetime) -> None:
    time.sleep(max(0.0, (instant - now()).total_seconds()))


def the_clients(home: Path) -> None:
    lines = ["phone,timezone", *(f"7916{number:07d},UTC" for number in range(CLIENTS))]
    (home / "clients.csv").write_text("\n".join(lines) + "\n")
    (home / "clients.csv").chmod(0o644)


def show(title: str, texts: list[str]) -> None:
    print(f"=== {title}")  # noqa: T201 - a rehearsal is read, too: pytest -s
    for text in texts:
        print(text)  # noqa: T201


def test_a_day_of_cron_in_nine_minutes(world: World) -> None:
    one, two = world.hosts
    world.configure(TOKEN)
    world.mailer("db", "upgrade")
    world.server.start_service("--latency", "50ms", token=TOKEN)
    the_clients(one.home)
    world.mailer("client", "import", "clients.csv")
    # As shipped on one host, as installed on the other: the same.
    one.type("crontab", "/opt/mailer/crontab.example")
    two.type(PROGRAM, "cron", "install")
    assert one.type("crontab", "-l") == two.type("crontab", "-l") == (ROOT / "crontab.example").read_text()
    due = (now() + timedelta(seconds=20)).replace(second=0, microsecond=0) + timedelta(minutes=1)

    def wait(minute: int, second: int) -> None:
        wait_until(due + timedelta(minutes=minute, seconds=second))

    world.create("All_is_well", due)
    one.start_cron()
    two.start_cron()

    # -- all is well: everybody gets it within the minute, from both hosts, and nobody is mailed
    wait(0, 40)
    check_arrival(world, due)
    check_shares(world)
    assert world.mails() == [0, 0]

    # -- the database is away for two ticks: one mail from each host
    world.server.stop_postgres()
    wait(1, 30)
    assert world.mails() == [1, 1]
    wait(2, 30)
    assert world.mails() == [1, 1]
    world.server.start_postgres()

    # -- the service fails for a tick and a half: its beginning, and the end of what was before
    world.server.start_service("--status", "500", token=TOKEN)
    world.create("The_service_fails", due)
    wait(4, 20)
    show("while the service fails", [world.mailer("report", "2>&1")])
    world.server.start_service("--latency", "50ms", token=TOKEN)
    wait(5, 56)
    show("after it came back", [world.mailer("report", "2>&1")])

    # -- the service wants another token
    world.server.start_service("--latency", "50ms", token=NEXT_TOKEN)
    world.create("Another_token", due)
    wait(6, 30)
    world.configure(NEXT_TOKEN)
    wait(7, 40)

    show("log of host-b", [(two.home / "mailer.log").read_text()])
    assert [row["sent"] for row in world.report()] == [CLIENTS] * 3
    seen = [entry["id"] for entry in read_ledger(world.server.ledger)]
    assert (len(seen), len(set(seen))) == (3 * CLIENTS, 3 * CLIENTS)
    check_mails(world)
    check_logs(world)


def check_arrival(world: World, due: datetime) -> None:
    """Everybody got it once, within the minute."""
    [first] = world.report()
    assert first["sent"] == CLIENTS
    listed = world.mailer("message", "list", "--mailing", "1", "-o", "jsonl").splitlines()
    times = [datetime.fromisoformat(json.loads(line)["sent_at"]) for line in listed]
    show("first and last message", [str(min(times)), str(max(times))])
    assert len(times) == CLIENTS
    assert due <= min(times) <= max(times) < due + timedelta(minutes=1)


TROUBLES = ("the database cannot be reached", "the message service", "the message service rejected the token")


def check_mails(world: World) -> None:
    """Each trouble is told once and its end once, with the host, since when, and what to do."""
    for host in world.hosts:
        assert len(host.mails) <= 2 * len(TROUBLES)
        for mail in host.mails:
            head, _, body = mail.partition("\n\n")
            assert f"Subject: Cron <{host.user}@{host.name}> {PROGRAM} dispatch" in head
            for said in body.strip().split("\n\n"):
                assert said.startswith("mailer: ")
                assert f"on {host.name}, " in said
                assert re.search(r"since \d{4}-\d\d-\d\d \d\d:\d\dZ", said)
                assert max(map(len, said.splitlines())) < 200
    told = "\n".join(mail for host in world.hosts for mail in host.mails)
    for trouble in TROUBLES:
        assert f"mailer: {trouble}" in told
        assert f"mailer: over: {trouble}" in told
    assert_no_secrets(told)


def check_logs(world: World) -> None:
    one, two = world.hosts
    mine = "\n".join(line for line in one.syslog if " mailer[" in line)
    file = (two.home / "mailer.log").read_text()
    for text in (mine, file):
        assert re.search(r"mailer\[\d+\]: run \d+: \d+ sent; done", text)
        assert text.count("the database cannot be reached") == 2  # ticks
        assert "rejected the token" in text
        assert_no_secrets(text)
    assert all(re.match(r"\S+Z host-b mailer\[\d+\]: ", line) for line in file.splitlines())


def check_shares(world: World) -> None:
    """Both hosts sent."""
    told = world.mailer("log", "--kind", "run", "-o", "jsonl")
    show("runs", [told])
    for host in world.hosts:
        assert host.name in told


def assert_no_secrets(text: str) -> None:
    for secret in (TOKEN, NEXT_TOKEN, PASSWORD):
        assert secret not in text
    assert not re.search(r"7916\d{7}", text)
