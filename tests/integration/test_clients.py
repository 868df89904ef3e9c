"""One client at a time: what is stored, what is told, and what the windows and the record hear of it."""

from __future__ import annotations

import json
import sys
import threading
from typing import Any
from unittest.mock import patch

import pytest

from conftest import Mailer
from factories import a_client, a_mailing, an_open_window, clients
from mailer_cli import clients as domain
from mailer_cli import database
from mailer_cli.database import Connection, Dsn
from mailer_cli.errors import ConflictError
from terminal import on_a_terminal

PHONE = "79161234567"


def column(connection: Connection, name: str) -> Any:
    row = connection.execute(f"SELECT {name} FROM client ORDER BY id".encode()).fetchone()  # noqa: S608 - ours
    assert row is not None
    return row[0]


def actions(connection: Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT action FROM event ORDER BY id").fetchall()]


def a_scanned_window(connection: Connection, zone: str) -> int:
    mailing = a_mailing(connection)
    an_open_window(connection, mailing, zone=zone)
    connection.execute("UPDATE mailing_window SET state = 'scanned', position = 99")
    return mailing


def looks_again(connection: Connection) -> bool:
    rows = connection.execute(
        "SELECT DISTINCT state = 'open' AND catching_up AND position = 0 FROM mailing_window"
    ).fetchall()
    assert len(rows) == 1
    found = rows[0][0]
    assert isinstance(found, bool)
    return found


@pytest.mark.parametrize(
    "written", ["8 916 123-45-67", "+7\u00a0(916)\u00a0123\u201145\u201167", "79161234567"]
)
def test_a_client_is_found_by_any_spelling_of_the_phone(
    mailer: Mailer, connection: Connection, written: str
) -> None:
    client = a_client(connection, phone=PHONE)
    ended = mailer("client", "show", written, "-o", "json")
    assert json.loads(ended.out)["id"] == client
    assert json.loads(mailer("client", "show", str(client), "-o", "json").out)["phone"] == PHONE


def test_ten_digits_are_an_id_and_the_refusal_says_so(mailer: Mailer) -> None:
    ended = mailer("client", "show", "9161234567")
    assert (ended.code, ended.out) == (1, "")
    assert "a phone has 11 digits" in ended.err


def test_showing_a_client_takes_no_lock(mailer: Mailer, dsn: Dsn, connection: Connection) -> None:
    client = a_client(connection)
    with database.connect(dsn) as other, other.transaction():
        other.execute("SELECT FROM client FOR UPDATE")
        assert mailer("client", "show", str(client)).code == 0


def test_an_empty_zone_is_refused_even_where_a_default_is_set(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_DEFAULT_TIMEZONE", "Asia/Omsk")
    assert mailer("client", "add", PHONE, "--timezone", "").code == 1
    assert connection.execute("SELECT count(*) FROM client").fetchone() == (0,)


@pytest.mark.parametrize("option", ["--tag", "--reason"])
def test_bytes_that_are_no_text_are_refused_by_field(
    mailer: Mailer, connection: Connection, option: str
) -> None:
    a_client(connection, phone=PHONE)
    command = "mute" if option == "--reason" else "update"
    ended = mailer("client", command, PHONE, option, "\udcff")
    assert ended.code == 1
    assert f"{option[2:]}: it holds bytes" in ended.err
    assert actions(connection) == []


def test_a_phone_somebody_has_is_refused_with_whose_it_is(mailer: Mailer, connection: Connection) -> None:
    first = a_client(connection, phone=PHONE)
    second = a_client(connection, phone="79160000000")
    added = mailer("client", "add", PHONE, "--timezone", "UTC")
    assert added.code == 1
    told = f"phone {PHONE} belongs to client {first} already; `mailer client update {first}` changes it"
    assert told in added.err
    changed = mailer("client", "update", str(second), "--phone", PHONE)
    assert changed.code == 1
    assert f"belongs to another client, {first}" in changed.err
    assert actions(connection) == []


def test_two_adding_the_same_phone_at_once_make_one_client_and_one_conflict(
    dsn: Dsn, connection: Connection
) -> None:
    outcomes: list[str] = []
    barrier = threading.Barrier(2)

    def add() -> None:
        try:
            with database.session(dsn) as (session, raw):
                barrier.wait()
                domain.add(session, raw, "somebody", phone=PHONE, timezone="UTC")
            outcomes.append("added")
        except ConflictError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "added" in outcomes
    assert sum("belongs to client" in outcome for outcome in outcomes) == 1
    assert connection.execute("SELECT count(*) FROM client").fetchone() == (1,)
    assert actions(connection) == ["client added"]


def test_a_new_phone_brings_its_own_operator_code(mailer: Mailer, connection: Connection) -> None:
    client = a_client(connection, phone=PHONE, operator_code="903")
    mailer("client", "update", str(client), "--phone", "8 999 000 00 00")
    assert (column(connection, "phone"), column(connection, "operator_code")) == ("79990000000", "999")
    mailer("client", "update", str(client), "--phone", PHONE, "--operator-code", "903")
    assert column(connection, "operator_code") == "903"


def test_a_change_that_changes_nothing_is_told_and_not_recorded(
    mailer: Mailer, connection: Connection
) -> None:
    client = a_client(connection, tag="vip")
    ended = mailer("client", "update", str(client), "--tag", " vip ")
    assert "was so already" in ended.err
    assert actions(connection) == []


def test_an_update_without_changes_is_a_usage_error(mailer: Mailer, connection: Connection) -> None:
    assert mailer("client", "update", str(a_client(connection))).code == 2


def test_a_removed_client_is_not_changed_but_shown(mailer: Mailer, connection: Connection) -> None:
    client = a_client(connection)
    removed = mailer("client", "remove", str(client), "--yes", "-o", "json")
    assert json.loads(removed.out)["removed_at"] is not None
    ended = mailer("client", "update", str(client), "--tag", "x")
    assert ended.code == 1
    assert "was removed" in ended.err
    assert json.loads(mailer("client", "show", str(client), "-o", "json").out)["removed_at"] is not None
    assert "was removed already" in mailer("client", "remove", str(client), "--yes").err
    assert actions(connection) == ["client removed"]


def test_a_muted_client_who_was_removed_comes_back_muted(mailer: Mailer, connection: Connection) -> None:
    client = a_client(connection, phone=PHONE)
    mailer("client", "mute", str(client), "--reason", "asked for it")
    mailer("client", "remove", str(client), "--yes")
    ended = mailer("client", "add", PHONE, "--timezone", "UTC", "-o", "json")
    back = json.loads(ended.out)
    assert (back["id"], back["mute_reason"], back["removed_at"]) == (client, "asked for it", None)
    assert f"is back, still muted: `mailer client unmute {client}`" in ended.err
    assert actions(connection) == ["client muted", "client removed", "client restored"]


def test_declining_to_remove_leaves_the_client_and_holds_no_lock_meanwhile(
    mailer: Mailer, connection: Connection
) -> None:
    client = a_client(connection)

    def answer(*_: object, **__: object) -> bool:
        connection.execute("SET lock_timeout = '1s'")
        connection.execute("UPDATE client SET tag = 'meanwhile'")
        return False

    with patch.object(sys, "stdin") as stdin, patch("typer.confirm", answer):
        stdin.isatty.return_value = True
        ended = mailer("client", "remove", str(client))
    assert (ended.code, ended.err) == (1, "mailer: nothing was done\n")
    assert (column(connection, "removed_at"), column(connection, "tag")) == (None, "meanwhile")


def test_what_mute_and_unmute_did_is_data_on_stdout(mailer: Mailer, connection: Connection) -> None:
    client = a_client(connection)
    muted = json.loads(mailer("client", "mute", str(client), "--reason", "why", "-o", "json").out)
    assert (muted["id"], muted["mute_reason"], muted["muted_at"][-1]) == (client, "why", "Z")
    again = mailer("client", "mute", str(client), "--reason", "other", "-o", "json")
    assert (again.code, json.loads(again.out)) == (0, muted)
    assert "was muted already" in again.err
    free = json.loads(mailer("client", "unmute", str(client), "-o", "json").out)
    assert (free["muted_at"], free["mute_reason"]) == (None, None)
    assert actions(connection) == ["client muted", "client unmuted"]


def test_muting_and_removing_are_stamped_by_the_clock_of_the_database(
    mailer: Mailer, connection: Connection
) -> None:
    client = a_client(connection)
    mailer("client", "mute", str(client))
    mailer("client", "remove", str(client), "--yes")
    stamps = connection.execute("SELECT array[muted_at, removed_at] FROM client").fetchone()
    recorded = connection.execute("SELECT array_agg(at ORDER BY id) FROM event").fetchone()
    assert stamps == recorded  # now() of the same transactions, to the microsecond


@pytest.mark.parametrize(
    "command",
    [
        ("update", "{id}", "--tag", "new"),
        ("update", "{id}", "--timezone", "Asia/Omsk"),
        ("update", "{id}", "--operator-code", "903"),
        ("unmute", "{id}"),
    ],
    ids=" ".join,
)
def test_open_windows_look_again_for_a_client_who_may_belong_there_now(
    mailer: Mailer, connection: Connection, command: tuple[str, ...]
) -> None:
    client = a_client(connection, timezone="Europe/Moscow")
    mailer("client", "mute", str(client))
    a_scanned_window(connection, "Asia/Omsk" if "Asia/Omsk" in command else "Europe/Moscow")
    assert not looks_again(connection)
    assert mailer("client", *(word.format(id=client) for word in command)).code == 0
    assert looks_again(connection)


def test_open_windows_look_again_for_a_client_who_is_back(mailer: Mailer, connection: Connection) -> None:
    client = a_client(connection, phone=PHONE, timezone="UTC")
    mailer("client", "remove", str(client), "--yes")
    a_scanned_window(connection, "Asia/Omsk")
    mailer("client", "add", PHONE, "--timezone", "Asia/Omsk")
    assert looks_again(connection)


@pytest.mark.parametrize("command", ["list", "count"])
@pytest.mark.parametrize(
    ("option", "value", "way_out"),
    [
        ("--timezone", "Europe/Moskow", "did you mean Europe/Moscow?"),
        ("--operator", "91", "three digits"),
        ("--tag", " ", "leave --tag out"),
    ],
)
def test_a_typo_in_a_filter_is_refused_and_not_taken_for_nobody(
    mailer: Mailer, command: str, option: str, value: str, way_out: str
) -> None:
    ended = mailer("client", command, option, value)
    assert (ended.code, ended.out) == (1, "")
    assert way_out in ended.err


def test_counting_leaves_out_the_muted_and_the_removed_unless_asked(
    mailer: Mailer, connection: Connection
) -> None:
    clients(connection, 3, timezone="UTC")
    mailer("client", "mute", "1")
    mailer("client", "remove", "2", "--yes")
    assert json.loads(mailer("client", "count", "-o", "json").out) == {"clients": 1}
    assert json.loads(mailer("client", "count", "--muted", "-o", "json").out) == {"clients": 1}
    assert json.loads(mailer("client", "count", "--timezone", "Asia/Omsk", "-o", "json").out) == {
        "clients": 0
    }


def test_a_list_shows_the_muted_with_the_others_and_alone_if_asked(
    mailer: Mailer, connection: Connection
) -> None:
    clients(connection, 3)
    mailer("client", "mute", "2")
    mailer("client", "remove", "3", "--yes")
    ids = [row["id"] for row in json.loads(mailer("client", "list", "-o", "json").out)]
    muted = [row["id"] for row in json.loads(mailer("client", "list", "--muted", "-o", "json").out)]
    assert (ids, muted) == ([1, 2], [2])


def test_a_terminal_gets_fifty_and_is_told_there_are_more(mailer: Mailer, connection: Connection) -> None:
    clients(connection, 51)
    person = on_a_terminal(mailer)
    cut = person("client", "list", "-o", "jsonl")
    assert len(cut.out.splitlines()) == 50
    assert "the first 50; there are more: --all" in cut.err
    assert len(person("client", "list", "--all", "-o", "jsonl").out.splitlines()) == 51
    assert "there are more" in person("client", "list", "--limit", "7").err
    assert person("client", "list", "--limit", "51").err == ""
    off = mailer("client", "list", "-o", "jsonl")
    assert (len(off.out.splitlines()), off.err) == (51, "")


def test_a_table_of_any_length_is_written_whole_off_a_terminal(
    mailer: Mailer, connection: Connection
) -> None:
    connection.execute(
        "INSERT INTO client (phone, operator_code, timezone)"
        " SELECT (79160000000 + n)::text, '916', 'UTC' FROM generate_series(1, 25) n"
    )
    with patch("mailer_cli.cli.clients._PAGE", 10):
        lines = mailer("client", "list").out.splitlines()
    assert sum("79160000" in line for line in lines) == 25
    assert sum("operator" in line for line in lines) == 3


def test_all_and_limit_contradict_each_other(mailer: Mailer) -> None:
    assert mailer("client", "list", "--all", "--limit", "3").code == 2


@pytest.mark.parametrize(
    "tag",
    ["[red]vip[/red]", "\x1b[31mred", "line\nbreak", "\u202eevil\u2069", "'; DROP TABLE client; --", "\\N"],
)
def test_hostile_text_comes_back_as_it_was_and_steers_no_terminal(
    mailer: Mailer, connection: Connection, tag: str
) -> None:
    added = mailer("client", "add", PHONE, "--timezone", "UTC", "--tag", tag)
    assert column(connection, "tag") == tag
    assert json.loads(mailer("client", "show", PHONE, "-o", "json").out)["tag"] == tag
    listed = mailer("client", "list")
    for shown in (added.out, added.err, listed.out):
        assert not {"\x1b", "\u202e", "\u2069"} & set(shown)
    if tag.startswith("["):
        assert tag in listed.out
