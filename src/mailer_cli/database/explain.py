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
_REFUSALS = {
    ("password authentication failed",): "28P01",
    ("no password supplied",): "28P01",
    ('database "', "does not exist"): "3D000",
    ('role "', "does not exist"): "28000",
}
_NOT_LET_IN = {
    "no pg_hba.conf entry": "the database refuses connections such as ours",
    "certificate verify failed": "the database server's certificate is not trusted",
    "does not match host name": "the database server's certificate is not trusted",
    "valid client certificate": "the database asks for a certificate; set DB_SSLCERT and DB_SSLKEY",
    "certificate authentication failed": "the database does not take our certificate for this user",
    "does not support SSL": "the database server has no TLS, and DB_SSLMODE asks for it",
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
    """Tell a server that is away from one that refuses us: libpq has no codes for either."""
    for words, state in _REFUSALS.items():
        if all(word in detail for word in words):
            kind, text = _BY_SQLSTATE[state]
            return kind(text.format(detail=detail))
    for word, text in _NOT_LET_IN.items():
        if word in detail:
            return ConfigurationError(f"{text}: {detail}")
    return UnavailableError(f"the database cannot be reached: {detail}")


def _one_line(text: str) -> str:
    """Keep the telling first line; libpq repeats itself once per address it tried."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not line.startswith(("Is the server", "Multiple connection"))]
    return (telling or lines or ["no reason was given"])[0][:300]
