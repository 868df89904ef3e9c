"""What a database error means to an operator."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from mailer_cli.errors import ConfigurationError, MailerError, SchemaError, UnavailableError

_BY_SQLSTATE: dict[str, tuple[type[MailerError], str]] = {
    "28P01": (
        ConfigurationError,
        "the database refused the password; check DATABASE_URL or POSTGRES_PASSWORD",
    ),
    "28000": (ConfigurationError, "the database refused this user; check DATABASE_URL or POSTGRES_USER"),
    "3D000": (ConfigurationError, "the database does not exist; create it, or check DATABASE_URL or DB_NAME"),
    "42501": (
        ConfigurationError,
        "the database user may not do this: {detail}\nask for a role that may; `mailer db roles` shows them",
    ),
    "42P01": (SchemaError, "the database has no mailer schema, or an old one; run `mailer db upgrade`"),
    "42703": (SchemaError, "the database has an old mailer schema; run `mailer db upgrade`"),
    "53100": (UnavailableError, "the database's disk is full; make room, then run the command again"),
    "53300": (UnavailableError, "the database has no connection left; try again, or raise max_connections"),
    "25P03": (
        UnavailableError,
        "this was asleep in the middle of its work, which the database undid; try again",
    ),
    "25006": (UnavailableError, "the database is read-only (a standby?); check DATABASE_URL"),
}


@contextmanager
def explained() -> Iterator[None]:
    """Turn database errors that an operator can act on into MailerError; let bugs pass as they are."""
    try:
        yield
    except Exception as error:
        if meaning := explain(error):
            raise meaning from error
        raise


def explain(error: BaseException) -> MailerError | None:
    """Return what `error` means to an operator, or None if it is not an expected database error."""
    psycopg = sys.modules.get("psycopg")
    if psycopg is None or isinstance(error, MailerError):
        return None
    cause = getattr(error, "orig", None) or error
    if not isinstance(cause, psycopg.Error):
        return None
    detail = _one_line(str(cause))
    if cause.sqlstate in _BY_SQLSTATE:
        kind, text = _BY_SQLSTATE[cause.sqlstate]
        return kind(text.format(detail=detail))
    if isinstance(cause, psycopg.OperationalError):
        return _unreachable(detail)
    if isinstance(cause, psycopg.ProgrammingError) and cause.sqlstate is None:
        return ConfigurationError(
            "DATABASE_URL cannot be read; write postgresql://user:password@host:5432/name"
        )
    return None


def _unreachable(detail: str) -> MailerError:
    if "password authentication failed" in detail or "no password supplied" in detail:
        return _BY_SQLSTATE["28P01"][0](_BY_SQLSTATE["28P01"][1])
    if 'database "' in detail and "does not exist" in detail:
        return _BY_SQLSTATE["3D000"][0](_BY_SQLSTATE["3D000"][1])
    if 'role "' in detail and "does not exist" in detail:
        return _BY_SQLSTATE["28000"][0](_BY_SQLSTATE["28000"][1])
    return UnavailableError(f"the database cannot be reached: {detail}")


def _one_line(text: str) -> str:
    """Keep the telling first line; libpq repeats itself once per address it tried."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Is the server", "Multiple connection"))]
    return (telling or lines or ["no reason was given"])[0][:300]
