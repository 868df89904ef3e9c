"""Where the database and the message service are."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mailer_cli.errors import ConfigurationError
from mailer_cli.settings.model import Settings
from mailer_cli.settings.secrets import password


def service_url(settings: Settings) -> str:
    """Return where messages are posted; raise ConfigurationError that says how to set it."""
    if settings.message_service_url is None:
        raise ConfigurationError(
            "no message service; set MESSAGE_SERVICE_URL, or try `mailer sandbox` for a local one"
        )
    return settings.message_service_url


def server_address(settings: Settings) -> str | None:
    """Return the libpq address of the configured server, None if none is configured (embedded)."""
    if settings.database_url is not None:
        return libpq(settings.database_url.get_secret_value())
    if settings.db_host is None:
        return None
    from psycopg.conninfo import make_conninfo

    return make_conninfo(
        host=settings.db_host,
        port=settings.db_port,
        dbname=settings.db_name,
        user=settings.postgres_user,
        password=password(settings),
        sslmode=settings.db_sslmode,
        sslrootcert=_readable("DB_SSLROOTCERT", settings.db_sslrootcert),
        sslcert=_readable("DB_SSLCERT", settings.db_sslcert),
        sslkey=_readable("DB_SSLKEY", settings.db_sslkey),
    )


def _readable(name: str, path: Path | None) -> str | None:
    """Return the path of a file that is there: libpq would go on without some of them."""
    if path is None:
        return None
    if not os.access(path, os.R_OK):
        raise ConfigurationError(f"{name} {path} cannot be read")
    return str(path)


def libpq(url: str) -> str:
    """Return what libpq reads; raise ConfigurationError where it would misread an odd password.

    Accepts the spellings other tools use: postgres://, postgresql+psycopg://, postgresql+asyncpg://.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    scheme, separator, rest = url.partition("://")
    if separator and (scheme == "postgres" or scheme.startswith("postgresql")):
        url = f"postgresql://{rest}"
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        parts = {"host": "@"}
    misread = any("@" in str(parts.get(name, "")) for name in ("host", "dbname"))  # a piece of a password
    if misread or not re.fullmatch(r"[0-9,]*", str(parts.get("port", ""))):
        raise ConfigurationError(
            "DATABASE_URL cannot be read; write postgresql://user:password@host:5432/name,"
            " and % codes for odd characters of the password (%40 for @, %2F for /)"
        )
    return url
