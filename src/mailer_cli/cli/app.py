"""All commands, put together."""

from __future__ import annotations

import typer

from mailer_cli.cli import database

app = typer.Typer(
    name="mailer",
    help="Send text messages to clients in their own local time: never twice, never lost, never late.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(database.app, name="db")


@app.callback()
def _main() -> None:
    """Send text messages to clients in their own local time: never twice, never lost, never late."""
