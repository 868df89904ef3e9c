"""What an operator sees when something is wrong: one or two lines, never a traceback, never a secret."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from conftest import CONFIGURED, Ended, Mailer
from mailer_cli.cli import main
from mailer_cli.database import Dsn

SECRET = "s3cret-that-must-not-show"


def assert_told(ended: Ended, code: int, told: str) -> None:
    assert ended.code == code, ended.err
    assert told in ended.err
    assert len(ended.err.strip().splitlines()) <= 2
    assert "Traceback" not in ended.err
    assert SECRET not in ended.err + ended.out


def test_a_database_that_is_down_is_a_case_for_trying_again(
    run: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://mailer:{SECRET}@127.0.0.1:9/mailer")
    assert_told(run("report"), 75, "the database cannot be reached")


def test_a_database_that_does_not_exist_is_named_as_such(
    run: Mailer, dsn: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", make_conninfo(dsn.address, dbname="no_such_database"))
    assert_told(run("report"), 1, "does not exist")


def test_an_address_that_cannot_be_read_is_not_repeated(run: Mailer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://mailer:{SECRET}@host:notaport/x")
    assert run("report").code in {1, 75}
    monkeypatch.setenv("DATABASE_URL", f"nonsense {SECRET}")
    assert_told(run("report"), 1, "DATABASE_URL cannot be read")


def test_a_database_without_a_schema_says_which_command_makes_one(
    run: Mailer, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute("CREATE DATABASE mailer_test_bare")
    try:
        address = make_conninfo(postgres, dbname="mailer_test_bare")
        monkeypatch.setenv("DATABASE_URL", address)
        assert_told(run("report"), 1, "run `mailer db upgrade`")
        assert_told(run("client", "add", "79161234567", "--timezone", "UTC"), 1, "run `mailer db upgrade`")
        assert run("db", "upgrade").code == 0
        assert run("report").code == 0
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '0000'")
            assert_told(run("report"), 1, "older")
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
            assert run("report").code == 0  # it was only added to
            connection.execute("UPDATE alembic_version SET works_with = '9998'")
            assert_told(run("report"), 1, "newer")
    finally:
        with psycopg.connect(postgres, autocommit=True) as server:
            server.execute("DROP DATABASE mailer_test_bare WITH (FORCE)")


def test_a_wrong_password_is_told_without_showing_it(
    run: Mailer, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute("DROP ROLE IF EXISTS mailer_test_stranger")
    parts = conninfo_to_dict(postgres)
    monkeypatch.setenv(
        "DATABASE_URL", make_conninfo("", **{**parts, "user": "mailer_test_stranger", "password": SECRET})
    )
    assert_told(run("report"), 1, "check DATABASE_URL or POSTGRES_")


def test_a_full_disk_is_told_as_such(run: Mailer, dsn: Dsn, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise psycopg.errors.DiskFull("could not extend file")

    monkeypatch.setenv("DATABASE_URL", dsn.address)
    monkeypatch.setattr("mailer_cli.reports.totals", full)
    assert_told(run("report"), 75, "disk is full")


def test_a_bug_is_called_a_bug_without_quoting_anything(
    run: Mailer, dsn: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setenv("DATABASE_URL", dsn.address)
    monkeypatch.setattr("mailer_cli.reports.totals", broken)
    assert_told(run("report"), 3, "this is a bug in mailer: RuntimeError")


def test_a_setting_that_cannot_be_used_is_named_and_its_value_is_not(
    run: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_CONCURRENCY", SECRET)
    assert_told(run("report"), 1, "MAILER_CONCURRENCY")


@pytest.mark.parametrize(
    "argv", [("nonsense",), ("report", "--nonsense"), ("report", "x"), ("client", "add")]
)
def test_a_wrong_command_line_is_a_usage_error(run: Mailer, argv: tuple[str, ...]) -> None:
    ended = run(*argv)
    assert ended.code == 2
    assert "Usage: mailer" in ended.err


def test_settings_come_from_the_environment_before_dot_env_before_the_users_file(
    run: Mailer, tmp_path: Path, dsn: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = tmp_path / ".config" / "mailer" / "env"
    user.parent.mkdir(parents=True)
    user.write_text(f"DATABASE_URL='{dsn.address}'\nMAILER_DEFAULT_TIMEZONE=Asia/Omsk\n")
    assert run("client", "add", "79160000001", "-o", "csv").out.splitlines()[1].split(",")[4] == "Asia/Omsk"
    (tmp_path / ".env").write_text("MAILER_DEFAULT_TIMEZONE=Asia/Almaty\n")
    assert run("client", "add", "79160000002", "-o", "csv").out.splitlines()[1].split(",")[4] == "Asia/Almaty"
    monkeypatch.setenv("MAILER_DEFAULT_TIMEZONE", "UTC")
    assert run("client", "add", "79160000003", "-o", "csv").out.splitlines()[1].split(",")[4] == "UTC"


def test_the_original_services_variables_select_a_server(
    run: Mailer, dsn: Dsn, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = conninfo_to_dict(dsn.address)
    monkeypatch.setenv("DB_HOST", str(parts["host"]))
    monkeypatch.setenv("DB_PORT", str(parts.get("port", 5432)))
    monkeypatch.setenv("DB_NAME", str(parts["dbname"]))
    monkeypatch.setenv("POSTGRES_USER", str(parts["user"]))
    assert run("report", "-o", "json").out == "[]\n"


def test_whoever_reads_our_output_may_stop_reading(dsn: Dsn, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURED)}
    ended = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' -m mailer_cli --help | true; exit ${{PIPESTATUS[0]}}"],
        env=kept | {"HOME": str(tmp_path), "DATABASE_URL": dsn.address},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_db_url_opens_the_database_in_use(mailer: Mailer) -> None:
    address = mailer("db", "url").out.strip()
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT count(*) FROM client").fetchone() == (0,)


def test_main_can_be_called_without_a_shell() -> None:
    assert main(["--version"]) == 0
