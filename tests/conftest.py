"""One PostgreSQL for the whole run: `MAILER_TEST_DATABASE_URL` if set, else one of the tests' own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from hypothesis import settings
from psycopg.conninfo import make_conninfo

from mailer_cli import database
from mailer_cli.cli import main
from mailer_cli.database import Connection, Dsn, schema

# A busy machine is no failure, and no test asserts a time.
settings.register_profile("mailer", deadline=None)
settings.load_profile("mailer")

# A suite in a shell's background is deaf to interrupts, and so would be what it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

CONFIGURED = ("DATABASE_URL", "DB_", "POSTGRES_", "MESSAGE_SERVICE_", "JWT_", "MAILER_", "PG", "XDG_")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fault-injection runs take minutes: an hour tells that one hangs."""
    for item in items:
        if item.get_closest_marker("chaos"):
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The libpq address of a PostgreSQL server on which databases may be made."""
    if configured := os.environ.get("MAILER_TEST_DATABASE_URL"):
        yield configured
        return
    from mailer_cli.database import embedded

    home = Path(tempfile.mkdtemp(prefix="mailer-tests-"))
    home.chmod(0o711)
    try:
        yield embedded.ensure(home, durable=False)
    finally:
        embedded.stop(home)
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def template(postgres: str) -> Iterator[str]:
    """The name of a migrated, empty database that each test's own is cloned from."""
    name = f"mailer_template_{secrets.token_hex(4)}"
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        schema.upgrade(Dsn(make_conninfo(postgres, dbname=name)))
        yield name
        server.execute(f'DROP DATABASE "{name}"')


@contextmanager
def fresh_database(postgres: str, template: str) -> Iterator[Dsn]:
    """A fresh, migrated database while the `with` block lasts."""
    name = f"mailer_test_{secrets.token_hex(6)}"
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        yield Dsn(make_conninfo(postgres, dbname=name))
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def dsn(postgres: str, template: str) -> Iterator[Dsn]:
    """A fresh, migrated database of this test's own."""
    with fresh_database(postgres, template) as made:
        yield made


@pytest.fixture
def connection(dsn: Dsn) -> Iterator[Connection]:
    """An autocommit connection to this test's own database."""
    with database.connect(dsn) as opened:
        yield opened


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command did: exit code, stdout, stderr."""

    code: int
    out: str
    err: str


Mailer = Callable[..., Ended]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An operator's shell with nothing configured, in an empty directory of their own."""
    for name in list(os.environ):
        if name.startswith(CONFIGURED) and name != "MAILER_TEST_DATABASE_URL":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MAILER_HOME", str(tmp_path / "mailer-home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(bare: None, capsys: pytest.CaptureFixture[str]) -> Mailer:  # noqa: ARG001 - a fixture asked for its effect
    """Type a command with nothing configured: `run("client", "list")`."""

    def type_command(*argv: str) -> Ended:
        capsys.readouterr()
        code = main(argv)
        captured = capsys.readouterr()
        return Ended(int(code), captured.out, captured.err)

    return type_command


@pytest.fixture
def mailer(run: Mailer, dsn: Dsn, monkeypatch: pytest.MonkeyPatch) -> Mailer:
    """Type a command against this test's own database: `mailer("client", "list")`."""
    monkeypatch.setenv("DATABASE_URL", dsn.address)
    return run
