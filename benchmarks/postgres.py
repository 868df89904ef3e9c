"""A PostgreSQL of the benchmark's own, durable, reached by a socket, deleted at the end."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.children import FailedError
from mailer_cli.database import Dsn, embedded, schema

TEMPLATE = "mailer_template"
# How every server of the benchmark must be set, or its figures would be worth nothing.
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
ROOM = 2**30  # bytes
SHOWN = (*DURABLE, "shared_buffers", "wal_level")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, and a folder for whatever else is started beside it."""

    address: str
    scratch: Path

    def database(self, name: str) -> str:
        """The address of one of its databases."""
        return self.address.replace("@/mailer?", f"@/{name}?")

    def settings(self) -> dict[str, str]:
        """What a reader must know of it."""
        with psycopg.connect(self.address) as connection:
            return {name: _shown(connection, name) for name in ("server_version", *SHOWN)}

    @contextmanager
    def fresh(self, *, migrated: bool) -> Iterator[str]:
        """The address of a new database that is dropped after the block: mailer's tables, or none."""
        template = TEMPLATE if migrated else "template1"
        with psycopg.connect(self.address, autocommit=True) as server:
            server.execute(f"CREATE DATABASE run TEMPLATE {template}")
            try:
                yield self.database("run")
            finally:
                server.execute("DROP DATABASE run WITH (FORCE)")

    def settle(self, database: str) -> None:
        """Let the run before, and what was prepared, have no after-effects."""
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
            connection.execute("CHECKPOINT")


def _shown(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    return str(row[0]) if row else ""


@contextmanager
def server() -> Iterator[Server]:
    """Start a server; whatever becomes of us, it is stopped and deleted."""
    home, scratch = _folder(), _folder(_memory())
    home.chmod(0o711)  # root's server runs as nobody
    guard = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.guard", str(home), str(scratch)],
        stdin=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
        start_new_session=True,
    )
    try:
        embedded.ensure(home, durable=True)
        yield _prepared(home, scratch)
    finally:
        guard.communicate()  # the end of its input is what it waits for


def _folder(below: Path | None = None) -> Path:
    return Path(tempfile.mkdtemp(prefix="mailer-benchmark-", dir=below))


def _memory() -> Path | None:
    """A file system in memory, if there is room: only the database is to use the disk."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > ROOM else None


def _prepared(home: Path, scratch: Path) -> Server:
    with psycopg.connect(embedded.ensure(home), autocommit=True) as connection:
        # The time of each commit, by the server itself: when a result was recorded.
        connection.execute("ALTER SYSTEM SET track_commit_timestamp = on")
    embedded.stop(home)
    found = Server(embedded.ensure(home, durable=True), scratch)
    told = found.settings()
    if any(told[name] != wanted for name, wanted in DURABLE.items()):
        raise FailedError(f"the database is not durable: {told}")
    with psycopg.connect(found.address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    schema.upgrade(Dsn(found.database(TEMPLATE)))
    return found
