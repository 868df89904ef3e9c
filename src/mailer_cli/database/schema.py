"""Which schema a database has, and bringing it up to date by Alembic."""

from __future__ import annotations

from pathlib import Path

from mailer_cli.database.connections import Connection, Dsn, connect
from mailer_cli.database.explain import explained
from mailer_cli.errors import SchemaError

HEAD = "0001"  # the newest migration; a test holds it equal to Alembic's own answer
_UPGRADE_LOCK = 0x6D61696C6572  # "mailer": two upgrades at once wait for each other


def version(connection: Connection) -> str | None:
    """Return the revision the database is at, None before the first upgrade."""
    row = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
    if not row or not row[0]:
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None


def require(connection: Connection) -> None:
    """Raise SchemaError unless the database has exactly the schema this release works on."""
    found = version(connection)
    if found == HEAD:
        return
    if found is None:
        raise SchemaError("the database has no mailer schema yet; run `mailer db upgrade`")
    require_not_newer(connection)
    raise SchemaError(
        f"the database's schema ({found}) is older than this mailer needs ({HEAD}); run `mailer db upgrade`"
    )


def require_not_newer(connection: Connection) -> None:
    """Raise SchemaError if a newer release has already migrated the database."""
    found = version(connection)
    if found is not None and found > HEAD:
        raise SchemaError(
            f"the database's schema ({found}) is newer than this mailer ({HEAD}); install a newer mailer"
        )


def upgrade(dsn: Dsn) -> tuple[str | None, str]:
    """Migrate to HEAD in one transaction; return the revision before and after."""
    from alembic import command
    from alembic.config import Config
    from sqlalchemy import text
    from sqlalchemy.pool import NullPool
    from sqlmodel import create_engine

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    raw = connect(dsn, autocommit=False)
    engine = create_engine("postgresql+psycopg://", creator=lambda: raw, poolclass=NullPool)
    try:
        with explained(), engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            _as_owner(raw)
            before = version(raw)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            return before, HEAD
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
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(row[0])))
