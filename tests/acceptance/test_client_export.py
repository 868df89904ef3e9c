"""`mailer client export`: what is exported is imported as it was, into the same database and any other."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from conftest import Mailer, fresh_database
from factories import a_client
from mailer_cli import database
from mailer_cli.database import Connection, Dsn
from memory import lines_and_peak

HEADER = "phone,timezone,tag,operator_code\n"
A_DAY = datetime(2026, 11, 2, tzinfo=UTC)
HOSTILE = (
    *("=cmd|' /C calc'!A0", "+7", "-1", "@SUM(A1)", "'=x", "''''-x", "'\tx", "'", "''", "'x", "x;=y"),
    *("=HYPERLINK(\"http://evil\",\"a\")", '"quoted", x', '"', "a;b", "a,b", "a\tb", "a\nb", "a\rb"),
    *("[red]x[/red]", "\x1b[31mred", "\u202eevil", "\ufeffmark", "\\N", "\\.", "\\t", "NULL", "#", "вип"),
    *("😀👨‍👩‍👧‍👦", "й", "x" * 200, "😀" * 200, "x" + "\n" * 198 + "x", '"' * 200, "a  b", "a\r\n\nb"),
)  # fmt: skip


def hostile_clients(connection: Connection) -> int:
    """Clients with every hostile tag, in no order, with zones and operator codes of all kinds."""
    zones = ("Europe/Moscow", "UTC+03:00", "UTC-09:30", "UTC", "Asia/Omsk")
    number = len(HOSTILE)
    for n, tag in enumerate(HOSTILE):
        phone = f"7916{(n * 7919) % 10_000_000:07d}"
        code = ("916", "903", "000")[n % 3]
        a_client(connection, phone=phone, tag=tag, timezone=zones[n % len(zones)], operator_code=code)
    a_client(connection, phone="79990000000", tag=None)
    return number + 1


def stored(connection: Connection) -> list[tuple[Any, ...]]:
    return connection.execute(
        "SELECT phone, timezone, tag, operator_code FROM client ORDER BY phone"
    ).fetchall()


def summary(out: str) -> tuple[int, ...]:
    return tuple(json.loads(out).values())


@contextmanager
def another_database(postgres: str, template: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """A second, fresh database, which commands use meanwhile."""
    with fresh_database(postgres, template) as dsn, monkeypatch.context() as patched:
        patched.setenv("DATABASE_URL", dsn.address)
        with database.connect(dsn) as connection:
            yield connection


def test_an_export_fills_another_database_with_the_same_clients_and_exports_the_same_bytes(
    mailer: Mailer, connection: Connection, postgres: str, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = hostile_clients(connection)
    assert mailer("client", "export", "clients.csv").code == 0
    with another_database(postgres, template, monkeypatch) as other:
        imported = mailer("client", "import", "clients.csv", "-o", "json")
        assert (imported.code, summary(imported.out)) == (0, (number, 0, 0, 0))
        assert stored(other) == stored(connection)
        assert mailer("client", "export", "again.csv").code == 0
    assert Path("again.csv").read_bytes() == Path("clients.csv").read_bytes()


def test_an_export_imported_where_it_came_from_changes_nothing(
    mailer: Mailer, connection: Connection
) -> None:
    number = hostile_clients(connection)
    muted = a_client(connection, phone="79990000001", muted_at=A_DAY)
    mailer("client", "export", "clients.csv")
    imported = mailer("client", "import", "clients.csv", "-o", "json")
    assert (imported.code, summary(imported.out)) == (0, (0, 0, number + 1, 0))
    [still] = connection.execute("SELECT muted_at FROM client WHERE id = %s", [muted]).fetchall()
    assert still == (A_DAY,)


def test_no_cell_of_an_export_is_a_formula(mailer: Mailer, connection: Connection) -> None:
    hostile_clients(connection)
    mailer("client", "export", "clients.csv")
    cells = [cell for row in csv.reader(io.StringIO(Path("clients.csv").read_text())) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_the_other_lists_as_csv_hold_no_formula_and_json_has_the_text_as_it_is(
    mailer: Mailer, connection: Connection
) -> None:
    a_client(connection, tag="=1+1")
    assert ",'=1+1," in mailer("client", "list", "-o", "csv").out
    assert ",'=1+1," in mailer("client", "show", "1", "-o", "csv").out
    assert json.loads(mailer("client", "list", "-o", "jsonl").out)["tag"] == "=1+1"


def test_a_rejects_file_holds_no_formula_and_can_be_mended(mailer: Mailer, connection: Connection) -> None:
    text = "phone,timezone,tag\nnope,UTC,=1\nnope,UTC,'=2\nnope,UTC,''=3\n79160000001,,=4\n"
    Path("clients.csv").write_text(text)
    assert mailer("client", "import", "clients.csv").code == 1
    rejects = Path("clients.csv.rejects.csv")
    rows = rejects.read_text().splitlines()
    assert [row.rpartition(",")[2] for row in rows] == ["tag", "'=1", "'=2", "''=3", "'=4"]
    mended = rejects.read_text().replace("79160000001,,", "79160000001,UTC,")
    rejects.write_text("\n".join(mend(row, n) for n, row in enumerate(mended.splitlines())))
    assert mailer("client", "import", str(rejects)).code == 0
    assert sorted(str(row[2]) for row in stored(connection)) == ["'=3", "=1", "=2", "=4"]


def mend(row: str, n: int) -> str:
    return row.replace(",nope,", f",7916000001{n},")


def test_stdout_has_the_file_and_stderr_the_talk(mailer: Mailer, connection: Connection) -> None:
    a_client(connection, phone="79160000001", timezone="UTC+03:00", operator_code="903")
    for argv in ((), ("-",)):
        ended = mailer("client", "export", *argv)
        assert (ended.code, ended.out) == (0, HEADER + "79160000001,UTC+03:00,,903\n")
        assert ended.err == "1 client exported\n"


def test_json_lines_have_the_same_keys(mailer: Mailer, connection: Connection) -> None:
    a_client(connection, phone="79160000001", timezone="UTC", tag="=x\n")
    assert json.loads(mailer("client", "export", "-o", "jsonl").out) == {
        "phone": "79160000001",
        "timezone": "UTC",
        "tag": "=x\n",
        "operator_code": "916",
    }
    assert mailer("client", "export", "-o", "table").code == 2


def test_the_filters_are_those_of_the_list(mailer: Mailer, connection: Connection) -> None:
    a_client(connection, phone="79160000001", tag="a", timezone="UTC")
    a_client(connection, phone="79160000002", tag="b", timezone="UTC")
    a_client(connection, phone="79160000003", tag="a", timezone="Asia/Omsk")
    a_client(connection, phone="79030000004", tag="a", timezone="UTC")
    options = ("--operator", "916", "--tag", "a", "--timezone", "UTC")
    assert mailer("client", "export", *options).out == HEADER + "79160000001,UTC,a,916\n"
    assert mailer("client", "export", "--timezone", "Europe/Moskow").code == 1


def test_muted_clients_are_exported_and_told_of_and_removed_ones_are_not(
    mailer: Mailer, connection: Connection
) -> None:
    a_client(connection, phone="79160000000")
    a_client(connection, phone="79160000001", muted_at=A_DAY)
    a_client(connection, phone="79160000002", removed_at=A_DAY)
    ended = mailer("client", "export")
    assert [line[:11] for line in ended.out.splitlines()[1:]] == ["79160000000", "79160000001"]
    assert "1 of them is muted, which the file does not tell" in ended.err
    assert [line[:11] for line in mailer("client", "export", "--muted").out.splitlines()[1:]] == [
        "79160000001"
    ]
    assert "muting is not in the file" in " ".join(mailer("client", "export", "--help").out.split())


def test_nobody_is_a_header_alone(mailer: Mailer) -> None:
    ended = mailer("client", "export", "clients.csv")
    assert (ended.code, Path("clients.csv").read_text()) == (0, HEADER)
    assert "0 clients exported to clients.csv; see `mailer client count`" in ended.err
    assert mailer("client", "import", "clients.csv").code == 0


def test_a_file_is_its_owners_only_and_what_to_do_next_is_told(
    mailer: Mailer, connection: Connection
) -> None:
    a_client(connection)
    ended = mailer("client", "export", "my clients.csv")
    assert (ended.out, ended.err.splitlines()) == (
        "",
        [
            "1 client exported to my clients.csv",
            "next: `mailer client import 'my clients.csv'`, here or with another database",
        ],
    )
    assert Path("my clients.csv").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in Path().iterdir()] == ["my clients.csv"]


def test_a_file_that_is_there_is_replaced_by_force_only(mailer: Mailer, connection: Connection) -> None:
    a_client(connection)
    file = Path("clients.csv")
    file.write_text("precious")
    ended = mailer("client", "export", "clients.csv")
    assert ended.code == 1
    assert ended.err == ("mailer: clients.csv is there already; name another, or replace it with --force\n")
    assert file.read_text() == "precious"
    Path("link.csv").symlink_to(file)
    assert mailer("client", "export", "link.csv", "--force").code == 0
    assert file.read_text().startswith(HEADER)
    assert Path("link.csv").is_symlink()


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (".", ". is a directory; name a file in it"),
        ("/dev/null", "/dev/null is no regular file; `mailer client export -` writes to stdout"),
        ("no/such/place.csv", "is no directory; make it, or name another"),
        ("x" * 300, "cannot be written: File name too long"),
    ],
)
def test_a_place_where_no_file_can_be_is_refused(mailer: Mailer, place: str, told: str) -> None:
    ended = mailer("client", "export", place, "--force")
    assert ended.code == 1
    assert told in ended.err
    assert list(Path().iterdir()) == []


def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    mailer: Mailer, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    a_client(connection)
    Path("clients.csv").write_text("precious")
    monkeypatch.setattr("os.fsync", full)
    ended = mailer("client", "export", "clients.csv", "--force")
    assert ended.code == 1
    assert ended.err == "mailer: clients.csv cannot be written: No space left on device\n"
    assert Path("clients.csv").read_text() == "precious"
    assert [path.name for path in Path().iterdir()] == ["clients.csv"]


def test_a_file_made_meanwhile_is_not_replaced(mailer: Mailer, connection: Connection) -> None:
    a_client(connection)

    def somebody_makes_it(_: int) -> None:
        Path("clients.csv").write_text("theirs")

    with patch("os.fsync", somebody_makes_it):
        ended = mailer("client", "export", "clients.csv")
    assert (ended.code, Path("clients.csv").read_text()) == (1, "theirs")
    assert [path.name for path in Path().iterdir()] == ["clients.csv"]


def test_a_file_written_from_a_terminal_has_the_text_as_it_is(mailer: Mailer, connection: Connection) -> None:
    a_client(connection, phone="79160000001", tag="\x1b[31mred", timezone="UTC")
    with patch.object(sys.stdout, "isatty", lambda: True):
        mailer("client", "export", "clients.csv")
        shown = mailer("client", "export").out
    assert Path("clients.csv").read_text() == HEADER + "79160000001,UTC,\x1b[31mred,916\n"
    assert shown == HEADER + "79160000001,UTC,\\x1b[31mred,916\n"


def test_a_pipe_takes_utf_8_whatever_the_locale(dsn: Dsn, connection: Connection, tmp_path: Path) -> None:
    a_client(connection, phone="79160000001", timezone="UTC", tag="вип 😀")
    ended = subprocess.run(
        [sys.executable, "-m", "mailer_cli", "client", "export"],
        capture_output=True,
        env=environment(dsn, tmp_path) | {"PYTHONIOENCODING": "cp1251"},
        cwd=tmp_path,
        check=True,
    )
    assert ended.stdout.decode() == HEADER + "79160000001,UTC,вип 😀,916\n"


def test_ctrl_c_leaves_no_file(dsn: Dsn, connection: Connection, tmp_path: Path) -> None:
    """The cursor waits for a lock that the test holds, with the file already begun."""
    with connection.transaction():
        connection.execute("LOCK TABLE client IN ACCESS EXCLUSIVE MODE")
        with subprocess.Popen(
            [sys.executable, "-m", "mailer_cli", "client", "export", "clients.csv"],
            stderr=subprocess.PIPE,
            env=environment(dsn, tmp_path),
            cwd=tmp_path,
        ) as exporting:
            wait_for_a_file(tmp_path)
            exporting.send_signal(signal.SIGINT)
            assert exporting.wait(20) == 130
            assert exporting.stderr is not None
            assert b"Traceback" not in exporting.stderr.read()
    assert list(tmp_path.iterdir()) == []


def wait_for_a_file(directory: Path) -> None:
    give_up = time.monotonic() + 20
    while not list(directory.iterdir()):
        assert time.monotonic() < give_up, "no file was begun"
        time.sleep(0.01)


def environment(dsn: Dsn, home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "DATABASE_URL": dsn.address}


def test_a_reader_who_has_seen_enough_is_no_failure(dsn: Dsn, connection: Connection, tmp_path: Path) -> None:
    connection.execute(
        "INSERT INTO client (phone, operator_code, timezone) "
        "SELECT '7916' || lpad(n::text, 7, '0'), '916', 'UTC' FROM generate_series(1, 20000) n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "mailer_cli", "client", "export"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(dsn, tmp_path),
        cwd=tmp_path,
    ) as exporting:
        assert exporting.stdout is not None
        assert exporting.stderr is not None
        assert exporting.stdout.readline().decode() == HEADER
        exporting.stdout.close()
        assert exporting.stderr.read() == b""
    assert exporting.returncode == 0


def test_memory_does_not_grow_with_the_clients(dsn: Dsn, connection: Connection, tmp_path: Path) -> None:
    add = (
        "INSERT INTO client (phone, operator_code, tag, timezone) "
        "SELECT '7916' || lpad(n::text, 7, '0'), '916', 'tag ' || n, 'UTC' FROM generate_series({}, {}) n"
    )
    peaks = []
    for first, last in ((1, 20_000), (20_001, 200_000)):
        connection.execute(add.format(first, last).encode())
        lines, peak = lines_and_peak(dsn, tmp_path, "client", "export")
        assert lines == last + 1
        peaks.append(peak)
    assert peaks[1] - peaks[0] < 6_000  # kB; the rows alone would be ten times that
