"""Settings: what is set and by what, and secrets that are kept elsewhere and may change at any time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import factories
from conftest import Ended, Mailer
from mailer_cli.database import Connection
from mailer_cli.sandbox import SandboxThread
from mailer_cli.settings import Settings

NOW = datetime.now(UTC)


def shown(run: Mailer) -> dict[str, dict[str, str]]:
    told = run("config", "show", "-o", "jsonl")
    assert told.code == 0
    return {row["name"]: row for row in map(json.loads, told.out.splitlines())}


def test_every_setting_is_shown_with_its_origin(
    run: Mailer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    user = tmp_path / ".config" / "mailer" / "env"
    user.parent.mkdir(parents=True)
    user.write_text("MAILER_LEASE=30\nMAILER_CONCURRENCY=7\nMAILER_RETRY_BASE=5\n")
    (tmp_path / ".env").write_text("MAILER_CONCURRENCY=8\nMAILER_RETRY_BASE=6\n")
    monkeypatch.setenv("MAILER_RETRY_BASE", "9")
    found = shown(run)
    assert found.keys() == {name.upper() for name in Settings.model_fields}
    assert {
        name: (row["value"], row["origin"]) for name, row in found.items() if row["origin"] != "default"
    } == {
        "MAILER_LEASE": (30.0, str(user)),
        "MAILER_CONCURRENCY": (8, ".env"),
        "MAILER_RETRY_BASE": (9.0, "environment"),
        "MAILER_HOME": (str(tmp_path / "mailer-home"), "environment"),
    }


def test_a_name_that_is_no_setting_is_told_of(run: Mailer, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("MAILER_CONCURENCY=8\nPATH_OF_SOMEBODY_ELSE=1\nPOSTGRES_DB=mailer\n")
    told = run("config", "show")
    assert ".env: MAILER_CONCURENCY is no setting of mailer; did you mean MAILER_CONCURRENCY?" in told.err
    assert "SOMEBODY_ELSE" not in told.err
    assert "POSTGRES_DB" not in told.err


@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_what_is_secret_is_hidden(run: Mailer, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setenv("JWT_TOKEN", "sesame")
    monkeypatch.setenv("POSTGRES_PASSWORD", "sesame")
    monkeypatch.setenv("JWT_TOKEN_COMMAND", "print-token --password sesame")
    monkeypatch.setenv("MESSAGE_SERVICE_URL", "https://user:sesame@service.example/send")
    monkeypatch.setenv("DATABASE_URL", "postgresql://anna:sesame@db.example/mailer?sslpassword=sesame")
    told = run("config", "show", "-o", form)
    assert told.code == 0
    assert "sesame" not in told.out + told.err
    assert "host=db.example" in told.out
    assert "service.example/send" in told.out


@pytest.mark.parametrize(
    "password", ["p@ss", "pass/word", "p#ss", "p?a=ss", "p%ss", "p:ss@", "[pass", "p ss@/"]
)
def test_a_password_with_odd_characters_is_never_quoted(
    run: Mailer, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://anna:{password}sesame@127.0.0.1:9/mailer")
    for line in ("report", "config show", "db status", "db url", "doctor"):
        told = run(*line.split())
        assert "sesame" not in (told.err + told.out if line != "db url" else told.err), line
        assert "bug in mailer" not in told.err


# -- tokens and passwords that are kept elsewhere


def sent(run: Mailer, monkeypatch: pytest.MonkeyPatch, connection: Connection, accepted: str) -> Ended:
    """Run one tick against a service that accepts one token."""
    with SandboxThread(token=accepted) as sandbox:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", sandbox.url)
        # The breaker's pause after a rejection is not what is tested here.
        connection.execute("UPDATE service SET probe_after = now(), probe_until = NULL")
        return run("dispatch")


@pytest.fixture
def due(connection: Connection) -> None:
    mailing = factories.a_mailing(connection, ends_at=datetime(2099, 1, 1))
    factories.clients(connection, 3, timezone="UTC")
    factories.an_open_window(connection, mailing, zone="UTC", closes_at=NOW + timedelta(hours=5))


def numbers(connection: Connection) -> dict[str, int]:
    return dict(connection.execute("SELECT status, count(*) FROM message GROUP BY 1").fetchall())


@pytest.mark.usefixtures("due")
def test_a_token_in_a_file_may_be_replaced_between_two_ticks(
    mailer: Mailer, monkeypatch: pytest.MonkeyPatch, connection: Connection, tmp_path: Path
) -> None:
    secret = tmp_path / "token"
    secret.write_text("yesterday\n")
    monkeypatch.setenv("JWT_TOKEN_FILE", str(secret))
    assert sent(mailer, monkeypatch, connection, "today").code == 4
    secret.write_text("today\n")
    assert sent(mailer, monkeypatch, connection, "today").code == 0
    assert numbers(connection) == {"sent": 3}


@pytest.mark.usefixtures("due")
def test_a_token_may_be_what_a_command_prints(
    mailer: Mailer, monkeypatch: pytest.MonkeyPatch, connection: Connection, tmp_path: Path
) -> None:
    program = tmp_path / "a vault"
    program.write_text("#!/bin/sh\necho today\necho and more\n")
    program.chmod(0o755)
    monkeypatch.setenv("JWT_TOKEN_COMMAND", f"'{program}' --quietly")
    assert sent(mailer, monkeypatch, connection, "today").code == 0
    assert numbers(connection) == {"sent": 3}


@pytest.mark.usefixtures("due")
@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("sh -c 'echo sesame; echo locked >&2; exit 3'", "ended with 3: locked"),
        ("true", "printed nothing"),
        ("no-such-program", "no-such-program: No such file"),
        ("echo 'unfinished", "cannot be read as a command"),
    ],
)
def test_a_command_that_prints_no_token_is_told_of_without_what_it_printed(
    mailer: Mailer, monkeypatch: pytest.MonkeyPatch, connection: Connection, command: str, reason: str
) -> None:
    monkeypatch.setenv("JWT_TOKEN_COMMAND", command)
    told = sent(mailer, monkeypatch, connection, "today")
    assert told.code == 1
    assert f"JWT_TOKEN_COMMAND {reason}" in told.err.replace(": no-such", " no-such")
    assert "sesame" not in told.err
    assert numbers(connection) == {}


def test_a_password_may_be_kept_in_a_file(
    run: Mailer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DB_HOST", "127.0.0.1")
    monkeypatch.setenv("DB_PORT", "9")
    monkeypatch.setenv("POSTGRES_PASSWORD_FILE", str(tmp_path / "missing"))
    told = run("report")
    assert told.code == 1
    assert told.err == f"mailer: POSTGRES_PASSWORD_FILE {tmp_path / 'missing'}: No such file or directory\n"
    (tmp_path / "missing").write_text("sesame\n")
    assert run("report").code == 75
    assert "password=sesame" in run("db", "url").out


def test_a_certificate_that_cannot_be_read_is_named(
    run: Mailer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DB_HOST", "127.0.0.1")
    monkeypatch.setenv("DB_SSLMODE", "verify-full")
    monkeypatch.setenv("DB_SSLROOTCERT", str(tmp_path / "ca.pem"))
    told = run("report")
    assert (told.code, told.err) == (1, f"mailer: DB_SSLROOTCERT {tmp_path / 'ca.pem'} cannot be read\n")
    monkeypatch.setenv("DB_SSLMODE", "very")
    assert "DB_SSLMODE: Input should be 'disable'" in run("report").err
