"""Which file or variable a setting comes from, here and under cron."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Mapping
from pathlib import Path

from mailer_cli.settings.model import Settings, files

_OURS = ("MAILER_", "MESSAGE_SERVICE_", "JWT_", "DB_", "DATABASE_", "POSTGRES_")
# Read elsewhere: a traceback for developers, the tests' server, what images of PostgreSQL call a database.
_KNOWN_ELSEWHERE = {"MAILER_DEBUG", "MAILER_TEST_DATABASE_URL", "POSTGRES_DB"}
_SECRET = ("JWT_TOKEN", "POSTGRES_PASSWORD", "DATABASE_URL")


def origins() -> dict[str, str]:
    """Return where each setting comes from, by its name: `environment`, a file, or `default`."""
    found = dict.fromkeys((name.upper() for name in Settings.model_fields), "default")
    layers = [(str(path), _merged([path], {})) for path in files()]
    for place, values in (*layers, ("environment", _merged([], os.environ))):
        found |= {name: place for name in values if name in found}
    return found


def unknown() -> list[tuple[str, str]]:
    """Return names that look like ours and are not, each with the file they stand in: typos, mostly."""
    known = {name.upper() for name in Settings.model_fields} | _KNOWN_ELSEWHERE
    return [
        (name, str(path))
        for path in files()
        for name in _merged([path], {})
        if name.startswith(_OURS) and name not in known
    ]


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
    return any(name in values for name in _SECRET)


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
