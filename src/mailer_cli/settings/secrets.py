"""What is secret, read where it is kept: a setting, a file, or what a command prints; anew for each use."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

from mailer_cli.errors import ConfigurationError
from mailer_cli.settings.model import Settings

_PATIENCE = 10.0  # seconds for a command to print a token


def token(settings: Settings) -> str:
    """Return the bearer token; raise ConfigurationError that says how to give one."""
    if settings.jwt_token is not None:
        return settings.jwt_token.get_secret_value().strip()
    if settings.jwt_token_file is not None:
        return _content("JWT_TOKEN_FILE", settings.jwt_token_file)
    if settings.jwt_token_command is not None:
        return _printed("JWT_TOKEN_COMMAND", settings.jwt_token_command)
    raise ConfigurationError(
        "no token for the message service; set JWT_TOKEN, JWT_TOKEN_FILE or JWT_TOKEN_COMMAND"
    )


def password(settings: Settings) -> str | None:
    """Return the database user's password, if one is set; raise ConfigurationError."""
    if settings.postgres_password is not None:
        return settings.postgres_password.get_secret_value()
    if settings.postgres_password_file is not None:
        return _content("POSTGRES_PASSWORD_FILE", settings.postgres_password_file)
    return None


def _content(name: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise ConfigurationError(f"{name} {path}: {reason}") from None
    if not text:
        raise ConfigurationError(f"{name} {path} is empty; write it into the file")
    return text


def _printed(name: str, command: str) -> str:
    """Run a command without a shell, and return its first line; what it prints is never shown."""
    try:
        words = shlex.split(command)
        done = subprocess.run(  # noqa: S603 - the operator's own setting
            words, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PATIENCE, check=False
        )
    except (ValueError, IndexError):
        raise ConfigurationError(f"{name} cannot be read as a command; check its quotes") from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"{name} printed no token within {_PATIENCE:g} s; run it by hand") from None
    except OSError as error:
        raise ConfigurationError(f"{name}: {words[0]}: {error.strerror}") from None
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())[:200]
        raise ConfigurationError(f"{name} ended with {done.returncode}: {said or 'it did not say why'}")
    first = next(iter(done.stdout.decode(errors="replace").splitlines()), "").strip()
    if not first:
        raise ConfigurationError(f"{name} printed nothing; its first line is to be the token")
    return first
