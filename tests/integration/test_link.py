"""A dispatcher's connection comes back by itself: cut, refused, or hanging."""

from __future__ import annotations

import psycopg
import pytest

from chaos.proxy import Cut, Proxy
from mailer_cli import database
from mailer_cli.database import Connection, Dsn, statements
from mailer_cli.dispatch.link import Link
from mailer_cli.dispatch.options import clock


class Job:
    """Counts how often it was begun; its statement adds a client."""

    def __init__(self) -> None:
        self.begun = 0

    def __call__(self, connection: Connection) -> int:
        self.begun += 1
        with connection.transaction():
            return connection.execute(
                "INSERT INTO client (phone, operator_code, timezone) VALUES ('79160000001', '916', 'UTC')"
                " ON CONFLICT DO NOTHING"
            ).rowcount


def test_a_job_that_hangs_is_cut_and_repeated_on_a_new_connection(dsn: Dsn, connection: Connection) -> None:
    job = Job()
    with Proxy(dsn.address) as proxy:
        link = Link(Dsn(proxy.address), patience=0.3)
        link.run(lambda db: db.execute("SELECT 1"), give_up=clock() + 5)
        proxy.silence(0.8)
        assert link.run(job, give_up=clock() + 10) == 1
        link.close()
    assert job.begun == 2
    assert connection.execute("SELECT count(*) FROM client").fetchone() == (1,)


@pytest.mark.parametrize(("where", "done"), [(Cut.BEFORE_COMMIT, 1), (Cut.AFTER_COMMIT, 0)])
def test_a_job_is_repeated_after_a_cut_around_its_commit(
    dsn: Dsn, connection: Connection, where: Cut, done: int
) -> None:
    job = Job()
    with Proxy(dsn.address) as proxy:
        link = Link(Dsn(proxy.address))
        proxy.cut_next(where)
        assert link.run(job, give_up=clock() + 10) == done
        link.close()
    assert job.begun == 2
    assert connection.execute("SELECT count(*) FROM client").fetchone() == (1,)


def test_a_job_is_given_up_when_the_database_does_not_come_back(dsn: Dsn) -> None:
    job = Job()
    with Proxy(dsn.address) as proxy:
        link = Link(Dsn(proxy.address))
        link.run(lambda db: db.execute("SELECT 1"), give_up=clock() + 5)
        proxy.cut_all()
        proxy.silence(60)
        with pytest.raises(psycopg.OperationalError):
            link.run(job, give_up=clock())
        link.close()
    assert job.begun == 1


def test_who_sleeps_in_a_transaction_is_ended_and_begins_again_when_awake(
    dsn: Dsn, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard = statements.statement("transaction_guard").replace(b"10s", b"200ms")
    monkeypatch.setattr(
        statements,
        "statement",
        lambda name, read=statements.statement: guard if name == "transaction_guard" else read(name),
    )
    begun: list[int] = []

    def sleepy(db: Connection) -> int:
        with database.transaction(db):
            db.execute("SELECT FROM service FOR UPDATE")
            begun.append(1)
            if len(begun) == 1:
                # Asleep with a lock: others get it while we are, for the database has ended us.
                connection.execute("SET lock_timeout = '5s'; SELECT FROM service FOR UPDATE")
            return db.execute("UPDATE service SET hold_reason = 'awake'").rowcount

    link = Link(dsn)
    assert link.run(sleepy, give_up=clock() + 10) == 1
    link.close()
    assert len(begun) == 2
    assert connection.execute("SELECT hold_reason FROM service").fetchone() == ("awake",)
