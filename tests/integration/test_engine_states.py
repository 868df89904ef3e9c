"""Whatever operators do, and wherever a dispatcher dies: the books agree with what the service accepted.

Hypothesis plays operators, dispatchers, the service and the clock against the engine on a real database.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Any, Self, TypeVar, cast

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from typing_extensions import override

import factories
from mailer_cli import clients, database, decisions, holding, mailings, reports
from mailer_cli.database import Connection, Dsn
from mailer_cli.dispatch import Options, dispatch, link
from mailer_cli.dispatch.link import Link
from mailer_cli.errors import MailerError
from mailer_cli.ids import mailing_and_client, message_id
from mailer_cli.service import (
    Accepted,
    InDoubt,
    Later,
    MessageService,
    NotSent,
    Outcome,
    Refused,
    TokenRejected,
)
from mailer_cli.statuses import Status

ZONES = ("UTC", "Asia/Kolkata", "Asia/Vladivostok", "America/Los_Angeles")
TAGS = (None, "vip", "staff")
CODES = ("916", "903")
STATUSES = tuple(status.value for status in Status)
OPTIONS = Options(concurrency=3, max_seconds=5, http_timeout=0.5, lease=1, max_attempts=3, retry_base=20)
ACTOR = "a test"

# Start and end of a mailing, in hours from now on a clock at UTC; each client's own clock reads them.
TIMES = (
    (-1.0, 30.0),  # open, but in zones behind
    (-30.0, 30.0),  # open everywhere
    (-30.0, 0.0005),  # about to be over at UTC
    (-30.0, 0.002),  # nearly so
    (3.0, 40.0),  # not open yet, but in zones ahead
    (20.0, 40.0),  # open nowhere yet
    (-40.0, -20.0),  # over everywhere
    (-10.0, -2.0),  # over, but in zones behind
)

ANSWERS: dict[str, tuple[Outcome, bool]] = {  # what the service says, and whether it took the message
    "accepted": (Accepted(200), True),
    "lost answer": (InDoubt(None, "the connection was lost"), True),
    "lost request": (InDoubt(None, "the connection was lost"), False),
    "refused": (Refused(400, "no such phone"), False),
    "later": (Later(500, "an error"), False),
    "busy": (Later(429, "busy", retry_after=60.0, whole_service=True), False),
    "bad token": (TokenRejected(401, "bad token"), False),
}
answers = st.lists(st.sampled_from([*["accepted"] * 5, *ANSWERS]), max_size=8)
picks = st.integers(0, 20)

T = TypeVar("T")


@dataclass
class Ledger:
    """What the service knows to be true."""

    accepted: Counter[int] = field(default_factory=Counter)
    misplaced: list[str] = field(default_factory=list)  # messages that should not have been sent, and why


class Service:
    """Stands in for the message service: answers by the script, then accepts all the rest."""

    def __init__(
        self,
        ledger: Ledger,
        script: list[str],
        watch: Callable[[int], str | None] | None = None,
        during: Callable[[], None] | None = None,
        at: int = 0,
    ) -> None:
        self._ledger = ledger
        self._script = chain(script, repeat("accepted"))
        self._watch = watch
        self._during = during
        self._left = at

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def send(self, number: int, phone: str, text: str, still: Callable[[], bool]) -> Outcome:
        assert phone
        assert text
        if self._watch is not None and (wrong := self._watch(number)):
            self._ledger.misplaced.append(wrong)
        if self._during is not None:
            self._left -= 1
            if self._left < 0:
                during, self._during = self._during, None
                await asyncio.to_thread(during)
        if not still():
            return NotSent()
        outcome, accepted = ANSWERS[next(self._script)]
        if accepted:
            self._ledger.accepted[number] += 1
        return outcome


class KilledError(psycopg.OperationalError):
    """The dispatcher is no more: none of its jobs on the database is done any longer."""


@contextmanager
def jobs(around: Callable[[int, Callable[[Connection], Any]], Callable[[Connection], Any]]) -> Iterator[None]:
    """Put something around each of the engine's jobs on the database; they are numbered from 0."""
    run, numbers, lock = Link.run, iter(range(10**9)), threading.Lock()

    def wrapped(self: Link, job: Callable[[Connection], T], *, give_up: float) -> T:
        with lock:
            number = next(numbers)
        done: T = run(self, around(number, job), give_up=give_up)
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Link, "run", wrapped)
        patch.setattr(link, "PAUSE", 0.0)
        yield


