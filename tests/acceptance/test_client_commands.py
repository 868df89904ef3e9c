"""`mailer client`, typed as an operator types it; every test looks at what is stored."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from conftest import Mailer
from mailer_cli.database import Connection, Dsn

KEYS = ["id", "phone", "operator_code", "tag", "timezone", "muted_at", "mute_reason", "created_at"]


def stored(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT phone, operator_code, tag, timezone FROM client ORDER BY id").fetchall()


def test_a_phone_as_people_write_it_is_normalised_and_the_change_is_told(
    mailer: Mailer, connection: Connection
) -> None:
    ended = mailer("client", "add", "+7 (916) 123-45-67", "--timezone", "Europe/Moscow", "-o", "json")
    assert ended.code == 0
    assert json.loads(ended.out)["phone"] == "79161234567"
    assert "+7 (916) 123-45-67 is taken as 79161234567" in ended.err
    assert stored(connection) == [("79161234567", "916", None, "Europe/Moscow")]


def test_a_ported_number_keeps_the_operator_code_it_is_given(mailer: Mailer, connection: Connection) -> None:
    mailer("client", "add", "79161234567", "--timezone", "UTC", "--operator-code", "903")
    assert stored(connection)[0][1] == "903"


@pytest.mark.parametrize(
    ("arguments", "field", "way_out"),
    [
        (("7916", "--timezone", "UTC"), "phone", "79161234567"),
        (("79161234567", "--timezone", "Europe/Moskow"), "timezone", "Europe/Moscow"),
        (("79161234567", "--timezone", "UTC+3"), "timezone", "UTC+03:00"),
        (("79161234567",), "timezone", "--timezone"),
        (("79161234567", "--timezone", "UTC", "--operator-code", "9"), "operator code", "916"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_with_its_field_and_the_way_out(
    mailer: Mailer, connection: Connection, arguments: tuple[str, ...], field: str, way_out: str
) -> None:
    ended = mailer("client", "add", *arguments)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"mailer: {field}: ")
    assert way_out in ended.err
    assert len(ended.err.splitlines()) <= 2
    assert stored(connection) == []


def test_a_default_zone_is_taken_only_where_it_was_set(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_DEFAULT_TIMEZONE", "Asia/Omsk")
    assert mailer("client", "add", "79161234567").code == 0
    assert stored(connection)[0][3] == "Asia/Omsk"


def test_a_phone_belongs_to_one_client(mailer: Mailer, connection: Connection) -> None:
    mailer("client", "add", "79161234567", "--timezone", "UTC")
    ended = mailer("client", "add", "8 916 123 45 67", "--timezone", "UTC")
    assert ended.code == 1
    assert "belongs to client 1 already" in ended.err
    assert len(stored(connection)) == 1


def test_changing_the_phone_to_somebody_elses_is_refused(mailer: Mailer, connection: Connection) -> None:
    mailer("client", "add", "79161234567", "--timezone", "UTC")
    mailer("client", "add", "79161234568", "--timezone", "UTC")
    ended = mailer("client", "update", "2", "--phone", "79161234567")
    assert ended.code == 1
    assert "belongs to another client" in ended.err
    assert [row[0] for row in stored(connection)] == ["79161234567", "79161234568"]


def test_a_removed_client_comes_back_under_the_old_id(mailer: Mailer, connection: Connection) -> None:
    mailer("client", "add", "79161234567", "--timezone", "UTC", "--tag", "old")
    assert mailer("client", "remove", "79161234567", "--yes").code == 0
    assert json.loads(mailer("client", "count", "-o", "json").out) == {"clients": 0}
    ended = mailer("client", "add", "79161234567", "--timezone", "Asia/Omsk", "-o", "json")
    assert json.loads(ended.out)["id"] == 1
    assert stored(connection) == [("79161234567", "916", None, "Asia/Omsk")]


def test_removing_off_a_terminal_needs_yes(mailer: Mailer, connection: Connection) -> None:
    mailer("client", "add", "79161234567", "--timezone", "UTC")
    ended = mailer("client", "remove", "1")
    assert ended.code == 1
    assert "--yes" in ended.err
    assert mailer("client", "remove", "1", "--dry-run").code == 0
    assert connection.execute("SELECT removed_at FROM client").fetchone() == (None,)


def test_muting_is_stored_with_its_reason_and_can_be_undone(mailer: Mailer, connection: Connection) -> None:
    mailer("client", "add", "79161234567", "--timezone", "UTC")
    mailer("client", "mute", "1", "--reason", "asked for it")
    assert connection.execute("SELECT muted_at IS NULL, mute_reason FROM client").fetchone() == (
        False,
        "asked for it",
    )
    assert "was muted already" in mailer("client", "mute", "1").err
    mailer("client", "unmute", "1")
    assert connection.execute("SELECT muted_at, mute_reason FROM client").fetchone() == (None, None)


def test_every_change_is_on_record_with_who_made_it(mailer: Mailer, connection: Connection) -> None:
    mailer("client", "add", "79161234567", "--timezone", "UTC")
    mailer("client", "update", "1", "--tag", "vip")
    mailer("client", "update", "1", "--tag", "vip")
    rows = connection.execute("SELECT action, old, new, actor <> '' FROM event ORDER BY id").fetchall()
    assert [row[0] for row in rows] == ["client added", "client updated"]
    assert rows[1][1:] == ({"tag": None}, {"tag": "vip"}, True)


def test_the_filters_are_or_within_one_and_and_between(mailer: Mailer) -> None:
    for phone, tag in (
        ("79160000001", "a"),
        ("79160000002", "b"),
        ("79030000003", "a"),
        ("79030000004", "c"),
    ):
        mailer("client", "add", phone, "--timezone", "UTC", "--tag", tag)
    ended = mailer("client", "list", "--operator", "916", "--operator", "903", "--tag", "a", "-o", "json")
    assert [row["phone"] for row in json.loads(ended.out)] == ["79160000001", "79030000003"]
    counted = mailer("client", "count", "--tag", "a", "--tag", "b", "--operator", "916", "-o", "json")
    assert json.loads(counted.out) == {"clients": 2}


def test_a_list_has_the_keys_that_scripts_rely_on(mailer: Mailer) -> None:
    mailer("client", "add", "79161234567", "--timezone", "UTC")
    [row] = json.loads(mailer("client", "list", "-o", "json").out)
    assert list(row) == KEYS
    assert row["created_at"].endswith("Z")
    assert mailer("client", "list", "-o", "csv").out.splitlines()[0] == ",".join(KEYS)
    assert json.loads(mailer("client", "list", "-o", "jsonl").out) == row


def test_an_empty_list_says_what_to_do_and_stays_parsable(mailer: Mailer) -> None:
    ended = mailer("client", "list", "-o", "json")
    assert (ended.code, json.loads(ended.out)) == (0, [])
    assert "mailer client add" in mailer("client", "list").err


@pytest.mark.parametrize(
    "tag", ["[red]vip[/red]", "\x1b[31mred", "line\nbreak", "a\tb", "\u202eevil", '"quoted", x']
)
def test_hostile_text_is_shown_literally_and_survives_json(mailer: Mailer, tag: str) -> None:
    assert mailer("client", "add", "79161234567", "--timezone", "UTC", "--tag", tag).code == 0
    assert json.loads(mailer("client", "show", "1", "-o", "json").out)["tag"] == tag
    for form in ("table", "json", "jsonl"):
        shown = mailer("client", "list", "-o", form).out
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    if tag.startswith("[red]"):
        assert "[red]vip[/red]" in mailer("client", "list").out


def test_an_unknown_client_is_named(mailer: Mailer) -> None:
    for named in ("7", "79990000000"):
        ended = mailer("client", "show", named)
        assert ended.code == 1
        assert f"no client '{named}'" in ended.err


# -- import ---------------------------------------------------------------------------------------------

TEXT = "phone{d}timezone{d}tag\n+7 916 000-00-01{d}Europe/Moscow{d}вип\n89160000002{d}Asia/Omsk{d}\n"


def write(tmp_path: Path, text: str, encoding: str = "utf-8") -> str:
    path = tmp_path / "clients.csv"
    path.write_bytes(text.encode(encoding))
    return str(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_usual_encodings_and_delimiters_are_read(
    mailer: Mailer, connection: Connection, tmp_path: Path, encoding: str, delimiter: str
) -> None:
    ended = mailer("client", "import", write(tmp_path, TEXT.format(d=delimiter), encoding), "-o", "json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out) == {"new": 2, "changed": 0, "same": 0, "rejected": 0}
    assert stored(connection) == [
        ("79160000001", "916", "вип", "Europe/Moscow"),
        ("79160000002", "916", None, "Asia/Omsk"),
    ]


def test_importing_again_changes_nothing_and_uses_up_no_ids(
    mailer: Mailer, connection: Connection, tmp_path: Path
) -> None:
    file = write(tmp_path, TEXT.format(d=","))
    mailer("client", "import", file)
    for _ in range(5):
        assert json.loads(mailer("client", "import", file, "-o", "json").out)["same"] == 2
    mailer("client", "add", "79169999999", "--timezone", "UTC")
    assert connection.execute("SELECT max(id) FROM client").fetchone() == (3,)


def test_bad_rows_are_rejected_with_line_field_and_reason_and_good_ones_are_kept(
    mailer: Mailer, connection: Connection, tmp_path: Path
) -> None:
    file = write(
        tmp_path,
        "phone,timezone,tag\n79160000001,UTC,a\nnope,UTC,b\n79160000003,Mars/Base,c\n79160000004,UTC\n"
        "79160000001,UTC,other\n79160000006,,d\n",
    )
    ended = mailer("client", "import", file, "-o", "json")
    assert ended.code == 1
    assert json.loads(ended.out) == {"new": 1, "changed": 0, "same": 0, "rejected": 5}
    rejects = Path(f"{file}.rejects.csv").read_text().splitlines()
    assert rejects[0] == "line,field,reason,phone,timezone,tag"
    assert [tuple(line.split(",")[:2]) for line in rejects[1:]] == [
        ("3", "phone"),
        ("4", "timezone"),
        ("5", "row"),
        ("7", "timezone"),
        ("6", "phone"),
    ]
    assert "line 2 has this number already" in rejects[5]
    assert stored(connection) == [("79160000001", "916", "a", "UTC")]


def test_a_mended_rejects_file_can_be_imported(
    mailer: Mailer, connection: Connection, tmp_path: Path
) -> None:
    file = write(tmp_path, "phone,timezone\nnope,UTC\n")
    mailer("client", "import", file)
    rejects = Path(f"{file}.rejects.csv")
    rejects.write_text(rejects.read_text().replace("nope,UTC", "79160000001,UTC"))
    assert mailer("client", "import", str(rejects)).code == 0
    assert stored(connection) == [("79160000001", "916", None, "UTC")]


def test_no_rejects_file_is_left_when_nothing_was_rejected(mailer: Mailer, tmp_path: Path) -> None:
    mailer("client", "import", write(tmp_path, TEXT.format(d=",")))
    assert [path.name for path in tmp_path.glob("*.csv*")] == ["clients.csv"]


def test_a_dry_run_tells_the_same_and_changes_nothing(
    mailer: Mailer, connection: Connection, tmp_path: Path
) -> None:
    ended = mailer("client", "import", write(tmp_path, TEXT.format(d=",")), "--dry-run", "-o", "json")
    assert json.loads(ended.out)["new"] == 2
    assert stored(connection) == []


def test_columns_that_the_file_lacks_leave_known_clients_as_they_are(
    mailer: Mailer, connection: Connection, tmp_path: Path
) -> None:
    mailer(
        "client", "add", "79160000001", "--timezone", "Asia/Omsk", "--tag", "vip", "--operator-code", "903"
    )
    ended = mailer("client", "import", write(tmp_path, "phone,timezone\n79160000001,UTC\n"), "-o", "json")
    assert json.loads(ended.out)["changed"] == 1
    assert stored(connection) == [("79160000001", "903", "vip", "UTC")]
    mailer("client", "import", write(tmp_path, "phone,tag\n79160000001,\n"))
    assert stored(connection) == [("79160000001", "903", None, "UTC")]


def test_a_new_client_without_a_zone_is_refused_unless_a_default_is_given(
    mailer: Mailer, connection: Connection, tmp_path: Path
) -> None:
    file = write(tmp_path, "phone\n79160000001\n")
    assert mailer("client", "import", file).code == 1
    assert stored(connection) == []
    assert mailer("client", "import", file, "--timezone", "UTC").code == 0
    assert stored(connection) == [("79160000001", "916", None, "UTC")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "file: it is empty"),
        ("\n\n", "file: it is empty"),
        ("name,timezone\nx,UTC\n", "unknown column 'name'"),
        ("timezone\nUTC\n", "no column phone"),
        ("phone,phone\n1,2\n", "two columns for phone"),
    ],
)
def test_a_file_that_cannot_be_used_at_all_says_so_and_nothing_is_done(
    mailer: Mailer, connection: Connection, tmp_path: Path, text: str, told: str
) -> None:
    ended = mailer("client", "import", write(tmp_path, text))
    assert ended.code == 1
    assert told in ended.err
    assert stored(connection) == []
    assert [path.name for path in tmp_path.glob("*clients*")] == ["clients.csv"]


def test_a_missing_file_is_named(mailer: Mailer) -> None:
    ended = mailer("client", "import", "nowhere.csv")
    assert ended.code == 1
    assert "nowhere.csv: No such file" in ended.err


def test_an_endless_line_and_an_open_quote_spoil_only_themselves(
    mailer: Mailer, connection: Connection, tmp_path: Path
) -> None:
    text = f"phone,timezone,tag\n79160000001,UTC,a\n79160000002,UTC,{'x' * 3_000_000}\n79160000003,UTC,c\n"
    ended = mailer("client", "import", write(tmp_path, text), "-o", "json")
    assert json.loads(ended.out) == {"new": 2, "changed": 0, "same": 0, "rejected": 1}
    assert [row[0] for row in stored(connection)] == ["79160000001", "79160000003"]


def test_a_nul_and_undecodable_bytes_spoil_only_their_rows(
    mailer: Mailer, connection: Connection, tmp_path: Path
) -> None:
    path = tmp_path / "clients.csv"
    filler = b"".join(b"7916%07d,UTC,a\n" % n for n in range(100_000))
    path.write_bytes(
        b"phone,timezone,tag\n"
        + filler
        + b"79170000001,UTC,\xff\xfe\n79170000002,UTC,a\x00b\n79170000003,UTC,c\n"
    )
    ended = mailer("client", "import", str(path), "-o", "json")
    assert json.loads(ended.out)["rejected"] == 2, ended.err
    assert connection.execute("SELECT count(*) FROM client").fetchone() == (100_001,)


def test_a_bulk_import_is_one_event_and_finds_clients_who_moved_into_open_windows(
    mailer: Mailer, connection: Connection, tmp_path: Path
) -> None:
    mailer("client", "import", write(tmp_path, TEXT.format(d=",")))
    assert connection.execute("SELECT action, new FROM event").fetchall() == [
        ("clients imported", {"new": 2, "changed": 0, "same": 0, "rejected": 0})
    ]


def test_standard_input_is_read_and_two_imports_at_once_do_not_collide(
    dsn: Dsn, connection: Connection, tmp_path: Path
) -> None:
    rows = "phone,timezone\n" + "".join(f"7916{n:07d},UTC\n" for n in range(5_000))
    results: list[dict[str, int]] = []

    def import_it() -> None:
        ended = subprocess.run(
            [sys.executable, "-m", "mailer_cli", "client", "import", "-", "-o", "json"],
            input=rows.encode(),
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "DATABASE_URL": dsn.address},
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        results.append(json.loads(ended.stdout))

    threads = [threading.Thread(target=import_it) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(result["new"] for result in results) == [0, 0, 5_000]
    assert connection.execute("SELECT count(*) FROM client").fetchone() == (5_000,)
