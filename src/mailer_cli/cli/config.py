"""`mailer config`: what is set, and by what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from mailer_cli.cli import output
from mailer_cli.cli.output import Format, OutputOption
from mailer_cli.errors import ConfigurationError

if TYPE_CHECKING:
    from mailer_cli.settings import Settings

app = typer.Typer(help="The settings: what is set, and by what.", no_args_is_help=True)

_HIDDEN = "***"
_COLUMNS = ("name", "value", "origin", "meaning")


@app.command()
def show(form: OutputOption = Format.TABLE) -> None:
    """Show every setting as it is used, and where it comes from; what is secret is hidden.

    Flags of a command come before the environment, the environment before the files.
    """
    from mailer_cli import settings

    configured = settings.load()
    rows = [
        {"name": name, "value": shown(configured, name), "origin": origin, "meaning": _meaning(name)}
        for name, origin in settings.origins().items()
    ]
    # A terminal has no room for what each means; .env.dist says it, too.
    output.rows(_COLUMNS[:3] if form is Format.TABLE else _COLUMNS, rows, form)
    _tell_files(form)


def shown(configured: Settings, name: str) -> Any:
    """Return a value fit for a screen: stars for what is secret, an address without its password."""
    value = getattr(configured, name.lower())
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if name == "DATABASE_URL":
        return _database(value.get_secret_value())
    if hasattr(value, "get_secret_value"):
        return _HIDDEN
    if name == "JWT_TOKEN_COMMAND":  # its words may hold anything
        return f"{value.split()[0]} {_HIDDEN}" if " " in value.strip() else value
    scheme, at, place = str(value).rpartition("@")
    return f"{scheme.partition('://')[0]}://{_HIDDEN}@{place}" if at and "://" in scheme else str(value)


def _database(text: str) -> str:
    """Keep of an address what cannot hold a secret; of one that cannot be read, nothing."""
    from psycopg.conninfo import conninfo_to_dict

    from mailer_cli.settings.addresses import libpq

    try:
        parts = conninfo_to_dict(libpq(text))
    except ConfigurationError:
        return _HIDDEN
    kept = ("host", "hostaddr", "port", "dbname", "user", "sslmode", "sslrootcert", "target_session_attrs")
    known = " ".join(f"{name}={parts[name]}" for name in kept if parts.get(name))
    return f"{known} {_HIDDEN}" if set(parts) - set(kept) else known


def _meaning(name: str) -> str | None:
    from mailer_cli.settings import Settings

    return Settings.model_fields[name.lower()].description


def _tell_files(form: Format) -> None:
    from mailer_cli import settings

    for name, place in settings.unknown():
        output.say(f"{place}: {name} is no setting of mailer{_meant(name)}")
    if form is Format.TABLE:
        read = ", ".join(map(str, settings.files())) or "none is there"
        output.say(f"files read: {read}; looked for: .env and {settings.user_file()}")


def _meant(name: str) -> str:
    from difflib import get_close_matches

    from mailer_cli.settings import Settings

    found = get_close_matches(name, [each.upper() for each in Settings.model_fields], n=1)
    return f"; did you mean {found[0]}?" if found else ""
