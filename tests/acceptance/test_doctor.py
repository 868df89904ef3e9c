"""`mailer doctor`: each thing that can be wrong is found, said in words, and has a way out."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

import factories
from conftest import Mailer
from mailer_cli import database, doctor, settings
from mailer_cli.database import Connection, Dsn
from mailer_cli.doctor import server
from terminal import on_a_terminal

NOW = datetime.now(UTC)
PROGRAM = Path(sys.executable).with_name("mailer")
Finding = dict[str, str]
Examine = Callable[[], dict[str, Finding]]


@pytest.fixture
def crontab(bare: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 - first the shell is made bare
    """A crontab of the test's own: whatever is written here, or none."""
    spool, folder = tmp_path / "spool", tmp_path / "bin"
    folder.mkdir()
    program = folder / "crontab"
    program.write_text(f'#!/bin/sh\ncat {spool} 2>/dev/null || {{ echo "no crontab for me" >&2; exit 1; }}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return spool


@pytest.fixture
def examine(mailer: Mailer, crontab: Path) -> Examine:  # noqa: ARG001 - nobody's crontab is read
    """What each check finds; where one has found several things, the worst of them."""

    def ask() -> dict[str, Finding]:
        told = mailer("doctor", "-o", "json")
        found: list[Finding] = json.loads(told.out)
        assert told.code == (1 if any(each["verdict"] == "fail" for each in found) else 0)
        order = ("ok", "skipped", "warn", "fail")
        return {each["check"]: each for each in sorted(found, key=lambda each: order.index(each["verdict"]))}

    return ask


def a_jwt(days: float) -> str:
    claims = json.dumps({"exp": (NOW + timedelta(days=days)).timestamp()}).encode()
    return f"eyJhbGciOiJIUzI1NiJ9.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


@contextmanager
def a_service(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Something that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            with suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with suppress(OSError):
                        if context is not None:
                            peer = context.wrap_socket(peer, server_side=True)
                        peer.recv(1)
                    peer.close()

        thread = threading.Thread(target=take)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10)


def a_certificate(folder: Path, *, days: int) -> ssl.SSLContext:
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
    words += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", str(days)]
    words += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    try:
        subprocess.run(words, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("needs openssl: apt install openssl")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


def test_where_all_is_well_it_says_so_and_ends_with_0(
    mailer: Mailer, crontab: Path, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.a_client(connection)
    factories.a_finished_run(connection)
    crontab.write_text(f"* * * * * {PROGRAM} dispatch\n")
    monkeypatch.setattr(settings, "unseen_by_cron", list[str])  # a test has no cron of its own
    with a_service() as port:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", f"http://127.0.0.1:{port}/send/")
        monkeypatch.setenv("JWT_TOKEN", a_jwt(90))
        found = json.loads(mailer("doctor", "-o", "json").out)
    assert {each["verdict"] for each in found if each["check"] != "server settings"} <= {"ok", "skipped"}, (
        found
    )
    assert len({each["check"] for each in found}) == 21


def test_each_finding_has_the_same_keys(mailer: Mailer, crontab: Path) -> None:
    assert not crontab.exists()
    found = json.loads(mailer("doctor", "-o", "json").out)
    assert {tuple(each) for each in found} == {("check", "verdict", "says", "mend")}


def test_the_table_fits_a_terminal_and_sums_up(mailer: Mailer, crontab: Path) -> None:
    assert not crontab.exists()
    told = on_a_terminal(mailer)("doctor")
    assert told.code == 1
    assert all(len(line) <= 80 for line in told.out.splitlines())
    assert "-> `mailer cron install` lets it" in told.out
    assert " failed, " in told.err


# -- the database --------------------------------------------------------------------------------------


def test_a_database_out_of_reach_leaves_the_other_checks_to_be_made(
    mailer: Mailer, crontab: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not crontab.exists()
    monkeypatch.setenv("DATABASE_URL", "postgresql://olga:s3cret@127.0.0.1:1/mailer")
    told = mailer("doctor", "-o", "json")
    found = {each["check"]: each for each in json.loads(told.out)}
    assert told.code == 1
    assert found["database"]["verdict"] == "fail"
    assert found["late"]["verdict"] == found["clock"]["verdict"] == "skipped"
    assert found["cron"]["verdict"] == "warn"
    assert "s3cret" not in told.out + told.err


def test_a_schema_that_is_not_there_is_found(examine: Examine, connection: Connection) -> None:
    connection.execute("DROP TABLE alembic_version")
    found = examine()
    assert (found["schema"]["verdict"], found["schema"]["mend"]) == ("fail", "`mailer db upgrade`")
    assert found["clock"]["verdict"] == "ok"
    assert found["late"]["verdict"] == "skipped"


def test_a_database_that_forgets_what_it_confirmed_is_found(
    examine: Examine, connection: Connection, dsn: Dsn
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(dsn.address)["dbname"]
    connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off'.encode())
    with database.connect(dsn) as fresh:
        patient = doctor.Patient(settings.load(), lambda: "", None, fresh)
        said = [each.says for each in server.settings(patient) if each.verdict == "fail"]
    assert any(each.startswith("synchronous_commit is off") for each in said)
    assert examine()["server settings"]["verdict"] == "fail"


def test_an_old_snapshot_is_found_with_its_owner(connection: Connection, dsn: Dsn) -> None:
    with database.connect(dsn) as other, other.transaction():
        other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        other.execute("SELECT now()")
        pid = other.info.backend_pid
        patient = doctor.Patient(settings.load(), lambda: "", None, connection)
        assert [each.verdict for each in server.snapshots(patient)] == ["ok"]
        [found] = server.snapshots(patient, older=0.0)
    assert found.verdict == "warn"
    assert f"pg_terminate_backend({pid})" in (found.mend or "")


def test_a_copy_of_the_database_that_sends_is_found(examine: Examine, connection: Connection) -> None:
    assert examine()["home"]["verdict"] == "ok"
    connection.execute("UPDATE service SET home = 'elsewhere/1'")
    found = examine()["home"]
    assert found["verdict"] == "fail"
    assert "mailer release --new-home" in found["mend"]


def test_a_host_whose_clock_is_wrong_is_told_by_how_much(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    real = time.time
    monkeypatch.setattr("mailer_cli.doctor.server.time.time", lambda: real() + 90)
    found = examine()["clock"]
    assert found["verdict"] == "warn"
    assert "90 s ahead of the database" in found["says"]


# -- time zones ----------------------------------------------------------------------------------------


def test_a_zone_that_is_not_known_is_found_with_its_clients(examine: Examine, connection: Connection) -> None:
    factories.clients(connection, 3, timezone="Europe/Atlantis")
    found = examine()["time zones"]
    assert found["verdict"] == "fail"
    assert found["says"].startswith("3 clients in 'Europe/Atlantis' are sent nothing")


def test_a_host_that_reads_the_clock_otherwise_is_found(
    examine: Examine, connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.clients(connection, 1, timezone="Asia/Omsk")
    rules = tmp_path / "zoneinfo" / "Asia"
    rules.mkdir(parents=True)
    (rules / "Omsk").write_bytes(Path("/usr/share/zoneinfo/Asia/Tokyo").read_bytes())
    monkeypatch.setattr("mailer_cli.doctor.zones._HOST_RULES", tmp_path / "zoneinfo")
    found = examine()["zone rules"]
    assert found["verdict"] == "warn"
    assert "this host reads the clock otherwise in Asia/Omsk" in found["says"]


# -- the work ------------------------------------------------------------------------------------------


def test_a_cron_that_is_silent_while_there_is_work_is_a_failure(
    examine: Examine, connection: Connection
) -> None:
    assert examine()["last run"]["verdict"] == "warn"
    factories.a_mailing(connection)
    assert examine()["last run"]["verdict"] == "fail"
    factories.a_finished_run(connection, ago=timedelta(minutes=9))
    assert examine()["last run"]["says"] == "no dispatch for 9 minutes"
    factories.a_finished_run(connection)
    assert examine()["last run"]["verdict"] == "ok"
    factories.a_run(connection, datetime.now(UTC), "tokenrejected")
    assert examine()["last run"]["says"].endswith("ended badly: tokenrejected")


def test_a_batch_left_behind_is_found(examine: Examine, connection: Connection) -> None:
    connection.execute(
        "INSERT INTO claim"
        " (shard, id, mailing_id, mailing_version, run_id, client_ids, lease_until, not_after)"
        " VALUES (1, gen_random_uuid(), 1, 1, 1, '{1}', now() - interval '3 min', now())"
    )
    found = examine()["leases"]
    assert (found["verdict"], found["says"][:9]) == ("fail", "1 batches")


def test_what_is_due_and_not_sent_is_a_failure_unless_somebody_is_at_it(
    examine: Examine, connection: Connection
) -> None:
    factories.clients(connection, 2)
    mailing = factories.a_mailing(connection, activated_at=NOW - timedelta(hours=2))
    factories.an_open_window(connection, mailing)
    found = examine()["late"]
    assert found["verdict"] == "fail"
    assert found["says"] == f"Europe/Moscow of mailing {mailing} is due for 60 minutes, and nobody sends"
    connection.execute("INSERT INTO run (host, pid) VALUES ('a', 1)")
    assert examine()["late"]["verdict"] == "ok"


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ("held_at = now(), hold_reason = 'wrong price'", "warn"),
        ("token_rejected_at = now()", "fail"),
        ("broken_at = now(), break_reason = 'all 503'", "fail"),
        ("blocked_until = now() + interval '1 h'", "warn"),
    ],
)
def test_what_stands_before_the_service_is_found(
    examine: Examine, connection: Connection, change: str, verdict: str
) -> None:
    connection.execute(f"UPDATE service SET {change}".encode())  # noqa: S608 - the test's own words
    assert examine()["gate"]["verdict"] == verdict


# -- the service ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "verdict", "says"),
    [(90, "ok", "good for"), (3, "warn", "good for"), (-1, "fail", "expired at")],
)
def test_a_token_that_ends_is_found_in_time(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, days: int, verdict: str, says: str
) -> None:
    monkeypatch.setenv("JWT_TOKEN", a_jwt(days))
    found = examine()["token"]
    assert (found["verdict"], found["says"].startswith(says)) == (verdict, True)


def test_a_token_is_never_shown(mailer: Mailer, crontab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not crontab.exists()
    token = a_jwt(-1)
    for value in (token, f"{token}\nbroken", "bad token"):
        monkeypatch.setenv("JWT_TOKEN", value)
        for form in ("table", "json", "csv"):
            told = mailer("doctor", "-o", form)
            assert value.split()[0] not in told.out + told.err or value == "bad token"


def test_a_service_that_takes_connections_is_well(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_service() as port:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", f"http://127.0.0.1:{port}/send/")
        assert examine()["service"]["verdict"] == "ok"
    found = examine()["service"]
    assert (found["verdict"], found["says"]) == (
        "fail", f"127.0.0.1:{port} cannot be reached: Connection refused"
    )  # fmt: skip


@pytest.mark.parametrize(("days", "verdict"), [(90, "ok"), (5, "warn")])
def test_a_certificate_of_ones_own_authority_is_trusted_and_its_end_seen(
    examine: Examine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, days: int, verdict: str
) -> None:
    with a_service(a_certificate(tmp_path, days=days)) as port:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", f"https://localhost:{port}/send/")
        untrusted = examine()["service"]
        monkeypatch.setenv("MESSAGE_SERVICE_CA_FILE", str(tmp_path / "cert.pem"))
        assert examine()["service"]["verdict"] == verdict
    assert untrusted["verdict"] == "fail"
    assert "MESSAGE_SERVICE_CA_FILE" in untrusted["mend"]


def test_https_where_there_is_none_is_found(examine: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_service() as port:
        monkeypatch.setenv("MESSAGE_SERVICE_URL", f"https://127.0.0.1:{port}/send/")
        assert examine()["service"]["verdict"] == "fail"


# -- this host -----------------------------------------------------------------------------------------


def test_a_file_with_a_secret_that_others_can_read_is_found(
    examine: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "token file"
    secret.write_text(a_jwt(90))
    secret.chmod(0o644)
    monkeypatch.setenv("JWT_TOKEN_FILE", str(secret))
    found = examine()["secret files"]
    assert (found["verdict"], found["mend"]) == ("warn", f"chmod 600 '{secret}'")
    secret.chmod(0o600)
    assert examine()["secret files"]["verdict"] == "ok"
    Path(".env").write_text("JWT_TOKEN=x\n")
    Path(".env").chmod(0o640)
    assert examine()["secret files"]["mend"] == "chmod 600 .env"
    Path(".env").write_text("MAILER_CONCURRENCY=5\n")
    assert examine()["secret files"]["verdict"] == "ok"


def test_a_crontab_line_is_tried_as_cron_would(examine: Examine, crontab: Path, tmp_path: Path) -> None:
    assert examine()["cron"]["says"] == "nothing in this user's crontab runs mailer dispatch"
    crontab.write_text(f"* * * * * {PROGRAM} dispatch\n")
    assert examine()["cron"]["verdict"] == "ok"
    crontab.write_text("* * * * * mailer dispatch\n")
    assert examine()["cron"]["verdict"] == "fail"
    broken = tmp_path / "mailer"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    crontab.write_text(f"* * * * * {broken} dispatch\n")
    assert examine()["cron"]["says"].endswith("--version ends with 3")


def test_settings_that_cron_would_not_see_are_named(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JWT_TOKEN", a_jwt(90))
    found = examine()["cron settings"]
    assert found["verdict"] == "warn"
    assert "JWT_TOKEN" in found["says"]
    assert os.environ["JWT_TOKEN"] not in found["says"]


def test_a_check_that_breaks_does_not_hide_the_others(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[object]:
        raise ZeroDivisionError("s3cret")

    monkeypatch.setattr("mailer_cli.doctor.host.skipped", broken)
    found = examine()
    assert found["disk"]["says"] == "the check itself failed: ZeroDivisionError"
    assert found["token"]["verdict"] == "fail"


def test_settings_that_cannot_be_read_are_the_first_thing_to_mend(
    examine: Examine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILER_CONCURRENCY", "many")
    found = examine()
    assert list(found) == ["settings"]
    assert "MAILER_CONCURRENCY" in found["settings"]["says"]
