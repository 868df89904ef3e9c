"""`mailer client erase`: nothing of a person is left anywhere, and every sum is what it was."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

import factories
from conftest import Mailer
from mailer_cli import database, erasing, purging, reports, summaries
from mailer_cli.aspects import Breakdown
from mailer_cli.database import Connection, Dsn
from mailer_cli.dispatch import claim_retries, claim_windows
from mailer_cli.dispatch.options import Options, Summary
from mailer_cli.errors import InvalidStateError
from mailer_cli.ids import shard_of
from terminal import on_a_terminal

NOW = datetime.now(UTC)
PHONE, OLD_PHONE, TAG, OLD_TAG, REASON = (
    "79161234567",
    "79051112233",
    "ivan-ivanov",
    "ivan-i",
    "moved to Omsk",
)
ERASE = ("client", "erase", "1", "--yes")


def everything(connection: Connection) -> str:
    """Every row of every table, as text."""
    tables = connection.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
    ).fetchall()
    assert len(tables) > 10
    rows: list[str] = []
    for (table,) in tables:
        found = connection.execute(sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(table)))
        rows += [f"{table}: {row[0]}" for row in found.fetchall()]
    return "\n".join(rows)


@pytest.fixture
def ivan(mailer: Mailer, connection: Connection) -> int:
    """A client who has left traces wherever one can."""
    add = ("client", "add", OLD_PHONE, "--timezone", "Europe/Moscow", "--tag", OLD_TAG)
    assert mailer(*add).code == 0
    assert mailer("client", "update", "1", "--phone", PHONE, "--tag", TAG).code == 0
    assert mailer("client", "mute", "1", "--reason", f"{REASON}, call {PHONE}").code == 0
    assert mailer("client", "unmute", "1").code == 0
    assert mailer("client", "mute", "1", "--reason", REASON).code == 0
    connection.execute("UPDATE client SET created_at = now() - interval '9 days'")
    factories.a_client(connection, tag="vip")
    for status, phone in (("failed", OLD_PHONE), ("unknown", PHONE)):
        mailing = factories.a_mailing(connection)
        message = factories.a_message(
            connection, mailing, 1, status, phone=phone, error=f"no subscriber {phone}", http_status=422
        )
        factories.a_failed_attempt(connection, message, error=f"no subscriber +7 (916) 123-45-67, {phone}")
        factories.a_message(connection, mailing, 2, "sent")
        factories.an_open_window(connection, mailing)
    other = {"reason": "complaint of 8 916 123-45-67", "n": [1, {"who": f"0{PHONE}0"}], PHONE[:3]: None}
    factories.an_event(connection, "sending held", new=other)
    connection.execute("UPDATE service SET hold_reason = %s", [f"complaint of {PHONE}"])
    return 1


def told(mailer: Mailer, by: Breakdown | None = None) -> Any:
    return json.loads(mailer("report", *(("--by", by.value) if by else ()), "-o", "json").out)


def test_the_whole_database_has_no_trace_left(mailer: Mailer, connection: Connection, ivan: int) -> None:
    for trace in (PHONE, OLD_PHONE, TAG, OLD_TAG, REASON, "123-45-67"):
        assert trace in everything(connection)
    ended = mailer(*ERASE, "-o", "json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == {
        "client": ivan,
        "messages": 2,
        "cancelled": 0,
        "attempts": 2,
        "changes": 6,
    }
    left = everything(connection)
    for trace in (PHONE, PHONE[1:], OLD_PHONE, OLD_PHONE[1:], TAG, OLD_TAG, REASON, "123-45-67"):
        assert trace not in left
    assert connection.execute(
        "SELECT phone, operator_code, tag, timezone, mute_reason, removed_at IS NOT NULL FROM client"
        " WHERE id = 1"
    ).fetchone() == ("erased 1", "916", None, "Europe/Moscow", None, True)


def test_others_are_left_as_they_are(mailer: Mailer, connection: Connection, ivan: int) -> None:
    before = connection.execute("SELECT * FROM client WHERE id <> %s", [ivan]).fetchall()
    messages = connection.execute("SELECT * FROM message WHERE client_id <> %s", [ivan]).fetchall()
    mailer(*ERASE)
    assert connection.execute("SELECT * FROM client WHERE id <> %s", [ivan]).fetchall() == before
    assert connection.execute("SELECT * FROM message WHERE client_id <> %s", [ivan]).fetchall() == messages
    held = connection.execute("SELECT new FROM event WHERE action = 'sending held'").fetchone()
    assert held == ({"reason": "complaint of erased", "n": [1, {"who": "0erased0"}], PHONE[:3]: None},)
    assert connection.execute("SELECT hold_reason FROM service").fetchone() == ("complaint of erased",)


def test_a_phone_that_is_somebody_elses_by_now_stays_theirs(
    mailer: Mailer, connection: Connection, ivan: int
) -> None:
    assert mailer("client", "add", OLD_PHONE, "--timezone", "UTC").code == 0
    mailer(*ERASE)
    assert connection.execute("SELECT id FROM client WHERE phone = %s", [OLD_PHONE]).fetchone() == (3,)
    assert connection.execute("SELECT new ->> 'phone' FROM event WHERE client_id = 3").fetchone() == (
        OLD_PHONE,
    )
    own = connection.execute("SELECT old::text, new::text FROM event WHERE client_id = %s", [ivan]).fetchall()
    assert OLD_PHONE not in str(own)


def test_the_sums_stay_and_by_tag_the_person_moves_to_none(mailer: Mailer, ivan: int) -> None:
    before = {by: told(mailer, by) for by in (None, Breakdown.ZONE, Breakdown.OPERATOR, Breakdown.HOUR)}
    assert [part["tag"] for part in told(mailer, Breakdown.TAG)] == [TAG, "vip", TAG, "vip"]
    mailer(*ERASE)
    assert {by: told(mailer, by) for by in before} == before
    tags = [
        (part["tag"], part["sent"], part["failed"], part["unknown"]) for part in told(mailer, Breakdown.TAG)
    ]
    assert tags == [("vip", 1, 0, 0), (None, 0, 0, 1), ("vip", 1, 0, 0), (None, 0, 1, 0)]
    errors = [(part["error"], part["count"]) for part in told(mailer, Breakdown.ERROR)]
    assert errors == [("no subscriber erased", 1), ("no subscriber erased", 1)]
    assert ivan


@pytest.mark.parametrize("purged", [False, True])
def test_the_person_moves_to_none_in_what_was_kept_too(
    mailer: Mailer, connection: Connection, ivan: int, monkeypatch: pytest.MonkeyPatch, purged: bool
) -> None:
    monkeypatch.setattr(summaries, "LIVE", 0)
    connection.execute("UPDATE mailing SET state = 'finished', finished_at = now() - interval '9 days'")
    connection.execute("UPDATE mailing_window SET state = 'closed'")
    for (mailing,) in connection.execute("SELECT id FROM mailing").fetchall():
        assert summaries.keep(connection, mailing)
    if purged:
        assert mailer("purge", "--older-than", "2d", "--yes").code == 0
    assert mailer(*ERASE).code == 0
    left = everything(connection)
    assert TAG not in left
    assert PHONE not in left
    assert OLD_PHONE not in left
    [row] = json.loads(mailer("report", "1", "-o", "json").out)
    tags = [(part["tag"], part["sent"], part["failed"]) for part in row["tags"]]
    assert tags == [("vip", 1, 0), (None, 0, 1)]
    assert [part["error"] for part in row["errors"]] == ["no subscriber erased"]
    assert ivan


@pytest.mark.parametrize("keeping", ["purge", "dispatch"])
def test_sums_read_before_an_erasure_are_not_written_after_it(
    dsn: Dsn, connection: Connection, ivan: int, monkeypatch: pytest.MonkeyPatch, keeping: str
) -> None:
    monkeypatch.setattr(summaries, "LIVE", 0)
    connection.execute("UPDATE mailing SET state = 'finished', finished_at = now() - interval '9 days'")
    connection.execute("UPDATE mailing_window SET state = 'closed'")
    parts = reports.parts

    def read_and_erase(own: Connection, *asked: Any) -> Any:
        found = parts(own, *asked)
        monkeypatch.undo()
        with database.connect(dsn) as other:
            erasing.erase(other, "olga", ivan)
        return found

    monkeypatch.setattr(reports, "parts", read_and_erase)
    if keeping == "purge":
        [found, *_] = purging.purgeable(connection, NOW)
        removed = purging.purge(connection, "cron", found, NOW, lambda _: None)
        assert removed == purging.Removed(0, 0)
    else:
        assert not summaries.keep(connection, 1)
    assert connection.execute("SELECT count(*) FROM summary").fetchone() == (0,)
    assert TAG not in everything(connection)


def test_it_is_on_record_without_anything_personal(mailer: Mailer, connection: Connection, ivan: int) -> None:
    mailer(*ERASE)
    assert connection.execute(
        "SELECT actor <> '', action, client_id, old, new FROM event ORDER BY id DESC LIMIT 1"
    ).fetchone() == (True, "client erased", ivan, None, None)
    log = mailer("log", "--client", "1", "--show-phones").out
    assert "client 1 erased" in log
    assert "client 1 muted: reason erased" in log


def test_a_dry_run_tells_the_same_and_changes_nothing(
    mailer: Mailer, connection: Connection, ivan: int
) -> None:
    before = everything(connection)
    dry = mailer("client", "erase", PHONE, "--dry-run", "-o", "json")
    assert dry.code == 0
    assert "this was a dry run" in dry.err
    assert everything(connection) == before
    assert mailer(*ERASE, "-o", "json").out == dry.out
    assert ivan


def test_off_a_terminal_it_needs_yes_and_a_second_time_changes_nothing(
    mailer: Mailer, connection: Connection, ivan: int
) -> None:
    before = everything(connection)
    ended = mailer("client", "erase", str(ivan))
    assert ended.code == 1
    assert "--yes" in ended.err
    assert everything(connection) == before
    mailer(*ERASE)
    after = everything(connection)
    again = mailer(*ERASE)
    assert (again.code, again.out) == (0, "")
    assert "was erased already" in again.err
    assert everything(connection) == after


# -- no way back -------------------------------------------------------------------------------------------


def test_an_erased_client_cannot_be_changed(mailer: Mailer, connection: Connection, ivan: int) -> None:
    mailer(*ERASE)
    before = everything(connection)
    for command in (
        ("update", "1", "--tag", "x"),
        ("update", "1", "--phone", PHONE),
        ("mute", "1"),
        ("unmute", "1"),
    ):
        ended = mailer("client", *command)
        assert ended.code == 1
        assert f"client {ivan} was erased, and there is no way back" in ended.err
    assert everything(connection) == before


def test_the_phone_again_is_a_new_client_by_hand_and_by_file(
    mailer: Mailer, connection: Connection, ivan: int, tmp_path: Path
) -> None:
    mailer(*ERASE)
    file = tmp_path / "clients.csv"
    file.write_text(f"phone,timezone\n{PHONE},UTC\n")
    assert json.loads(mailer("client", "import", str(file), "-o", "json").out)["new"] == 1
    added = json.loads(mailer("client", "add", OLD_PHONE, "--timezone", "UTC", "-o", "json").out)
    assert added["id"] > ivan
    phones = connection.execute("SELECT phone FROM client ORDER BY id").fetchall()
    assert [phones[0], *phones[2:]] == [("erased 1",), (PHONE,), (OLD_PHONE,)]
    for number in (PHONE, OLD_PHONE):
        assert mailer("client", "erase", number, "--yes").code == 0
    assert PHONE not in everything(connection)


def test_only_the_very_words_may_stand_for_a_phone(connection: Connection) -> None:
    client = factories.a_client(connection)
    for phone in ("erased", "erased 0", f"erased {client + 1}", f"erased  {client}", f"erased {client} "):
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("UPDATE client SET phone = %s WHERE id = %s", [phone, client])
    connection.execute("UPDATE client SET phone = %s WHERE id = %s", [f"erased {client}", client])


# -- what is shown of one ----------------------------------------------------------------------------------


def test_whatever_lists_or_shows_clients_and_messages_copes(
    mailer: Mailer, connection: Connection, ivan: int
) -> None:
    sent = factories.a_mailing(connection)
    message = factories.a_message(connection, sent, ivan, "sent")
    mailer(*ERASE)
    for typed in (mailer, on_a_terminal(mailer)):
        assert "erased" not in typed("client", "list", "--all").out
        assert "erased 1" in typed("client", "show", "1").out
        assert "erased" in typed("message", "list", "--client", "1").out
        assert "erased 1" in typed("message", "show", str(message)).out
        why = typed("why", "1", "--mailing", str(sent))
        assert "it was sent to a number that was erased at" in " ".join(why.out.split())
        assert f"message {message} sent to erased" in " ".join(typed("log", "--client", "1").out.split())
    assert json.loads(mailer("message", "list", "--client", "1", "-o", "json").out)[0]["phone"] == "erased"
    assert "no client" in mailer("client", "show", PHONE).err
    assert json.loads(mailer("client", "count", "-o", "json").out) == {"clients": 1}


def test_why_does_not_offer_a_way_back(mailer: Mailer, connection: Connection, ivan: int) -> None:
    mailing = factories.a_mailing(connection)
    factories.an_open_window(connection, mailing)
    mailer(*ERASE)
    answer = json.loads(mailer("why", str(ivan), "--mailing", str(mailing), "-o", "json").out)
    assert answer["verdict"] == "client_removed"
    assert "they are erased, and there is no way back" in answer["sentence"]


def test_hostile_traces_go_like_any_other(mailer: Mailer, connection: Connection) -> None:
    for trace in ("[red]x[/red]", "\x1b[31mx", "a\nb", "x" * 200, "Ёжик 🦔", "\u202eevil", "\\d+"):
        client = str(factories.a_client(connection))
        assert mailer("client", "update", client, "--tag", trace).code == 0
        assert mailer("client", "mute", client, "--reason", trace).code == 0
        assert mailer("client", "erase", client, "--yes").code == 0
    assert connection.execute("SELECT DISTINCT tag, mute_reason FROM client").fetchall() == [(None, None)]
    muted = connection.execute("SELECT DISTINCT new FROM event WHERE action = 'client muted'").fetchall()
    assert muted == [({"reason": "erased"},)]


# -- beside dispatchers ------------------------------------------------------------------------------------


def test_while_a_message_is_under_way_it_is_refused(
    mailer: Mailer, connection: Connection, ivan: int
) -> None:
    mailing = factories.a_mailing(connection)
    factories.a_message(connection, mailing, ivan, "sending", attempts=0)
    before = everything(connection)
    for option in ("--yes", "--dry-run"):
        ended = mailer("client", "erase", "1", option)
        assert ended.code == 1
        assert "a message to client 1 is under way" in ended.err
        assert "try again in a minute" in ended.err
    assert everything(connection) == before


def test_what_was_to_be_tried_again_is_cancelled_and_counted(
    mailer: Mailer, connection: Connection, ivan: int
) -> None:
    mailing = factories.a_mailing(connection)
    factories.a_message(connection, mailing, ivan, "retrying", error=f"busy {PHONE}")
    ended = mailer(*ERASE, "-o", "json")
    assert json.loads(ended.out)["cancelled"] == 1
    assert connection.execute("SELECT count(*) FROM retry").fetchone() == (0,)
    found = connection.execute("SELECT status, phone, error FROM message WHERE mailing_id = %s", [mailing])
    assert found.fetchall() == [("cancelled", "erased", "busy erased")]
    counted = connection.execute("SELECT retrying, cancelled FROM counter WHERE mailing_id = %s", [mailing])
    assert counted.fetchall() == [(0, 1)]


def wait_for_a_lock(connection: Connection) -> None:
    """Until somebody in this database waits for somebody else."""
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    for _ in range(3_000):
        if connection.execute(waiting).fetchone() is not None:
            return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("kind", ["window", "retry"])
def test_it_waits_for_a_claim_under_way_and_sees_what_was_claimed(
    dsn: Dsn, connection: Connection, kind: str
) -> None:
    client = factories.a_client(connection, phone=PHONE, created_at=NOW - timedelta(days=1))
    mailing = factories.a_mailing(connection, ends_at=datetime(2999, 1, 1))
    factories.an_open_window(connection, mailing)
    if kind == "retry":
        factories.a_message(connection, mailing, client, "retrying", retry_at=NOW - timedelta(hours=1))
    refused: list[str] = []

    def erase() -> None:
        with database.connect(dsn) as own:
            try:
                erasing.erase(own, "olga", client)
            except InvalidStateError as error:
                refused.append(str(error))

    eraser = threading.Thread(target=erase)
    shard = shard_of(client)
    with database.connect(dsn) as own, own.transaction():
        if kind == "retry":
            assert claim_retries.claim_due(own, 1, shard, mailing, Options(), Summary())
        else:
            assert claim_windows.claim_next(own, 1, shard, Options(), Summary())
        eraser.start()
        wait_for_a_lock(connection)
    eraser.join()
    assert len(refused) == 1
    assert connection.execute("SELECT phone FROM client").fetchall() == [(PHONE,)]


def test_who_comes_to_claim_meanwhile_passes_by_and_later_finds_nobody(
    dsn: Dsn, connection: Connection
) -> None:
    client = factories.a_client(connection, phone=PHONE, created_at=NOW - timedelta(days=1))
    mailing = factories.a_mailing(connection, ends_at=datetime(2999, 1, 1))
    factories.an_open_window(connection, mailing)
    shard = shard_of(client)
    with database.connect(dsn) as own, own.transaction():
        assert erasing.erase(own, "olga", client)
        assert claim_windows.claim_next(connection, 1, shard, Options(), Summary()) is None
        assert connection.execute("SELECT count(*) FROM message").fetchone() == (0,)
    assert claim_windows.claim_next(connection, 1, shard, Options(), Summary()) is None
    found = connection.execute("SELECT phone, status FROM message").fetchall()
    assert found == [(f"erased {client}", "cancelled")]
    assert PHONE not in everything(connection)


def test_two_at_once_erase_once(dsn: Dsn, connection: Connection, ivan: int) -> None:
    done: list[erasing.Erased | None] = []

    def erase() -> None:
        with database.connect(dsn) as own:
            done.append(erasing.erase(own, "olga", ivan))

    threads = [threading.Thread(target=erase) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each is not None for each in done) == 1
    erased = connection.execute("SELECT count(*) FROM event WHERE action = 'client erased'").fetchone()
    assert erased == (1,)