@contextmanager
def killed(at: int, *, committed: bool) -> Iterator[None]:
    """Kill the dispatcher as it is about to do its job of that number, or has just committed it."""
    dead = threading.Event()
    run = Link.run
    numbers, lock = iter(range(10**9)), threading.Lock()

    def mortal(self: Link, job: Callable[[Connection], T], *, give_up: float) -> T:
        with lock:
            number = next(numbers)
        if dead.is_set() or (number == at and not committed):
            dead.set()
            raise KilledError("killed")
        done = run(self, job, give_up=give_up)
        if number == at:
            dead.set()
            raise KilledError("killed")
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Link, "run", mortal)
        yield


def reply_lost(at: int) -> Callable[[int, Callable[[Connection], T]], Callable[[Connection], T]]:
    """Do the job of that number, and lose the database's reply to its last COMMIT."""
    lost = threading.Event()

    def around(number: int, job: Callable[[Connection], T]) -> Callable[[Connection], T]:
        def once(connection: Connection) -> T:
            done = job(connection)
            if number == at and not lost.is_set():
                lost.set()
                raise psycopg.OperationalError("the reply was lost")
            return done

        return once

    return around


class Engine(RuleBasedStateMachine):
    """Operators, dispatchers, the service and the clock, in any order."""

    def __init__(self, dsn: Dsn) -> None:
        super().__init__()
        self.dsn = dsn
        self.connection = database.connect(dsn)
        self.ledger = Ledger()
        self.decided: Counter[int] = Counter()  # how often the operator decided about a message in doubt
        self.options = OPTIONS
        self.mailing_ids: list[int] = []
        self.client_ids: list[int] = []
        for table in (
            *("message", "retry", "claim", "counter", "attempt", "event", "run"),
            *("mailing_window", "mailing", "client", "service"),
        ):
            self.connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
        self.connection.execute("INSERT INTO service (id) VALUES (1)")

    @override
    def teardown(self) -> None:
        try:
            self.settle()
        finally:
            self.connection.close()

    # -- what operators do --------------------------------------------------------------------------

    @initialize(deduplicates=st.sampled_from([False, False, True]), number=st.integers(1, 6))
    def begin(self, deduplicates: bool, number: int) -> None:
        self.options = Options(
            **{name: getattr(OPTIONS, name) for name in OPTIONS.__slots__} | {"deduplicates": deduplicates}
        )
        for zone in ZONES[:3]:
            self.add_clients(number, zone, None, CODES[0])
        self.add_mailing(TIMES[0], [], [], None, 0, draft=False)

    @rule(
        number=st.integers(1, 5),
        zone=st.sampled_from(ZONES),
        tag=st.sampled_from(TAGS),
        code=st.sampled_from(CODES),
    )
    def add_clients(self, number: int, zone: str, tag: str | None, code: str) -> None:
        self.client_ids += factories.clients(
            self.connection, number, timezone=zone, tag=tag, operator_code=code
        )

    @rule(
        times=st.sampled_from(TIMES),
        tags=st.sampled_from([[], [], ["vip"]]),
        codes=st.sampled_from([[], [], ["916"]]),
        zone=st.sampled_from([None, None, "UTC"]),
        priority=st.integers(0, 2),
        draft=st.sampled_from([False, False, False, True]),
    )
    def add_mailing(
        self,
        times: tuple[float, float],
        tags: list[str],
        codes: list[str],
        zone: str | None,
        priority: int,
        draft: bool,
    ) -> None:
        start, end = map(wall, times)
        plan = mailings.Plan(
            "Hello", start, end, zone=zone, operator_codes=codes, tags=tags, priority=priority
        )
        with database.session(self.dsn) as (session, connection):
            made = mailings.create(session, connection, ACTOR, plan, draft=draft)
        assert made.id is not None
        self.mailing_ids.append(made.id)

    @rule(
        who=picks,
        zone=st.sampled_from(ZONES),
        tag=st.sampled_from(TAGS),
        what=st.sampled_from(["zone", "tag"]),
    )
    def change_client(self, who: int, zone: str, tag: str | None, what: str) -> None:
        changes = {"timezone": zone} if what == "zone" else {"tag": tag}
        self._with_client(who, lambda s, db, client: clients.update(s, db, ACTOR, client, changes))

    @rule(who=picks, phone=st.integers(0, 9_999_999))
    def change_phone(self, who: int, phone: int) -> None:
        changes = {"phone": f"7955{phone:07d}"}
        self._with_client(who, lambda s, db, client: clients.update(s, db, ACTOR, client, changes))

    @rule(who=picks, action=st.sampled_from(["mute", "unmute", "remove", "restore"]))
    def silence_client(self, who: int, action: str) -> None:
        def act(session: Any, connection: Connection, client: Any) -> None:
            if action == "mute":
                clients.mute(session, connection, ACTOR, client, None)
            elif action == "unmute":
                clients.unmute(session, connection, ACTOR, client)
            elif action == "remove":
                clients.remove(session, connection, ACTOR, client)
            else:
                zone, phone = client.timezone, client.phone
                clients.add(session, connection, ACTOR, phone=phone, timezone=zone, tag=client.tag)

        self._with_client(who, act)

    @rule(which=picks, action=st.sampled_from(["pause", "resume", "resume", "cancel", "refresh", "refresh"]))
    def control_mailing(self, which: int, action: str) -> None:
        if action == "refresh":
            self._with_mailing(which, lambda _, db, mailing: mailings.refresh(db, ACTOR, mailing))
        else:
            act = getattr(mailings, action)
            self._with_mailing(which, lambda s, db, mailing: act(s, db, ACTOR, mailing))

    @rule(
        which=picks,
        changes=st.sampled_from(
            [
                {"text": "Hello again"},
                {"text": "Hello"},
                {"tags": ("vip",)},
                {"tags": ()},
                {"operator_codes": ("903",)},
                {"operator_codes": ()},
                {"priority": 5},
            ]
        ),
    )
    def edit_mailing(self, which: int, changes: dict[str, Any]) -> None:
        self._with_mailing(which, lambda s, db, mailing: mailings.update(s, db, ACTOR, mailing, changes))

    @rule(which=picks, end=st.sampled_from([-25.0, -0.5, 0.0005, 0.002, 2.0, 50.0]))
    def edit_end(self, which: int, end: float) -> None:
        changes = {"ends_at": wall(end)}
        self._with_mailing(which, lambda s, db, mailing: mailings.update(s, db, ACTOR, mailing, changes))

    @rule(held=st.booleans())
    def hold_or_release(self, held: bool) -> None:
        if held:
            holding.hold(self.connection, ACTOR, "a test")
        else:
            holding.release(self.connection, ACTOR)

    @rule(
        which=picks,
        statuses=st.sampled_from([[Status.FAILED], [Status.UNKNOWN], [*(Status.FAILED, Status.UNKNOWN)]]),
    )
    def put_back(self, which: int, statuses: list[Status]) -> None:
        mailing_id = self.mailing_ids[which % len(self.mailing_ids)]
        doubtful = self.in_status("unknown")
        decisions.retry(self.connection, ACTOR, mailing_id, statuses)
        for number in doubtful - self.in_status("unknown"):
            self.decided[number] += 1

    @rule(which=picks, status=st.sampled_from([Status.SENT, Status.FAILED]))
    def resolve(self, which: int, status: Status) -> None:
        if doubtful := sorted(self.in_status("unknown")):
            number = doubtful[which % len(doubtful)]
            decisions.resolve(self.connection, ACTOR, number, status)
            self.decided[number] += 1

    # -- what dispatchers do ------------------------------------------------------------------------

    @rule(script=answers)
    def tick(self, script: list[str]) -> None:
        began = datetime.now(UTC)
        self.dispatch(Service(self.ledger, script, watch=self.why_not))
        self.check_settled(began)

    @rule(script=answers, at=st.integers(0, 12), committed=st.booleans())
    def tick_killed(self, script: list[str], at: int, committed: bool) -> None:
        with killed(at, committed=committed):
            self.dispatch(Service(self.ledger, script, watch=self.why_not))

    @rule(script=answers, at=st.integers(0, 12))
    def tick_with_a_lost_reply(self, script: list[str], at: int) -> None:
        with jobs(reply_lost(at)):
            self.dispatch(Service(self.ledger, script, watch=self.why_not))

    @rule(script=answers, at=st.integers(0, 6), which=picks, data=st.data())
    def tick_with_something_in_the_middle(
        self, script: list[str], at: int, which: int, data: st.DataObject
    ) -> None:
        things: dict[str, Callable[[], None]] = {
            "leases lapse": self.lapse,
            "another dispatcher": lambda: self.dispatch(Service(self.ledger, [])),
            "put to sleep": self.sleep_while_another_works,
            "pause": lambda: self.control_mailing(which, "pause"),
            "cancel": lambda: self.control_mailing(which, "cancel"),
            "refresh": lambda: self.control_mailing(which, "refresh"),
            "edit": lambda: self.edit_mailing(which, {"text": "Other"}),
            "filter": lambda: self.edit_mailing(which, {"tags": ("staff",)}),
            "over": lambda: self.edit_end(which, -25.0),
            "hold": lambda: self.hold_or_release(held=True),
            "mute": lambda: self.silence_client(which, "mute"),
            "move": lambda: self.change_client(which, ZONES[which % len(ZONES)], None, "zone"),
        }
        thing = data.draw(st.sampled_from(sorted(things)))
        self.dispatch(Service(self.ledger, script, during=things[thing], at=at))

    def sleep_while_another_works(self) -> None:
        self.lapse()
        self.dispatch(Service(self.ledger, []))

    # -- what time does -----------------------------------------------------------------------------

    @rule()
    def lapse(self) -> None:
        self.connection.execute("UPDATE claim SET lease_until = now()")

    @rule()
    def retries_come_due(self) -> None:
        self.connection.execute("UPDATE retry SET retry_at = now()")

    @rule()
    def the_service_has_had_its_time(self) -> None:
        self.connection.execute(
            "UPDATE service SET blocked_until = NULL, probe_after = NULL, probe_until = NULL,"
            " tally_since = NULL"
        )

    @rule(hours=st.sampled_from([1, 6, 6, 30]))
    def time_passes(self, hours: int) -> None:
        """Everything that has happened is longer ago, and what is to come is nearer."""
        shifted = {
            "client": ("muted_at", "removed_at", "created_at"),
            "mailing": ("starts_at", "ends_at", "created_at", "activated_at", "finished_at"),
            "mailing_window": ("opens_at", "closes_at", "sendable_from", "sendable_until", "frozen_at"),
            "message": ("created_at", "sent_at"),
            "retry": ("retry_at",),
            "claim": ("lease_until", "not_after"),
            "attempt": ("attempted_at",),
            "service": ("blocked_until", "broken_at", "probe_after", "probe_until", "tally_since"),
        }
        with self.connection.transaction():
            for table, columns in shifted.items():
                changes = ", ".join(f"{c} = {c} - make_interval(hours => {hours})" for c in columns)
                self.connection.execute(f"UPDATE {table} SET {changes}")  # noqa: S608 - our own names

    # -- what must be true after each of them -------------------------------------------------------

    @invariant()
    def nobody_was_sent_to_twice_but_by_the_operators_decision(self) -> None:
        if not self.options.deduplicates:
            twice = {n: t for n, t in self.ledger.accepted.items() if t > 1 + self.decided[n]}
            assert not twice, f"accepted more than once: {shown(twice)}"

    @invariant()
    def nothing_was_sent_that_should_not_be(self) -> None:
        assert self.ledger.misplaced == []

    @invariant()
    def what_was_accepted_is_sent_or_in_doubt(self) -> None:
        statuses = self.statuses()
        fine = {"sent", "unknown", "sending"} | ({"retrying"} if self.options.deduplicates else set())
        wrong = {
            n: statuses.get(n)
            for n in self.ledger.accepted
            if statuses.get(n) not in fine and not self.decided[n] and not self._deduplicated(statuses.get(n))
        }
        assert not wrong, f"accepted, but recorded as: {shown(wrong)}"
        invented = {
            n
            for n, status in statuses.items()
            if status == "sent" and not self.ledger.accepted[n] and not self.decided[n]
        }
        assert not invented, f"sent, but never accepted: {shown(invented)}"

    def _deduplicated(self, status: str | None) -> bool:
        # Tried again under the same id until its window closed, its client was muted, or tries ran out.
        return self.options.deduplicates and status in {"expired", "cancelled", "failed"}

    @invariant()
    def counters_are_the_numbers_of_messages(self) -> None:
        columns = ", ".join(f"sum({status})::int" for status in STATUSES)
        counted = {
            (row[0], status): number
            for row in self.rows(f"SELECT mailing_id, {columns} FROM counter GROUP BY 1")  # noqa: S608 - our own names
            for status, number in zip(STATUSES, row[1:], strict=True)
            if number
        }
        found = {
            (mailing, status): number
            for mailing, status, number in self.rows(
                "SELECT mailing_id, status, count(*)::int FROM message GROUP BY 1, 2"
            )
        }
        assert counted == found

    @invariant()
    def waiting_and_all_statuses_are_the_audience(self) -> None:
        for total in self.totals():
            assert total.waiting >= 0
            assert total.waiting + sum(total.by_status().values()) == total.audience, total
        assert self.rows("SELECT * FROM mailing_window WHERE audience < claimed") == []

    @invariant()
    def what_is_being_sent_is_held_by_a_claim(self) -> None:
        assert (
            self.rows(
                "SELECT m.mailing_id, m.client_id FROM message m WHERE status = 'sending' AND NOT EXISTS ("
                " SELECT FROM claim c WHERE c.shard = m.shard AND c.mailing_id = m.mailing_id"
                " AND m.client_id = ANY (c.client_ids))"
            )
            == []
        )

    @invariant()
    def what_is_to_be_tried_again_and_nothing_else_is_queued(self) -> None:
        assert (
            self.rows(
                "SELECT m.mailing_id, m.client_id, m.status, r.retry_at FROM message m"
                " FULL JOIN retry r USING (shard, mailing_id, client_id)"
                " WHERE (m.status = 'retrying') IS DISTINCT FROM (r.retry_at IS NOT NULL)"
            )
            == []
        )

    @invariant()
    def a_mailing_that_is_over_has_nothing_left(self) -> None:
        for total in self.totals():
            if total.finished_at is not None:
                assert (total.waiting, total.sending, total.retrying) == (0, 0, 0), total

    # -- the means ----------------------------------------------------------------------------------

    def dispatch(self, service: Service) -> None:
        with suppress(MailerError, psycopg.OperationalError):  # lost at the start: cron comes round again
            dispatch(self.dsn, lambda: cast(MessageService, service), self.options)

    def check_settled(self, began: datetime) -> None:
        """A whole tick leaves nobody waiting in a cancelled mailing, or a window that had closed by then."""
        for total in self.totals():
            over = total.closes_at is not None and total.closes_at <= began
            if (over and total.state != "draft") or total.state == "cancelled":
                assert total.waiting == 0, total

    def settle(self) -> None:
        """All obstacles gone, everybody due is sent to: nobody was lost."""
        holding.release(self.connection, ACTOR)
        for _ in range(4):
            self.lapse()
            self.retries_come_due()
            self.the_service_has_had_its_time()
            began = datetime.now(UTC)
            self.dispatch(Service(self.ledger, []))
        self.check_settled(began)
        for check in (
            self.nobody_was_sent_to_twice_but_by_the_operators_decision,
            *(self.what_was_accepted_is_sent_or_in_doubt, self.counters_are_the_numbers_of_messages),
            self.waiting_and_all_statuses_are_the_audience,
        ):
            check()
        assert self.rows("SELECT * FROM claim") == []
        assert self.rows(OWED) == []

    def why_not(self, number: int) -> str | None:
        """Say why this message should not be sent now; nobody but the dispatcher is at work."""
        mailing, client = mailing_and_client(number)
        with database.connect(self.dsn) as connection:
            row = connection.execute(FITNESS, {"mailing": mailing, "client": client}).fetchone()
        assert row is not None
        wrong = [name for name, fine in zip(FIT, row, strict=True) if not fine]
        return f"mailing {mailing}, client {client}: not {', '.join(wrong)}" if wrong else None

    def totals(self) -> list[reports.Total]:
        with reports.snapshot(self.connection):
            return reports.totals(self.connection)

    def statuses(self) -> dict[int, str]:
        rows = self.rows("SELECT mailing_id, client_id, status FROM message")
        return {message_id(mailing, client): status for mailing, client, status in rows}

    def in_status(self, wanted: str) -> set[int]:
        return {number for number, status in self.statuses().items() if status == wanted}

    def rows(self, statement: str) -> list[Any]:
        return self.connection.execute(statement.encode()).fetchall()

    def _with_client(self, who: int, act: Callable[[Any, Connection, Any], object]) -> None:
        named = str(self.client_ids[who % len(self.client_ids)])
        with suppress(MailerError), database.session(self.dsn) as (session, connection):
            act(session, connection, clients.find(session, named))

    def _with_mailing(self, which: int, act: Callable[[Any, Connection, Any], object]) -> None:
        mailing_id = self.mailing_ids[which % len(self.mailing_ids)]
        with suppress(MailerError), database.session(self.dsn) as (session, connection):
            act(session, connection, mailings.find(session, mailing_id))


