"""The settings and where they are read from. What is secret is a SecretStr, which shows as stars."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path
from typing import Annotated, Literal

# Nobody's plugin has a say in settings; pydantic reads the metadata of every package to find one.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from mailer_cli.errors import ConfigurationError

REMIND = 3600.0
SslMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
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
    postgres_password_file: Path | None = Field(None, description="a file that holds it, instead")
    db_sslmode: SslMode | None = Field(
        None, description="how the server is to prove itself; verify-full is the one to trust"
    )
    db_sslrootcert: Path | None = Field(None, description="certificates (PEM) of the server's authority")
    db_sslcert: Path | None = Field(None, description="our own certificate (PEM), where the server asks")
    db_sslkey: Path | None = Field(None, description="and its key")

    message_service_url: str | None = Field(None, description="where messages are posted; the id is appended")
    jwt_token: SecretStr | None = Field(None, description="bearer token for the message service")
    jwt_token_file: Path | None = Field(None, description="a file that holds the token, instead of JWT_TOKEN")
    jwt_token_command: str | None = Field(None, description="a command that prints the token, instead")
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
    mailer_remind: Annotated[float, Field(ge=0, le=604_800)] = Field(
        REMIND, description="seconds before dispatch off a terminal repeats a trouble; 0: every time"
    )
    mailer_log: str | None = Field(None, description="a line per dispatch: syslog, or the path of a file")


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


def troubles_file() -> Path:
    """Where `mailer dispatch` remembers what it told: one file per host and directory it is started in."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111 - no error without a home
    place = f"{socket.gethostname()}:{_working_directory()}"
    return Path(base) / "mailer" / f"troubles-{hashlib.sha256(place.encode()).hexdigest()[:12]}.json"


def _working_directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - nothing but a name
    except OSError:  # it was removed
        return ""


def files() -> list[Path]:
    """Return the files that settings are read from, the last one weighing most."""
    # os.path.isfile answers False where even looking is forbidden: cron may start us anywhere.
    return [path for path in (user_file(), Path(".env")) if os.path.isfile(path)]  # noqa: PTH113 - see above
