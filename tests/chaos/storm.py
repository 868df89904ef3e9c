"""A storm: everything around ten dispatchers breaks at once, by a seeded random plan."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from chaos import oracle, points
from chaos.dispatchers import ORDERLY, Dispatcher, Nursery, environment
from chaos.proxy import Cut, Proxy
from mailer_cli import clients, database, decisions, holding, mailings
from mailer_cli.database import Connection, Dsn, embedded, schema
from mailer_cli.errors import MailerError
from mailer_cli.sandbox import Faults, SandboxThread
from mailer_cli.statuses import Status

ACTOR = "a storm"
ZONES = ("Europe/Moscow", "Asia/Omsk", "Asia/Vladivostok", "America/New_York")
LEASE = 8.0  # seconds, as short as the margins allow
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


@dataclass(frozen=True, slots=True)
class Plan:
    """How hard it blows, and for how long."""

    seed: int
    seconds: float
    dispatchers: int = 10
    clients: int = 3_000
    pause: tuple[float, float] = (0.0, 0.15)  # seconds between faults
    mailing_every: float = 3.0  # seconds
    crashes: int = 1  # of the database server
    deduplicates: bool = False


class Storm:
    """A database, a proxy before it, a service and dispatchers, while the `with` block lasts."""

    def __init__(self, plan: Plan, home: Path) -> None:
        self.plan = plan
        self.faults: Counter[str] = Counter()
        self.zones: dict[int, list[str]] = {}
        self._home = home
        self._chance = random.Random(plan.seed)
        self._ledger = home / "ledger.jsonl"
        self._running: list[Dispatcher] = []
        self._skewed: list[subprocess.Popen[bytes]] = []
        self._odd_ends: list[tuple[str, str | None, int]] = []
        self._mailings: list[int] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._server, address = stack.enter_context(own_server())
            self._dsn = Dsn(address)
            schema.upgrade(self._dsn)
            self._proxy = stack.enter_context(Proxy(self._dsn.address))
            faults = Faults(
                latency=0.01,
                error_rate=0.02,
                garbage_rate=0.005,
                hang_rate=0.002,
                reset_rate=0.005,
                seed=self.plan.seed,
            )
            self._service = stack.enter_context(
                SandboxThread(token="token", ledger=self._ledger, faults=faults, on_request=self._note_answer)
            )
            self._nursery = stack.enter_context(Nursery(self._home))
            stack.callback(self._end_skewed)
            self._stack = stack.pop_all()
        self._env = environment(
            self._home,
            self._proxy.address,
            self._service.url,
            MAILER_LEASE=str(LEASE),
            MESSAGE_SERVICE_DEDUPLICATES=str(self.plan.deduplicates).lower(),
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    # -- the course of it ---------------------------------------------------------------------------

    def blow(self) -> oracle.Findings:
        """Let it blow for as long as planned, then calm down, settle everything, and judge."""
        with database.connect(self._dsn) as connection:
            add_clients(connection, self.plan.clients)
        end = time.monotonic() + self.plan.seconds
        old = next_mailing = 0.0
        crashes = self._when_to_crash(end)
        with ExitStack() as snapshots:
            while (now := time.monotonic()) < end:
                if now >= next_mailing:
                    self._on_the_desk(self._create)
                    next_mailing = now + self.plan.mailing_every
                if now >= old:
                    snapshots.close()
                    snapshots.enter_context(old_snapshot(self._dsn))
                    self.faults["old snapshot held"] += 1
                    old = now + 120
                if crashes and now >= crashes[0]:
                    crashes.pop(0)
                    snapshots.close()
                    self._crash()
                    old = 0.0
                self._keep_running()
                self._one_fault()
                self._wake()
                time.sleep(self._chance.uniform(*self.plan.pause))
        self._calm()
        return self._settle()

    def _when_to_crash(self, end: float) -> list[float]:
        left = end - time.monotonic()
        return [end - left * (n + 0.5) / self.plan.crashes for n in reversed(range(self.plan.crashes))]

    def _keep_running(self) -> None:
        for ended in [each for each in self._running if each.code is not None]:
            self._running.remove(ended)
            self._note_end(ended)
        while len(self._running) < self.plan.dispatchers:
            point = None
            if self._chance.random() < 0.3:
                point = f"{self._chance.choice(points.NAMES)} *{self._chance.randint(1, 8)}"
            seconds = str(self._chance.randint(3, 20))
            self._running.append(
                self._nursery.start(self._env, "dispatch", "--max-seconds", seconds, point=point)
            )

    def _note_end(self, ended: Dispatcher) -> None:
        assert ended.code is not None
        if ended.code == -signal.SIGKILL and not ended.killed:
            assert ended.point is not None
            self.faults[f"killed {ended.point.partition(' *')[0]}"] += 1
        elif ended.code not in ORDERLY | {-signal.SIGKILL}:
            self._odd_ends.append(("dispatcher", ended.point, ended.code))

    def _note_answer(self, received: Any) -> None:
        if received.status != 200 or received.remark != "accepted":
            self.faults[f"service: {received.status or 'no answer'}, {received.remark}"] += 1

    # -- faults -------------------------------------------------------------------------------------

    def _one_fault(self) -> None:
        kinds: dict[Callable[[], None], float] = {
            self._kill: 8,
            self._put_to_sleep: 3,
            self._terminate_backends: 8,
            self._go_silent: 0.5,
            self._slow_down: 2,
            self._cut_connections: 3,
            self._cut_a_commit: 30,
            self._start_with_a_wrong_clock: 0.3,
            self._signal: 2,
            self._work_at_the_desk: 12,
        }
        [fault] = self._chance.choices(list(kinds), list(kinds.values()))
        fault()

    def _kill(self) -> None:
        victim = self._chance.choice(self._running)
        self._nursery.signal(victim, signal.SIGKILL)
        self.faults["kill -9"] += 1

    def _put_to_sleep(self) -> None:
        awake = [each for each in self._running if not each.asleep]
        if len(awake) < self.plan.dispatchers // 2:
            return
        victim = self._chance.choice(awake)
        self._nursery.signal(victim, signal.SIGSTOP)
        victim.asleep_until = time.monotonic() + self._chance.choice([0.5, LEASE + 1.5, LEASE + 4])
        self.faults["SIGSTOP"] += 1

    def _wake(self) -> None:
        for each in self._running:
            if each.asleep and time.monotonic() >= each.asleep_until:
                each.asleep_until = 0.0
                self._nursery.signal(each, signal.SIGCONT)

    def _terminate_backends(self) -> None:
        share = self._chance.choice([0.1, 0.1, 1.0])
        with (
            suppress(psycopg.OperationalError),
            psycopg.connect(self._dsn.address, autocommit=True) as server,
        ):
            ended = server.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'mailer' AND pid <> pg_backend_pid() AND random() < %s",
                [share],
            ).rowcount
            self.faults["backend terminated"] += ended

    def _go_silent(self) -> None:
        self._proxy.silence(self._chance.choice([0.5, 2.0, LEASE + 1]))
        self.faults["database silent"] += 1

    def _slow_down(self) -> None:
        self._proxy.delay = self._chance.choice([0.0, 0.0, 0.005, 0.05])
        self.faults["database slow"] += self._proxy.delay > 0

    def _cut_connections(self) -> None:
        self.faults["connection cut"] += self._proxy.cut_all()

    def _cut_a_commit(self) -> None:
        self._proxy.cut_next(self._chance.choice(list(Cut)))

    def _signal(self) -> None:
        victim = self._chance.choice(self._running)
        self._nursery.signal(victim, self._chance.choice([signal.SIGTERM, signal.SIGINT]))
        self.faults["SIGTERM or SIGINT"] += 1

    def _start_with_a_wrong_clock(self) -> None:
        self._bury_skewed()
        if not FAKETIME.exists() or len(self._skewed) >= 2:
            return
        faked = {"LD_PRELOAD": str(FAKETIME), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
        offset = self._chance.choice(["+10m", "-10m"])
        self._skewed.append(
            subprocess.Popen(
                [sys.executable, "-m", "mailer_cli", "dispatch", "--max-seconds", "10"],
                env=self._env | faked | {"FAKETIME": offset},
                cwd=self._home,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        self.faults["host clock 10 minutes off"] += 1

    def _bury_skewed(self) -> None:
        for ended in [each for each in self._skewed if each.poll() is not None]:
            self._skewed.remove(ended)
            if ended.returncode not in ORDERLY:
                self._odd_ends.append(("wrong clock", None, ended.returncode))

    def _end_skewed(self) -> None:
        for each in self._skewed:
            each.kill()
            each.wait()

    def _crash(self) -> None:
        """`pg_ctl -m immediate`, and start again."""
        pid = embedded.status(self._server).pid
        assert pid is not None
        os.kill(pid, signal.SIGQUIT)
        while embedded.status(self._server).running:
            time.sleep(0.02)
        embedded.ensure(self._server)
        self.faults["database server crashed"] += 1

    # -- what people do meanwhile -------------------------------------------------------------------

    def _on_the_desk(self, work: Callable[[], None]) -> None:
        with suppress(MailerError, psycopg.OperationalError):
            work()

    def _work_at_the_desk(self) -> None:
        work = self._chance.choice(
            [self._change_a_client] * 6 + [self._control_a_mailing] * 3 + [self._hold, self._put_back]
        )
        self._on_the_desk(work)

    def _create(self) -> None:
        """A mailing that ends soon, everywhere or in one zone, to all or to some."""
        now = datetime.now(UTC)
        zone = self._chance.choice(["UTC", "UTC", None])
        wall = now.replace(tzinfo=None)
        if zone is None:  # about to be over in this zone; over, or not open yet, in the others
            offset = now.astimezone(_zone(self._chance.choice(ZONES))).utcoffset()
            assert offset is not None
            wall += offset
        plan = mailings.Plan(
            "Hello",
            wall - timedelta(seconds=self._chance.choice([0, 5, 3600])),
            wall + timedelta(seconds=self._chance.choice([6, 8, 12, 20])),
            zone=zone,
            tags=self._chance.choice([(), (), ("vip",)]),
            priority=self._chance.randint(0, 3),
        )
        with database.session(self._dsn) as (session, connection):
            made = mailings.create(session, connection, ACTOR, plan)
            assert made.id is not None
            self._mailings.append(made.id)

    def _change_a_client(self) -> None:
        number = self._chance.randint(1, self.plan.clients)
        what = self._chance.choice(["mute", "unmute", "move", "phone", "remove"])
        zone = self._chance.choice(ZONES)
        with database.session(self._dsn) as (session, connection):
            client = clients.find(session, str(number))
            before = client.timezone
            if what == "mute":
                clients.mute(session, connection, ACTOR, client, None)
            elif what == "unmute":
                clients.unmute(session, connection, ACTOR, client)
            elif what == "move":
                clients.update(session, connection, ACTOR, client, {"timezone": zone})
            elif what == "phone":
                phone = f"7999{self._chance.randrange(10**7):07d}"
                clients.update(session, connection, ACTOR, client, {"phone": phone})
            elif self._chance.random() < 0.1:
                clients.remove(session, connection, ACTOR, client)
        if what == "move":
            self.zones.setdefault(number, [before]).append(zone)
        self.faults["desk: client changed"] += 1

    def _control_a_mailing(self) -> None:
        mailing_id = self._chance.choice(self._mailings[-4:])
        action = self._chance.choice(["pause", "resume", "resume", "cancel", "refresh", "edit"])
        if action == "cancel" and self._chance.random() < 0.7:
            return
        with database.session(self._dsn) as (session, connection):
            mailing = mailings.find(session, mailing_id)
            if action == "refresh":
                mailings.refresh(connection, ACTOR, mailing)
            elif action == "edit":
                text = self._chance.choice(["Hello", "Good day"])
                mailings.update(session, connection, ACTOR, mailing, {"text": text})
            else:
                getattr(mailings, action)(session, connection, ACTOR, mailing)
        self.faults["desk: mailing paused, resumed, cancelled, edited"] += 1

    def _hold(self) -> None:
        with database.connect(self._dsn) as connection:
            holding.hold(connection, ACTOR, "a test")
            time.sleep(self._chance.uniform(0, 0.5))
            holding.release(connection, ACTOR)
        self.faults["desk: held and released"] += 1

    def _put_back(self) -> None:
        with database.connect(self._dsn) as connection:
            decisions.retry(connection, ACTOR, self._chance.choice(self._mailings), [Status.FAILED])
        self.faults["desk: failed ones tried again"] += 1

    # -- afterwards ---------------------------------------------------------------------------------

    def _calm(self) -> None:
        self._proxy.behave()
        for each in self._running:
            self._nursery.signal(each, signal.SIGCONT)
            self._nursery.signal(each, signal.SIGTERM)
        for each in self._running:
            self._nursery.wait(each)
            self._note_end(each)
        self.faults += Counter(where.value for where in self._proxy.made)

    def _settle(self) -> oracle.Findings:
        """Wait for windows to close, cancel what opens later, let dispatchers finish."""
        with database.connect(self._dsn) as connection:
            holding.release(connection, ACTOR)
            connection.execute(
                "UPDATE service SET broken_at = NULL, blocked_until = NULL, probe_after = NULL"
            )
            for mailing_id in self._mailings:
                with suppress(MailerError), database.session(self._dsn) as (session, other):
                    mailing = mailings.find(session, mailing_id)
                    mailings.resume(session, other, ACTOR, mailing)
            self._until_nothing_is_open(connection)
            for mailing_id in self._mailings:
                with suppress(MailerError), database.session(self._dsn) as (session, other):
                    mailings.cancel(session, other, ACTOR, mailings.find(session, mailing_id))
            self._until_all_is_settled(connection)
            self._end_skewed()
            assert self._odd_ends == [], (self._odd_ends, self._nursery.complaints())
            return oracle.judge(
                connection, self._ledger, zones=self.zones, deduplicates=self.plan.deduplicates
            )

    def _until_nothing_is_open(self, connection: Connection) -> None:
        still_open = (
            "SELECT count(*) FROM mailing_window w JOIN mailing m ON m.id = w.mailing_id"
            " WHERE m.state <> 'cancelled' AND w.opens_at <= now() AND w.closes_at > now()"
        )
        for _ in range(30):
            assert self._nursery.wait(self._nursery.start(self._env, "dispatch", "--max-seconds", "5")) == 0
            row = connection.execute(still_open).fetchone()
            if row is not None and not row[0]:
                return
            time.sleep(1)
        raise AssertionError("windows do not close")

    def _until_all_is_settled(self, connection: Connection) -> None:
        for _ in range(10):
            connection.execute("UPDATE claim SET lease_until = now()")
            connection.execute("UPDATE retry SET retry_at = now()")
            assert self._nursery.wait(self._nursery.start(self._env, "dispatch")) == 0, self._nursery.log
            if not oracle.still_due(connection):
                return
        raise AssertionError(f"{oracle.still_due(connection)} are still due")


@contextmanager
def own_server() -> Iterator[tuple[Path, str]]:
    """A durable PostgreSQL of the test's own, which may crash: its directory and its address."""
    place = Path(tempfile.mkdtemp(prefix="mailer-chaos-"))  # pytest's own are closed to others than root
    place.chmod(0o711)
    try:
        yield place, embedded.ensure(place)
    finally:
        embedded.stop(place)
        shutil.rmtree(place)


@contextmanager
def old_snapshot(dsn: Dsn) -> Iterator[None]:
    """Somebody's transaction that is forgotten: nothing can be vacuumed meanwhile."""
    connection = psycopg.connect(dsn.address, application_name="a forgotten report")
    try:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT count(*) FROM message")
        yield
    finally:
        with suppress(psycopg.Error):
            connection.close()


def add_clients(connection: Connection, number: int) -> None:
    """So many clients in all zones, one in three a vip."""
    connection.execute(
        "INSERT INTO client (phone, operator_code, tag, timezone)"
        " SELECT '7916' || lpad(i::text, 7, '0'), '916', (ARRAY['vip', NULL, NULL])[1 + i %% 3],"
        " (%s::text[])[1 + i %% 4] FROM generate_series(1, %s::int) i",
        [list(ZONES), number],
    )
    connection.execute("ANALYZE")


def _zone(name: str) -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)
