"""Every setting: flags > environment > `.env` in the working directory > `~/.config/mailer/env`.

The only reader of the environment. What is secret is a SecretStr: it shows as stars wherever it is
printed, and its value is asked for at the one place that needs it.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

# Nobody's plugin has a say in settings; pydantic reads the metadata of every package to find one.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from mailer_cli.errors import ConfigurationError

Seconds = Annotated[float, Field(gt=0, le=3600)]


class Settings(BaseSettings):
    """The settings by their names in the environment, lower case; each description is operator's help."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    database_url: SecretStr | None = Field(
        None, description="PostgreSQL to use; else DB_HOST…; else embedded"
    )
    db_host: str | None = Field(None, description="PostgreSQL server, where DATABASE_URL is not set")
    db_port: int = Field(5432, ge=1, le=65535, description="its port")
    db_name: str = Field("mailer", description="its database")
    postgres_user: str | None = Field(None, description="its user")
    postgres_password: SecretStr | None = Field(None, description="the user's password")

    message_service_url: str | None = Field(None, description="where messages are posted; the id is appended")
    jwt_token: SecretStr | None = Field(None, description="bearer token for the message service")
    jwt_token_file: Path | None = Field(None, description="a file that holds the token, instead of JWT_TOKEN")
    message_service_deduplicates: bool = Field(
        False, description="true only if the service ignores a repeated message id"
    )
    message_service_ca_file: Path | None = Field(
        None, description="certificates to trust, PEM, beside none else"
    )

    mailer_home: Path | None = Field(None, description="where the embedded database lives")
    mailer_default_timezone: str | None = Field(None, description="for clients given without a time zone")
    mailer_concurrency: int = Field(
        100, ge=1, le=5000, description="requests under way at once, per dispatch"
    )
    mailer_processes: Annotated[int, Field(ge=1, le=64)] | Literal["auto"] = Field(
        1, description="processes that send, per dispatch; auto: one for each core"
    )
    mailer_http_timeout: Seconds = Field(10.0, description="seconds that one request may take")
    mailer_lease: Annotated[float, Field(ge=2, le=3600)] = Field(
        60.0, description="seconds after which a silent dispatcher's claim is taken over"
    )
    mailer_rate_per_second: Annotated[float, Field(gt=0, le=100_000)] | None = Field(
        None, description="messages a second at the most, of all hosts together"
    )
    mailer_rate_per_day: Annotated[int, Field(ge=1)] | None = Field(
        None, description="messages a day (of UTC) at the most, of all hosts together"
    )
    mailer_max_attempts: int = Field(5, ge=1, le=100, description="requests per message before it has failed")
    mailer_retry_base: Seconds = Field(30.0, description="seconds before the first retry; doubled each time")
    mailer_retry_cap: Seconds = Field(3600.0, description="seconds between retries at the most")


def load() -> Settings:
    """Read the settings; raise ConfigurationError that names the setting, and never shows its value."""
    try:
        return Settings(_env_file=files())
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors())
        raise ConfigurationError(f"a setting cannot be used: {problems}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"a settings file cannot be read: {error}") from None


def user_file() -> Path:
    """Where an operator's own settings are kept: `~/.config/mailer/env`."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - no error without a home
    return Path(base) / "mailer" / "env"


def files() -> list[Path]:
    """Return the files that settings are read from, the last one weighing most."""
    # os.path.isfile answers False where even looking is forbidden: cron may start us anywhere.
    return [path for path in (user_file(), Path(".env")) if os.path.isfile(path)]  # noqa: PTH113 - see above


def unseen_by_cron() -> list[str]:
    """Return the names of settings that a program started by cron would find otherwise, or not at all.

    Cron starts programs in the user's home, with nothing of a shell's environment.
    """
    home = _home()
    theirs = _merged([cron_file(), home / ".env"], {})
    ours = _merged(files(), os.environ)
    names = (name.upper() for name in Settings.model_fields)
    return [name for name in names if ours.get(name) != theirs.get(name)]


def cron_file() -> Path:
    """Where a program started by cron looks for settings."""
    return _home() / ".config" / "mailer" / "env"


def holds_secrets(path: Path) -> bool:
    """Tell whether a file of settings has something in it that nobody else should read."""
    values = _merged([path], {})
    secret = ("JWT_TOKEN", "POSTGRES_PASSWORD", "DATABASE_URL")
    return any(name in values for name in secret)


def _home() -> Path:
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # a uid without a name has no cron either
        return Path("/")


def _merged(files: Iterable[Path], environment: Mapping[str, str]) -> dict[str, str | None]:
    """Return the settings as they would be read, by their names in upper case; empty ones are none."""
    from dotenv import dotenv_values

    values: dict[str, str | None] = {}
    for path in files:
        if os.path.isfile(path):  # noqa: PTH113 - no error where looking is forbidden
            values |= {name.upper(): value for name, value in dotenv_values(path).items() if value}
    return values | {name.upper(): value for name, value in environment.items() if value}


def token(settings: Settings) -> str:
    """Return the bearer token; raise ConfigurationError that says how to give one."""
    if settings.jwt_token is not None:
        return settings.jwt_token.get_secret_value().strip()
    if settings.jwt_token_file is None:
        raise ConfigurationError("no token for the message service; set JWT_TOKEN or JWT_TOKEN_FILE")
    try:
        text = settings.jwt_token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise ConfigurationError(f"JWT_TOKEN_FILE {settings.jwt_token_file}: {reason}") from None
    if not text:
        raise ConfigurationError(
            f"JWT_TOKEN_FILE {settings.jwt_token_file} is empty; write the token into it"
        )
    return text


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
        return _libpq(settings.database_url.get_secret_value())
    if settings.db_host is None:
        return None
    from psycopg.conninfo import make_conninfo

    password = settings.postgres_password
    return make_conninfo(
        host=settings.db_host,
        port=settings.db_port,
        dbname=settings.db_name,
        user=settings.postgres_user,
        password=password.get_secret_value() if password else None,
    )


def _libpq(url: str) -> str:
    """Accept the spellings other tools use: postgres://, postgresql+psycopg://, postgresql+asyncpg://."""
    scheme, separator, rest = url.partition("://")
    if separator and (scheme == "postgres" or scheme.startswith("postgresql")):
        return f"postgresql://{rest}"
    return url