FIT = ("active", "open", "unmuted", "released", "under the lease")
FITNESS = """
    SELECT m.state = 'active',
           w.opens_at <= now() AND now() < w.closes_at,
           c.muted_at IS NULL AND c.removed_at IS NULL,
           (SELECT held_at IS NULL FROM service),
           EXISTS (
               SELECT FROM claim h
               WHERE h.shard = c.shard AND h.mailing_id = m.id AND c.id = ANY (h.client_ids[:h.started])
                 AND h.lease_until > now()
           )
    FROM mailing m
    CROSS JOIN client c
    JOIN mailing_window w ON w.shard = c.shard AND w.mailing_id = m.id AND w.zone = c.timezone
    WHERE m.id = %(mailing)s AND c.id = %(client)s
"""

# Clients of the audience whose window is open for a while yet, and who have neither a message nor an outcome.
OWED = """
    SELECT w.mailing_id, c.id, w.zone, w.state, g.status
    FROM mailing_window w
    JOIN mailing m ON m.id = w.mailing_id AND m.state = 'active' AND m.finished_at IS NULL
    JOIN client c ON c.timezone = w.zone AND c.shard = w.shard AND c.id <= w.last_client_id
    LEFT JOIN message g ON g.shard = c.shard AND g.mailing_id = m.id AND g.client_id = c.id
    WHERE w.state IN ('open', 'scanned')
      AND w.sendable_from <= now() AND w.sendable_until > now() + interval '30 seconds'
      AND c.muted_at IS NULL AND c.removed_at IS NULL
      AND (
          g.status IN ('sending', 'retrying')
          OR (
              g.status IS NULL
              AND (m.operator_codes = '{}' OR c.operator_code = ANY (m.operator_codes))
              AND (m.tags = '{}' OR c.tag = ANY (m.tags))
          )
      )
"""


def wall(hours: float) -> datetime:
    """The wall-clock time that many hours from now, on a clock at UTC."""
    return (datetime.now(UTC) + timedelta(hours=hours)).replace(tzinfo=None)


def shown(numbers: Any) -> str:
    """Message ids as mailing and client."""
    if isinstance(numbers, dict):
        return str({mailing_and_client(n): what for n, what in numbers.items()})
    return str([mailing_and_client(n) for n in numbers])


def engine_on(dsn: Dsn) -> type[Engine]:
    """Any factory will do; the library's annotation asks for a class."""
    return cast(type[Engine], lambda: Engine(dsn))


ORDINARY = settings(
    max_examples=10,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def test_the_books_agree_with_the_service_whatever_happens(dsn: Dsn) -> None:
    run_state_machine_as_test(engine_on(dsn), settings=ORDINARY)


@pytest.mark.chaos
def test_the_books_agree_with_the_service_in_longer_stories(dsn: Dsn) -> None:
    longer = settings(
        max_examples=200,
        stateful_step_count=60,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(engine_on(dsn), settings=longer)
