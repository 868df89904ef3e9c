"""Migrations by Alembic, beside dispatchers that go on sending.

Each migration has a transaction of its own, waits for a lock a moment only, and is tried again: a change of a
table that queues for its lock makes everybody queue behind it. It says in `works_with` which release, by its
HEAD, is the oldest that works on what it leaves: the one before while it only adds (expands), itself once it
takes away what that one needs (contracts).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailer_cli.database import schema
from mailer_cli.database.connections import Connection, Dsn, connect
from mailer_cli.database.explain import explained
from mailer_cli.errors import InvalidStateError, UnavailableError

if TYPE_CHECKING:
    from alembic.config import Config

LOCK_TIMEOUT = "2s"  # for which dispatchers may have to wait behind us
PATIENCE = 600.0  # seconds
_PAUSES = (0.5, 2.0)  # seconds, at random: the others finish their work meanwhile
_LOCK = 0x6D61696C6572  # "mailer": two upgrades at once wait for each other


@dataclass(frozen=True, slots=True)
class Pending:
    """A migration that was not carried out yet."""

    revision: str
    about: str
    contracts: bool  # releases before it do not work on what it leaves


def pending(connection: Connection, also: Path | None = None) -> list[Pending]:
    """Return the migrations that an upgrade would carry out, the first one first."""
    from alembic.script import ScriptDirectory

    before = schema.version(connection)
    scripts = ScriptDirectory.from_config(_config(also))
    found = reversed(list(scripts.walk_revisions()))
    return [
        Pending(each.revision, str(each.doc), before is not None and each.module.works_with == each.revision)
        for each in found
        if before is None or each.revision > before
    ]


def upgrade(dsn: Dsn, also: Path | None, tell: Callable[[str], None]) -> tuple[str | None, str]:
    """Carry out what is pending, one migration after the other; what is done stays done."""
    with explained(), closing(connect(dsn)) as connection, _alone(dsn):
        _require_utf8(connection)
        before = after = schema.version(connection)
        for each in pending(connection, also):
            tell(f"{each.revision}: {each.about}")
            _patiently(dsn, each, _config(also), tell)
            after = each.revision
        return before, after or schema.HEAD


def _require_utf8(connection: Connection) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise InvalidStateError(
            f"this database stores text as {encoding}, which cannot hold every message; make another one:\n"
            "CREATE DATABASE mailer ENCODING 'UTF8' TEMPLATE template0"
        )


def _patiently(dsn: Dsn, wanted: Pending, config: Config, tell: Callable[[str], None]) -> None:
    from alembic import command
    from psycopg.errors import LockNotAvailable
    from sqlalchemy.exc import OperationalError

    give_up = time.monotonic() + PATIENCE
    while True:
        try:
            with _bound(dsn) as bound:
                config.attributes["connection"] = bound
                return command.upgrade(config, wanted.revision)
        except OperationalError as error:
            if not isinstance(error.orig, LockNotAvailable):
                raise
        except LockNotAvailable:
            pass
        if time.monotonic() >= give_up:
            raise UnavailableError(
                f"migration {wanted.revision} found its tables locked; nothing of it was done\n"
                "end what holds them (see `mailer doctor`), and run `mailer db upgrade` again"
            )
        tell(f"{wanted.revision}: somebody is using a table it must change; trying again")
        time.sleep(random.uniform(*_PAUSES))  # noqa: S311 - it protects nothing


@contextmanager
def _alone(dsn: Dsn) -> Iterator[None]:
    """Let no other upgrade run meanwhile: a transaction-level lock, which holds behind a pooler, too.

    Whoever waits for it asks again and again: a statement that waited would keep an old snapshot, and an
    index that is being made waits for those.
    """
    with closing(connect(dsn)) as holder:
        while True:
            with holder.transaction():
                holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                # Without a parameter, for a statement with one would keep its snapshot, too.
                row = holder.execute(f"SELECT pg_try_advisory_xact_lock({_LOCK})").fetchone()
                if row and row[0]:
                    yield
                    return
            time.sleep(_PAUSES[0])


@contextmanager
def _bound(dsn: Dsn) -> Iterator[Any]:
    """Return a connection for Alembic, which begins and commits by itself."""
    from sqlalchemy.pool import NullPool
    from sqlmodel import create_engine

    raw = connect(dsn)
    raw.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
    _as_owner(raw)
    raw.autocommit = False
    engine = create_engine("postgresql+psycopg://", creator=lambda: raw, poolclass=NullPool)
    try:
        with engine.connect() as bound:
            yield bound
    finally:
        engine.dispose()
        raw.close()


def _as_owner(connection: Connection) -> None:
    """Work as whoever owns the tables, where we are in that role: what is made now shall be theirs, too."""
    from psycopg import sql

    row = connection.execute(
        "SELECT tableowner FROM pg_tables WHERE tablename = 'alembic_version'"
        " AND schemaname = current_schema() AND tableowner <> current_user"
        " AND pg_has_role(tableowner, 'MEMBER')"
    ).fetchone()
    if row:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(row[0])))


def _config(also: Path | None) -> Config:
    from alembic.config import Config

    config = Config()
    ours = Path(__file__).parent / "migrations"
    places = [ours / "versions", *([also] if also else [])]
    config.set_main_option("script_location", _plain(ours))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", "\n".join(map(_plain, places)))
    return config


def _plain(path: Path) -> str:
    return str(path).replace("%", "%%")
