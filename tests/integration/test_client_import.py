"""Importing: what ends up stored, what is rejected, and that all of it happens or nothing."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from conftest import Ended, Mailer
from factories import a_client, a_mailing, an_open_window
from mailer_cli import database
from mailer_cli.database import Connection, Dsn

TEXT = "phone{d}timezone{d}tag\n+7 916 000-00-01{d}Europe/Moscow{d}вип\n89160000002{d}Asia/Omsk{d}\n"
PROGRAM = [sys.executable, "-m", "mailer_cli", "client", "import"]


def write(text: str, encoding: str = "utf-8", name: str = "clients.csv") -> str:
    Path(name).write_bytes(text.encode(encoding))
    return name


def stored(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT phone, operator_code, tag, timezone FROM client ORDER BY phone"
    ).fetchall()


def summary(ended: Ended) -> tuple[int, ...]:
    found = json.loads(ended.out)
    assert list(found) == ["new", "changed", "same", "rejected"]
    return tuple(found.values())


def imported(mailer: Mailer, text: str, *options: str) -> tuple[int, ...]:
    return summary(mailer("client", "import", write(text), "-o", "json", *options))


def environment(dsn: Dsn, home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "DATABASE_URL": dsn.address}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1251"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_usual_encodings_and_delimiters_are_told_apart(
    mailer: Mailer, connection: Connection, encoding: str, delimiter: str
) -> None:
    ended = mailer("client", "import", write(TEXT.format(d=delimiter), encoding), "-o", "json")
    assert (ended.code, summary(ended)) == (0, (2, 0, 0, 0))
    assert stored(connection) == [
        ("79160000001", "916", "вип", "Europe/Moscow"),
        ("79160000002", "916", None, "Asia/Omsk"),
    ]
    assert ("read as cp1251" in ended.err) == (encoding == "cp1251")


def test_encoding_and_delimiter_may_be_given(mailer: Mailer, connection: Connection) -> None:
    name = write("phone|timezone|tag\n79160000001|UTC|вип\n", "koi8-r")
    ended = mailer("client", "import", name, "--encoding", "koi8-r", "--delimiter", "|")
    assert ended.code == 0
    assert stored(connection) == [("79160000001", "916", "вип", "UTC")]


def test_russian_headers_are_read(mailer: Mailer, connection: Connection) -> None:
    assert imported(mailer, "Телефон;Часовой пояс;Тег;Код оператора\n79160000001;UTC;а;903\n") == (1, 0, 0, 0)
    assert stored(connection) == [("79160000001", "903", "а", "UTC")]


def test_new_changed_same_and_rejected_are_counted_exactly(mailer: Mailer, connection: Connection) -> None:
    a_client(connection, phone="79160000001", timezone="UTC", tag="a")
    a_client(connection, phone="79160000002", timezone="UTC", tag="b")
    same = connection.execute("SELECT xmin FROM client WHERE phone = '79160000001'").fetchone()
    text = (
        "phone,timezone,tag\n79160000001,UTC,a\n79160000002,UTC,new\n79160000003,UTC,c\n"
        "79160000003,UTC,c\nnope,UTC,d\n"
    )
    assert imported(mailer, text) == (1, 1, 2, 1)
    assert stored(connection) == [
        ("79160000001", "916", "a", "UTC"),
        ("79160000002", "916", "new", "UTC"),
        ("79160000003", "916", "c", "UTC"),
    ]
    assert connection.execute("SELECT xmin FROM client WHERE phone = '79160000001'").fetchone() == same


def test_importing_again_is_all_the_same_and_uses_up_no_ids(mailer: Mailer, connection: Connection) -> None:
    text = TEXT.format(d=",")
    assert imported(mailer, text) == (2, 0, 0, 0)
    assert imported(mailer, text) == (0, 0, 2, 0)
    assert a_client(connection, phone="79169999999") == 3


def test_a_default_zone_is_for_new_clients_only(mailer: Mailer, connection: Connection) -> None:
    a_client(connection, phone="79160000001", timezone="UTC")
    text = "phone,timezone\n79160000001,\n79160000002,\n"
    assert imported(mailer, text, "--timezone", "Asia/Omsk") == (1, 0, 1, 0)
    assert imported(mailer, "phone,tag\n79160000001,x\n", "--timezone", "Asia/Omsk") == (0, 1, 0, 0)
    assert stored(connection) == [
        ("79160000001", "916", "x", "UTC"),
        ("79160000002", "916", None, "Asia/Omsk"),
    ]


def test_a_new_client_without_a_zone_is_rejected_and_a_later_row_with_one_counts(
    mailer: Mailer, connection: Connection
) -> None:
    text = "phone,timezone,tag\n79160000001,,vip\n79160000001,UTC,b\n79160000002,,c\n"
    assert imported(mailer, text) == (1, 0, 0, 2)
    assert stored(connection) == [("79160000001", "916", "b", "UTC")]
    lines = Path("clients.csv.rejects.csv").read_text().splitlines()
    assert lines[0] == "line,field,reason,phone,timezone,tag"
    assert [line.split(",")[:2] for line in lines[1:]] == [["2", "timezone"], ["4", "timezone"]]
    assert lines[1].endswith(",79160000001,,vip")


def test_columns_and_cells_that_say_nothing_leave_a_known_client_as_it_is(
    mailer: Mailer, connection: Connection
) -> None:
    a_client(connection, phone="79160000001", timezone="Asia/Omsk", tag="vip", operator_code="903")
    assert imported(mailer, "phone\n79160000001\n") == (0, 0, 1, 0)
    assert imported(mailer, "phone,timezone\n79160000001,\n") == (0, 0, 1, 0)
    assert imported(mailer, "phone,timezone\n79160000001,UTC\n") == (0, 1, 0, 0)
    assert stored(connection) == [("79160000001", "903", "vip", "UTC")]
    assert imported(mailer, "phone,tag\n79160000001,\n") == (0, 1, 0, 0)
    assert stored(connection) == [("79160000001", "903", None, "UTC")]


def test_a_removed_client_is_back_under_the_old_id_and_one_who_was_muted_stays_so(
    mailer: Mailer, connection: Connection
) -> None:
    client = a_client(connection, phone="79160000001", timezone="UTC")
    mailer("client", "mute", str(client))
    mailer("client", "remove", str(client), "--yes")
    assert imported(mailer, "phone,timezone\n79160000001,UTC\n") == (0, 1, 0, 0)
    row = connection.execute("SELECT id, removed_at, muted_at IS NOT NULL FROM client").fetchone()
    assert row == (client, None, True)


def test_a_number_that_comes_again_with_other_values_is_rejected_naming_the_line_that_counts(
    mailer: Mailer, connection: Connection
) -> None:
    text = "phone,timezone,tag\n79160000001,UTC,a\n79160000001,UTC,a\n8 916 000 00 01,UTC,b\n"
    assert imported(mailer, text) == (1, 0, 1, 1)
    assert stored(connection) == [("79160000001", "916", "a", "UTC")]
    [_, reject] = Path("clients.csv.rejects.csv").read_text().splitlines()
    assert reject.startswith("4,phone,")
    assert "line 2 has this number already" in reject
    assert reject.endswith(",79160000001,UTC,b")


@pytest.mark.parametrize(("encoding", "delimiter"), [("utf-8", ","), ("cp1251", ";"), ("utf-8-sig", "\t")])
def test_a_rejects_file_is_written_as_the_file_was_and_can_be_mended_and_imported(
    mailer: Mailer, connection: Connection, encoding: str, delimiter: str
) -> None:
    text = "phone,timezone,тег\nnope,UTC,вип\n79160000002,Mars/Base,б\n".replace(",", delimiter)
    assert mailer("client", "import", write(text, encoding), "--rejects", "bad.csv").code == 1
    mended = Path("bad.csv").read_bytes().decode(encoding)
    assert mended.splitlines()[0].split(delimiter) == ["line", "field", "reason", "phone", "timezone", "тег"]
    mended = mended.replace(f"{delimiter}nope{delimiter}", f"{delimiter}79160000001{delimiter}")
    mended = mended.replace("Mars/Base" + delimiter + "б", "UTC" + delimiter + "б")
    Path("bad.csv").write_bytes(mended.encode(encoding))
    ended = mailer("client", "import", "bad.csv", "-o", "json")
    assert (ended.code, summary(ended)) == (0, (2, 0, 0, 0))
    assert [row[2] for row in stored(connection)] == ["вип", "б"]


def test_no_rejects_file_is_made_when_nothing_is_rejected(mailer: Mailer) -> None:
    before = {path.name for path in Path().iterdir()}
    assert imported(mailer, TEXT.format(d=",")) == (2, 0, 0, 0)
    assert {path.name for path in Path().iterdir()} - before == {"clients.csv"}


def test_a_rejects_file_that_cannot_be_written_undoes_the_import(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    ended = mailer("client", "import", write("phone,timezone\n79160000001,UTC\nnope,UTC\n"))
    assert ended.code == 1
    assert "rejects file clients.csv.rejects.csv: No space left on device; nothing was imported" in ended.err
    assert stored(connection) == []
    assert [path.name for path in Path().glob("*clients*")] == ["clients.csv"]
    assert list(Path().glob(".*rejects*")) == []


def test_a_place_for_rejects_that_cannot_be_is_refused_before_anything_is_read(
    mailer: Mailer, connection: Connection
) -> None:
    name = write(TEXT.format(d=","))
    for place in (".", "no/such/place.csv", name):
        ended = mailer("client", "import", name, "--rejects", place)
        assert ended.code == 1
        assert ended.err.startswith("mailer: rejects: ")
    assert stored(connection) == []


def test_a_dry_run_counts_the_same_and_leaves_nothing_in_the_database(
    mailer: Mailer, connection: Connection
) -> None:
    text = TEXT.format(d=",") + "nope,UTC,\n"
    assert imported(mailer, text, "--dry-run") == (2, 0, 0, 1)
    assert stored(connection) == []
    assert connection.execute("SELECT count(*) FROM event").fetchone() == (0,)
    assert Path("clients.csv.rejects.csv").exists()
    assert imported(mailer, text) == (2, 0, 0, 1)


def test_one_event_holds_the_counts_and_windows_of_changed_clients_look_again(
    mailer: Mailer, connection: Connection
) -> None:
    a_client(connection, phone="79160000001", timezone="UTC")
    mailing = a_mailing(connection)
    for zone in ("Asia/Omsk", "Europe/Moscow"):
        an_open_window(connection, mailing, zone=zone)
    connection.execute("UPDATE mailing_window SET state = 'scanned', position = 99")
    text = "phone,timezone\n79160000001,Asia/Omsk\n79160000002,Europe/Moscow\n"
    assert imported(mailer, text) == (1, 1, 0, 0)
    again = "SELECT DISTINCT zone FROM mailing_window WHERE catching_up AND state = 'open'"
    assert connection.execute(again).fetchall() == [("Asia/Omsk",)]
    assert connection.execute("SELECT action, new FROM event").fetchall() == [
        ("clients imported", {"new": 1, "changed": 1, "same": 0, "rejected": 0})
    ]


@pytest.mark.parametrize("name", ["nowhere.csv", "./nowhere.csv", "."])
def test_a_file_that_cannot_be_opened_is_named_as_it_was_typed(mailer: Mailer, name: str) -> None:
    ended = mailer("client", "import", name)
    assert ended.code == 1
    assert ended.err.startswith(f"mailer: {name}: ")


def test_hostile_tags_are_stored_as_they_are(mailer: Mailer, connection: Connection) -> None:
    tags = [
        "[red]x[/red]",
        "\x1b[31mred",
        'say "hi"',
        "two\nlines",
        "\u202eevil",
        "\\N",
        "a\\tb",
        "x\ty",
        "\\.",
    ]
    rows = "".join(f'7916000000{n},UTC,"{tag.replace(chr(34), chr(34) * 2)}"\n' for n, tag in enumerate(tags))
    assert imported(mailer, f"phone,timezone,tag\n{rows}") == (len(tags), 0, 0, 0)
    assert [row[2] for row in stored(connection)] == tags


def test_a_header_alone_is_no_error(mailer: Mailer) -> None:
    assert imported(mailer, "phone,timezone\n") == (0, 0, 0, 0)


def test_a_client_added_while_the_import_waits_for_the_phone_takes_over_what_the_file_gives(
    mailer: Mailer, dsn: Dsn, connection: Connection
) -> None:
    write("phone,tag\n79160000001,file\n79160000002,file\n")
    results: list[Ended] = []
    options = ("-o", "json", "--timezone", "Asia/Omsk")
    importing = threading.Thread(
        target=lambda: results.append(mailer("client", "import", "clients.csv", *options))
    )
    with database.connect(dsn) as other, other.transaction():
        a_client(other, phone="79160000001", timezone="UTC", tag="hand")
        importing.start()
        wait_for(connection, "INSERT INTO client", waiting=True)
    importing.join()
    assert summary(results[0]) == (1, 1, 0, 0)
    assert stored(connection) == [
        ("79160000001", "916", "file", "UTC"),
        ("79160000002", "916", "file", "Asia/Omsk"),
    ]


def test_imports_of_the_same_phones_at_once_make_each_client_once(
    dsn: Dsn, connection: Connection, tmp_path: Path
) -> None:
    phones = [f"7916{n:07d},UTC\n" for n in range(3_000)]
    orders = [phones, phones[::-1], phones[1_500:] + phones[:1_500]]
    started = [
        subprocess.Popen(
            [*PROGRAM, "-", "-o", "json"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(dsn, tmp_path),
            cwd=tmp_path,
        )
        for _ in orders
    ]
    ended = [
        each.communicate(("phone,timezone\n" + "".join(order)).encode())[0]
        for each, order in zip(started, orders, strict=True)
    ]
    results = [tuple(json.loads(out).values()) for out in ended]
    assert sorted(results) == [(0, 0, 3_000, 0), (0, 0, 3_000, 0), (3_000, 0, 0, 0)]
    assert connection.execute("SELECT count(*) FROM client").fetchone() == (3_000,)


def test_ctrl_c_in_the_middle_leaves_nothing_half_done(
    dsn: Dsn, connection: Connection, tmp_path: Path
) -> None:
    with subprocess.Popen(
        [*PROGRAM, "-"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(dsn, tmp_path),
        cwd=tmp_path,
    ) as importing:
        assert importing.stdin is not None
        assert importing.stderr is not None
        importing.stdin.write(b"phone,timezone\nnope,UTC\n")
        for n in range(200_000):
            importing.stdin.write(b"7916%07d,UTC\n" % n)
        importing.stdin.flush()
        wait_for(connection, "COPY client_import")
        importing.send_signal(signal.SIGINT)
        assert importing.wait(20) == 130
        assert b"Traceback" not in importing.stderr.read()
    assert stored(connection) == []
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_file(dsn: Dsn, tmp_path: Path) -> None:
    peaks = [peak_memory(dsn, tmp_path, number) for number in (20_000, 200_000)]
    assert peaks[1] - peaks[0] < 12_000  # kB; the rows alone would be five times that


def peak_memory(dsn: Dsn, home: Path, number: int) -> int:
    """The peak of an import, in kB, of so many rows, a tenth of them bad, made as they are read."""
    program = (
        "import sys; from pathlib import Path; from mailer_cli.cli import main; main(sys.argv[1:]);"
        "print(*(line.split()[1] for line in Path('/proc/self/status').open() if line.startswith('VmHWM')))"
    )
    arguments = ["client", "import", "-", "-o", "jsonl", "--timezone", "UTC", "--dry-run"]
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(dsn, home),
        cwd=home,
    ) as importing:
        assert importing.stdin is not None
        assert importing.stdout is not None
        importing.stdin.write(b"phone,tag\n")
        for n in range(number):
            importing.stdin.write(b"%s916%07d,tag %d\n" % (b"7" if n % 10 else b"5", n, n))
        importing.stdin.close()
        told, peak = importing.stdout.read().split(b"\n")[:2]
    assert json.loads(told)["new"] == number * 9 // 10
    return int(peak)


def wait_for(connection: Connection, statement: str, *, waiting: bool = False) -> None:
    """Return once another connection is running this statement (and waits for a lock)."""
    query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'
          AND query LIKE %s AND (NOT %s OR wait_event_type = 'Lock')
    """
    give_up = time.monotonic() + 20
    while connection.execute(query, [f"%{statement}%", waiting]).fetchone() == (0,):
        assert time.monotonic() < give_up, f"nobody ran {statement}"
        time.sleep(0.01)
