"""All commands, put together; where one is plainly asked for, that one alone, which is quicker."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from mailer_cli.cli import output

# Each with its module and its function, or its Typer of subcommands; in the order of `--help`.
_COMMANDS = {
    "demo": "demo:demo",
    "client": "clients:app",
    "mailing": "mailings:app",
    "dispatch": "dispatch:dispatch",
    "hold": "holding:hold",
    "release": "holding:release",
    "report": "reports:report",
    "top": "top:top",
    "doctor": "doctor:doctor",
    "why": "why:why",
    "log": "log:log",
    "message": "messages:app",
    "sandbox": "sandbox:sandbox",
    "recover": "recover:recover",
    "db": "database:app",
    "config": "config:app",
    "cron": "cron:app",
    "metrics": "metrics:metrics",
    "purge": "purge:purge",
    "help": "help_topics:show",
}


def assemble(argv: Sequence[str] = ()) -> typer.Typer:
    """Return what understands these words: everything, unless the first of them is a command."""
    app = typer.Typer(
        name="mailer",
        help="Send text messages to clients in their own local time: never twice, never lost, never late.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        # In a pipe boxes and cut lines are noise, and Rich is most of what help takes to start.
        rich_markup_mode="rich" if sys.stdout.isatty() else None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_main)
    for name in argv[:1] if argv and argv[0] in _COMMANDS else _COMMANDS:
        _add(app, name)
    return app


def _add(app: typer.Typer, name: str) -> None:
    module, _, member = _COMMANDS[name].partition(":")
    found = getattr(import_module(f"mailer_cli.cli.{module}"), member)
    if not isinstance(found, typer.Typer):
        app.command(name, short_help=_first_paragraph(found))(found)
        return
    for each in found.registered_commands:
        each.short_help = _first_paragraph(each.callback)
    app.add_typer(found, name=name)


def _first_paragraph(function: object) -> str:
    """Return what a list of commands says of one; of its own, off a terminal, it would be cut."""
    return " ".join((inspect.getdoc(function) or "").partition("\n\n")[0].split())


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        output.line(f"mailer {version('mailer-cli')}")
        raise typer.Exit


def _main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Send text messages to clients in their own local time: never twice, never lost, never late."""
