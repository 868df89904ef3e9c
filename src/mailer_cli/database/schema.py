"""Which schema a database has, and whether this release works on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mailer_cli.database.connections import Connection, Dsn
from mailer_cli.errors import SchemaError

HEAD = "0001"  # the newest migration; a test holds it equal to Alembic's own answer


@dataclass(frozen=True, slots=True)
class State:
    """Where a database stands."""

    version: str  # the newest migration it has had
    works_with: str | None  # the oldest release, by its HEAD, that works on it all the same

    @property
    def usable(self) -> bool:
        """Whether this release works on it: nothing that it needs is missing, or was taken away."""
        return self.version == HEAD or (self.version > HEAD and (self.works_with or self.version) <= HEAD)


def state(connection: Connection) -> State | None:
    """Return where the database stands, None before the first upgrade."""
    row = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL").fetchone()
    if not row or not row[0]:
        return None
    row = connection.execute("SELECT version_num, works_with FROM alembic_version").fetchone()
    return State(*row) if row else None


def version(connection: Connection) -> str | None:
    """Return the revision the database is at, None before the first upgrade."""
    found = state(connection)
    return None if found is None else found.version


def require(connection: Connection) -> None:
    """Raise SchemaError unless this release works on the database's schema."""
    found = state(connection)
    if found is None:
        raise SchemaError("the database has no mailer schema yet; run `mailer db upgrade`")
    if not found.usable:
        require_not_newer(connection)
        raise SchemaError(
            f"the database's schema ({found.version}) is older than this mailer needs ({HEAD});"
            " run `mailer db upgrade`"
        )


def require_not_newer(connection: Connection) -> None:
    """Raise SchemaError if a newer release has changed the database so that this one does not work on it."""
    found = state(connection)
    if found is not None and found.version > HEAD and not found.usable:
        raise SchemaError(
            f"the database's schema ({found.version}) is newer than this mailer ({HEAD});"
            " install a newer mailer"
        )


def upgrade(
    dsn: Dsn, *, also: Path | None = None, tell: Callable[[str], None] = lambda _: None
) -> tuple[str | None, str]:
    """Carry out the migrations that are pending; return the revision before and after.

    `also` is a folder with more migrations. Raises UnavailableError where a table stays locked by others.
    """
    from mailer_cli.database import upgrading

    return upgrading.upgrade(dsn, also, tell)
