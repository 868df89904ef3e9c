"""`mailer purge`: messages go, sums stay, and nobody is written to a second time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

import factories
from conftest import Mailer
from mailer_cli import database, decisions, mailings, purging, reports, summaries
from mailer_cli.aspects import Breakdown
from mailer_cli.database import Connection, Dsn
from mailer_cli.dispatch import claim_windows
from mailer_cli.dispatch.options import Options, Summary
from mailer_cli.errors import InvalidStateError, PurgedError
from mailer_cli.ids import message_id
from mailer_cli.statuses import Status
from terminal import on_a_terminal

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=500)
PURGE = ("purge", "--older-than", "400d", "--yes")
ZONES = ("Europe/Moscow", "Asia/Omsk")


def an_old_mailing(connection: Connection, *, text: str = "Sale", finished_at: datetime = LONG_AGO) -> int:
    """Three sent, one failed with two attempts, one in doubt; in two zones, by two operators and tags."""
    made = factories.a_mailing(connection, text=text)
    for zone, code, tag, status, error in (
        (ZONES[0], "916", "vip", "sent", None),
        (ZONES[0], "903", None, "sent", None),
        (ZONES[1], "916", "[red]", "sent", None),
        (ZONES[1], "903", "vip", "failed", "HTTP 400"),
        (ZONES[1], "903", None, "unknown", "lost"),
    ):
        client = factories.a_client(
            connection, timezone=zone, tag=tag, operator_code=code, created_at=finished_at - timedelta(days=9)
        )
        message = factories.a_message(connection, made, client, status, error=error, sent_at=None)
        if status == "failed":
            for attempt in (1, 2):
                at = finished_at + timedelta(seconds=attempt)
                factories.a_failed_attempt(connection, message, attempt=attempt, attempted_at=at)
    for zone in ZONES:
        times = {
            "opens_at": finished_at - timedelta(hours=3),
            "closes_at": finished_at - timedelta(hours=2),
        }
        factories.an_open_window(connection, made, zone=zone, **times)
    connection.execute(
        "UPDATE mailing_window w SET claimed = (SELECT count(*) FROM message m JOIN client c"
        " ON c.id = m.client_id WHERE m.shard = w.shard AND m.mailing_id = w.mailing_id"
        " AND c.timezone = w.zone) WHERE mailing_id = %s",
        [made],
    )
    factories.close_windows(connection, made)
    connection.execute("UPDATE mailing SET finished_at = %s WHERE id = %s", [finished_at, made])
    return made


def count(connection: Connection, table: str) -> int:
    row = connection.execute(psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier(table)))
    number: int = (row.fetchone() or (0,))[0]
    return number


def told(mailer: Mailer, mailing: int) -> dict[str, Any]:
    """All numbers of a report, in detail and by each aspect, as scripts read them."""
    found: dict[str, Any] = {"detail": json.loads(mailer("report", str(mailing), "-o", "json").out)}
    for by in Breakdown:
        found[by] = json.loads(mailer("report", str(mailing), "--by", by.value, "-o", "json").out)
    found["all"] = json.loads(mailer("report", "--by", "error", "-o", "json").out)
    return found


def test_reports_say_the_same_before_and_after_by_every_aspect(
    mailer: Mailer, connection: Connection
) -> None:
    mailing = an_old_mailing(connection)
    recent = an_old_mailing(connection, text="Recent", finished_at=NOW - timedelta(days=3))
    before = told(mailer, mailing)
    assert [zone["sent"] for zone in before[Breakdown.ZONE]] == [1, 2]
    assert [error["error"] for error in before[Breakdown.ERROR]] == ["HTTP 400", "lost"]
    assert all(before[by] for by in Breakdown)
    ended = mailer(*PURGE, "-o", "json")
    assert ended.code == 0
    [row] = json.loads(ended.out)
    assert (row["mailing"], row["messages"], row["attempts"]) == (mailing, 5, 2)
    assert told(mailer, mailing) == before
    assert connection.execute("SELECT DISTINCT mailing_id FROM message").fetchall() == [(recent,)]
    assert connection.execute("SELECT DISTINCT mailing_id FROM attempt").fetchall() == [(recent,)]


def test_what_became_of_clients_since_does_not_change_the_report(
    mailer: Mailer, connection: Connection
) -> None:
    mailing = an_old_mailing(connection)
    before = told(mailer, mailing)
    mailer(*PURGE)
    connection.execute("UPDATE client SET timezone = 'UTC', tag = 'other', operator_code = '999'")
    assert told(mailer, mailing) == before


def test_counters_windows_pace_and_changes_stay_and_the_purge_is_on_record(
    mailer: Mailer, connection: Connection
) -> None:
    mailing = an_old_mailing(connection)
    factories.an_event(connection, "mailing created", mailing_id=mailing)
    tables = ("mailing", "mailing_window", "counter", "pace")
    before = [count(connection, table) for table in tables]
    mailer(*PURGE)
    assert [count(connection, table) for table in tables] == before
    assert connection.execute("SELECT action, mailing_id, new FROM event ORDER BY id").fetchall() == [
        ("mailing created", mailing, None),
        ("mailing purged", mailing, {"messages": 5, "attempts": 2}),
    ]
    assert connection.execute("SELECT purged_at IS NOT NULL FROM mailing").fetchone() == (True,)


def test_a_dry_run_tells_the_same_and_removes_nothing(mailer: Mailer, connection: Connection) -> None:
    an_old_mailing(connection)
    dry = mailer("purge", "--older-than", "400d", "--dry-run", "-o", "json")
    assert dry.code == 0
    assert "would be removed" in dry.err
    assert (count(connection, "message"), count(connection, "event")) == (5, 0)
    assert connection.execute("SELECT purged_at FROM mailing").fetchone() == (None,)
    assert json.loads(mailer(*PURGE, "-o", "json").out) == json.loads(dry.out)


def test_off_a_terminal_it_needs_yes(mailer: Mailer, connection: Connection) -> None:
    an_old_mailing(connection)
    ended = mailer("purge", "--older-than", "400d")
    assert ended.code == 1
    assert "Remove 5 messages, 2 attempts of 1 mailing? Reports keep their numbers." in ended.err
    assert "--yes" in ended.err
    assert count(connection, "message") == 5


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        ("23h", "give 1d or more"),
        ("0d", "give 1d or more"),
        ("soon", "'soon' is no span of time"),
        ("-5d", "no span of time"),
        ("999999w", "beginning of time"),
    ],
)
def test_a_span_that_cannot_be_used_is_refused(
    mailer: Mailer, connection: Connection, span: str, reason: str
) -> None:
    an_old_mailing(connection)
    ended = mailer("purge", f"--older-than={span}", "--yes")
    assert (ended.code, ended.out) == (1, "")
    assert reason in ended.err
    assert count(connection, "message") == 5


def test_with_nothing_that_old_it_says_so(mailer: Mailer, connection: Connection) -> None:
    an_old_mailing(connection, finished_at=NOW - timedelta(days=399))
    factories.a_finished_run(connection, ago=timedelta(days=900))  # the only one
    ended = mailer(*PURGE)
    assert (ended.code, ended.out) == (0, "")
    assert "no mailing has messages that old" in ended.err
    assert json.loads(mailer(*PURGE, "-o", "json").out) == []
    assert (count(connection, "message"), count(connection, "run")) == (5, 1)


def test_a_mailing_that_is_not_over_is_left_alone_whatever_is_noted_of_it(
    mailer: Mailer, connection: Connection
) -> None:
    started, windowed, busy = (an_old_mailing(connection) for _ in range(3))
    connection.execute("UPDATE mailing SET finished_at = NULL, state = 'active' WHERE id = %s", [started])
    connection.execute("UPDATE mailing_window SET state = 'open' WHERE mailing_id = %s", [windowed])
    connection.execute("UPDATE counter SET retrying = 1 WHERE mailing_id = %s", [busy])
    mailer(*PURGE)
    assert count(connection, "message") == 15


def test_old_runs_go_and_the_newest_stays(mailer: Mailer, connection: Connection) -> None:
    for days in (900, 800, 3):
        factories.a_finished_run(connection, ago=timedelta(days=days))
    killed = factories.a_run(connection, NOW - timedelta(days=700), None)
    newest = factories.a_run(connection, NOW - timedelta(days=600))
    assert "3 runs would be removed" in mailer("purge", "--older-than", "400d", "--dry-run").err
    assert mailer(*PURGE).code == 0
    left = [row[0] for row in connection.execute("SELECT id FROM run ORDER BY id")]
    assert killed not in left
    assert (len(left), left[-1]) == (2, newest)
    assert connection.execute("SELECT action, new ->> 'runs' FROM event").fetchall() == [("runs purged", "3")]


# -- never twice ------------------------------------------------------------------------------------------


@pytest.fixture
def purged(mailer: Mailer, connection: Connection) -> int:
    """A mailing that was cancelled long ago, and purged, though its end has not come yet."""
    mailing = an_old_mailing(connection)
    connection.execute(
        "UPDATE mailing SET state = 'cancelled', ends_at = '2999-01-01' WHERE id = %s", [mailing]
    )
    connection.execute("UPDATE mailing_window SET closes_at = '2999-01-01', sendable_until = '2999-01-01'")
    assert mailer(*PURGE).code == 0
    return mailing


COMMANDS = (
    ("mailing", "update", "{}", "--end", "2999-12-01 10:00"),
    ("mailing", "update", "{}", "--all-tags", "--text", "again"),
    ("mailing", "pause", "{}"),
    ("mailing", "resume", "{}"),
    ("mailing", "cancel", "{}", "--yes"),
    ("mailing", "refresh", "{}"),
    ("mailing", "retry", "{}", "--yes"),
    ("mailing", "retry", "{}", "--only", "unknown", "--yes"),
    ("message", "resolve", "{message}", "--as", "sent"),
)


@pytest.mark.parametrize("state", ["cancelled", "active", "paused"])
def test_nothing_brings_a_purged_mailing_back(
    mailer: Mailer, connection: Connection, purged: int, state: str
) -> None:
    connection.execute("UPDATE mailing SET state = %s", [state])  # by hand, the worst that can be
    for command in COMMANDS:
        ended = mailer(*(word.format(purged, message=message_id(purged, 5)) for word in command))
        assert ended.code == 1, command
        assert f"mailing {purged}: its messages were purged on " in ended.err
        assert "create a new mailing" in ended.err
    assert connection.execute("SELECT state, version FROM mailing").fetchall() == [(state, 1)]
    assert (count(connection, "retry"), count(connection, "message")) == (0, 0)


def test_the_catching_up_pass_finds_nobody_though_nobody_has_a_message(
    connection: Connection, purged: int
) -> None:
    """Even if somebody opens mailing and windows by hand, nobody is claimed again."""
    connection.execute("UPDATE mailing SET state = 'active', finished_at = NULL")
    connection.execute(
        "UPDATE mailing_window SET state = 'open', catching_up = true, position = 0,"
        " sendable_from = opens_at, last_client_id = 1000000"
    )
    counters = connection.execute("SELECT * FROM counter ORDER BY shard").fetchall()
    for shard in range(16):
        for _ in range(3):
            assert claim_windows.claim_next(connection, 1, shard, Options(), Summary()) is None
    assert (count(connection, "message"), count(connection, "claim")) == (0, 0)
    assert connection.execute("SELECT DISTINCT state FROM mailing_window").fetchall() == [("scanned",)]
    assert connection.execute("SELECT * FROM counter ORDER BY shard").fetchall() == counters
    assert purged


def test_a_dispatch_leaves_a_purged_mailing_alone(
    mailer: Mailer, connection: Connection, purged: int
) -> None:
    connection.execute("UPDATE mailing_window SET state = 'open', closes_at = now(), position = 0")
    before = connection.execute("SELECT * FROM counter ORDER BY shard").fetchall()
    assert mailer("dispatch").code == 0
    assert count(connection, "message") == 0
    assert connection.execute("SELECT * FROM counter ORDER BY shard").fetchall() == before
    assert purged


def wait_for_a_lock(connection: Connection) -> None:
    """Until somebody in this database waits for somebody else."""
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    for _ in range(3_000):
        if connection.execute(waiting).fetchone() is not None:
            return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("decide", ["retry", "resolve", "update"])
def test_a_decision_waits_for_a_purge_under_way_and_is_then_refused(
    dsn: Dsn, connection: Connection, decide: str
) -> None:
    mailing = an_old_mailing(connection)
    kept = summaries.read(connection, mailing)
    doubtful = connection.execute("SELECT client_id FROM message WHERE status = 'unknown'").fetchone()
    refused: list[Exception] = []

    def ask() -> None:
        try:
            if decide == "update":
                with database.session(dsn) as (session, own):
                    mailings.update(session, own, "olga", mailings.find(session, mailing), {"priority": 1})
            else:
                with database.connect(dsn) as own:
                    if decide == "retry":
                        decisions.retry(own, "olga", mailing, [Status.FAILED])
                    else:
                        decisions.resolve(own, "olga", message_id(mailing, doubtful[0]), Status.SENT)  # type: ignore[index]
        except InvalidStateError as error:
            refused.append(error)

    asking = threading.Thread(target=ask)
    with database.connect(dsn) as purger, purger.transaction():
        assert purging._marked(purger, "olga", kept, NOW)
        asking.start()
        wait_for_a_lock(connection)
    asking.join()
    assert [type(error) for error in refused] == [PurgedError]


def test_a_purge_waits_for_a_decision_and_leaves_what_was_decided(dsn: Dsn, connection: Connection) -> None:
    mailing = an_old_mailing(connection)
    connection.execute("UPDATE mailing_window SET closes_at = '2999-01-01'")
    [found] = purging.purgeable(connection, NOW)
    removed: list[purging.Removed] = []

    def purge() -> None:
        with database.connect(dsn) as own:
            removed.append(purging.purge(own, "cron", found, NOW, lambda _: None))

    purger = threading.Thread(target=purge)
    with database.connect(dsn) as own, own.transaction():
        assert decisions.retry(own, "olga", mailing, [Status.FAILED]) == {Status.FAILED: 1}
        purger.start()
        wait_for_a_lock(connection)
    purger.join()
    assert removed == [purging.Removed(0, 0)]
    assert (count(connection, "message"), count(connection, "retry"), count(connection, "summary")) == (
        5,
        1,
        0,
    )
    assert connection.execute("SELECT purged_at FROM mailing").fetchone() == (None,)


# -- in batches, to be stopped anywhere --------------------------------------------------------------------


def many(connection: Connection, number: int) -> int:
    """A finished mailing with so many messages, an attempt for every tenth, made by SQL."""
    mailing = factories.a_mailing(connection)
    connection.execute(
        "INSERT INTO client (phone, operator_code, timezone, created_at)"
        " SELECT '7916' || lpad(n::text, 7, '0'), '916', 'Europe/Moscow', %s"
        " FROM generate_series(1, %s) AS n",
        [LONG_AGO - timedelta(days=9), number],
    )
    connection.execute(
        "INSERT INTO message (shard, mailing_id, client_id, phone, status, sent_at)"
        " SELECT shard, %s, id, phone, 'sent', %s FROM client",
        [mailing, LONG_AGO],
    )
    connection.execute(
        "INSERT INTO attempt (shard, mailing_id, client_id, attempted_at, run_id, attempt, status)"
        " SELECT shard, %s, id, %s, 1, 1, 'retrying' FROM client WHERE id %% 10 = 0",
        [mailing, LONG_AGO],
    )
    connection.execute(
        "INSERT INTO counter (shard, mailing_id, sent)"
        " SELECT shard, mailing_id, count(*) FROM message GROUP BY 1, 2"
    )
    connection.execute(
        "UPDATE mailing SET state = 'finished', finished_at = %s WHERE id = %s", [LONG_AGO, mailing]
    )
    return mailing


def test_a_hundred_thousand_messages_go_in_bounded_batches(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(connection, 100_000)
    monkeypatch.setattr(purging, "BATCH", 1_000)
    before = purging.cutoff(connection, timedelta(days=400))
    [found] = purging.purgeable(connection, before)
    steps: list[int] = []
    assert purging.purge(connection, "cron", found, before, steps.append) == purging.Removed(100_000, 10_000)
    assert (sum(steps), max(steps)) == (110_000, 1_000)
    # 6,250 messages a shard in seven steps; attempts, in eight of the shards, 1,250 each in two; and an empty
    # look at the end of each.
    assert len(steps) == 16 * (7 + 1) + 8 * 2 + 16
    assert count(connection, "message") + count(connection, "attempt") == 0


class _Killed(Exception):  # noqa: N818 - not an error of ours
    """What ends a purge in the middle."""


def stopped_after(number: int) -> Callable[[int], None]:
    calls = iter(range(number))

    def progress(_rows: int) -> None:
        if next(calls, None) is None:
            raise _Killed

    return progress


@pytest.mark.parametrize("after", [0, 9])
def test_stopped_anywhere_the_next_one_goes_on_and_the_sums_are_true_meanwhile(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    mailing = many(connection, 800)
    monkeypatch.setattr(purging, "BATCH", 20)
    before = told(mailer, mailing)
    [found] = purging.purgeable(connection, NOW)
    with pytest.raises(_Killed):
        purging.purge(connection, "cron", found, NOW, stopped_after(after))
    assert 0 < count(connection, "message") < 800
    assert told(mailer, mailing) == before
    rest = json.loads(mailer("purge", "--older-than", "400d", "--dry-run", "-o", "json").out)
    assert [row["messages"] for row in rest] == [count(connection, "message")]
    assert json.loads(mailer(*PURGE, "-o", "json").out) == rest
    assert told(mailer, mailing) == before
    assert count(connection, "message") + count(connection, "attempt") == 0
    events = connection.execute("SELECT new FROM event WHERE action = 'mailing purged'").fetchall()
    assert events == [({"messages": 800, "attempts": 80},)]


def test_two_at_once_remove_everything_once_and_keep_the_same_sums(
    mailer: Mailer, dsn: Dsn, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailing = many(connection, 2_000)
    monkeypatch.setattr(purging, "BATCH", 20)
    before = told(mailer, mailing)
    [found] = purging.purgeable(connection, NOW)
    removed: list[purging.Removed] = []

    def purge() -> None:
        with database.connect(dsn) as own:
            removed.append(purging.purge(own, "cron", found, NOW, lambda _: None))

    threads = [threading.Thread(target=purge) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each.messages for each in removed) == 2_000
    assert sum(each.attempts for each in removed) == 200
    assert count(connection, "message") == 0
    assert told(mailer, mailing) == before
    assert count(connection, "event") == 1


def test_a_summary_kept_late_does_not_overwrite_the_whole_with_what_is_left(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailing = an_old_mailing(connection)
    before = told(mailer, mailing)
    mailer(*PURGE)
    monkeypatch.setattr(summaries, "LIVE", 0)
    assert not summaries.keep(connection, mailing)  # by a dispatch that was put to sleep before it came to it
    assert told(mailer, mailing) == before


def test_what_changes_while_the_sums_are_read_is_purged_another_time(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailing = an_old_mailing(connection)
    [found] = purging.purgeable(connection, NOW)
    read = summaries.read

    def read_and_change(own: Connection, wanted: int) -> summaries.Kept:
        kept = read(own, wanted)
        own.execute("UPDATE counter SET unknown = 0, sent = sent + 1 WHERE unknown = 1")
        return kept

    monkeypatch.setattr(summaries, "read", read_and_change)
    assert purging.purge(connection, "cron", found, NOW, lambda _: None) == purging.Removed(0, 0)
    assert count(connection, "message") == 5
    with reports.snapshot(connection):
        [total] = reports.totals(connection, mailing=mailing)
    assert total.purged_at is None


# -- what is told of a message that is gone ----------------------------------------------------------------


def test_why_says_that_it_was_purged_and_not_that_there_never_was_one(
    mailer: Mailer, connection: Connection
) -> None:
    mailing = an_old_mailing(connection)
    mailer(*PURGE)
    ended = mailer("why", "1", "--mailing", str(mailing), "-o", "json")
    answer = json.loads(ended.out)
    assert answer["verdict"] == "messages_purged"
    assert "the messages of this mailing were purged at " in answer["sentence"]
    assert f"`mailer report {mailing}` has the sums" in answer["sentence"]
    assert answer["evidence"]["mailing"]["purged_at"] is not None
    assert (answer["evidence"]["also"], answer["evidence"]["message"]) == ([], None)
    assert "purged_at" in mailer("why", "1", "--mailing", str(mailing)).out.replace("purged at", "purged_at")


def test_why_still_knows_that_somebody_who_came_later_has_got_nothing(
    mailer: Mailer, connection: Connection
) -> None:
    mailing = an_old_mailing(connection)
    mailer(*PURGE)
    late = factories.a_client(connection)
    ended = mailer("why", str(late), "--mailing", str(mailing), "-o", "json")
    assert json.loads(ended.out)["verdict"] == "registered_late"


def test_show_list_and_log_say_when_it_was_purged(mailer: Mailer, connection: Connection) -> None:
    mailing = an_old_mailing(connection)
    mailer(*PURGE)
    message = str(message_id(mailing, 1))
    told_so = f"the messages of mailing {mailing} were purged at "
    shown = mailer("message", "show", message)
    assert (shown.code, shown.out) == (1, "")
    assert told_so in shown.err
    listed = mailer("message", "list", "--mailing", str(mailing), "-o", "json")
    assert (listed.code, json.loads(listed.out)) == (0, [])
    assert told_so in listed.err
    of_client = mailer("message", "list", "--client", "1", "-o", "csv")
    assert len(of_client.out.splitlines()) == 1
    assert "1 mailing was purged" in of_client.err
    for by in (("--message", message), ("--mailing", str(mailing))):
        log = mailer("log", *by)
        assert log.code == 0
        assert f"mailing {mailing} purged: attempts 2, messages 5" in log.out


def test_what_is_in_doubt_for_ever_is_not_a_thing_to_look_after(
    mailer: Mailer, connection: Connection
) -> None:
    mailing = an_old_mailing(connection)
    assert "1 message is in doubt" in mailer("report").err
    mailer(*PURGE)
    assert "in doubt" not in mailer("report").err
    assert f"the messages of mailing {mailing} were purged at " in mailer("report", str(mailing)).err
    assert mailer("message", "list", "--status", "unknown", "-o", "json").out == "[]\n"


def test_on_a_terminal_it_fits(mailer: Mailer, connection: Connection) -> None:
    an_old_mailing(connection)
    ended = on_a_terminal(mailer)(*PURGE)
    assert ended.code == 0
    assert max(map(len, ended.out.splitlines())) <= 80
    assert "finished at" in ended.out
