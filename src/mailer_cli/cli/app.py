"""All commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from mailer_cli.cli import (
    clients,
    cron,
    database,
    demo,
    dispatch,
    doctor,
    help_topics,
    holding,
    log,
    mailings,
    messages,
    metrics,
    output,
    purge,
    reports,
    sandbox,
    top,
    why,
)

app = typer.Typer(
    name="mailer",
    help="Send text messages to clients in their own local time: never twice, never lost, never late.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.add_typer(clients.app, name="client")
app.add_typer(mailings.app, name="mailing")
app.command("dispatch")(dispatch.dispatch)
app.command("hold")(holding.hold)
app.command("release")(holding.release)
app.command("report")(reports.report)
app.command("top")(top.top)
app.command("doctor")(doctor.doctor)
app.command("why")(why.why)
app.command("log")(log.log)
app.add_typer(messages.app, name="message")
app.command("sandbox")(sandbox.sandbox)
app.add_typer(database.app, name="db")
app.add_typer(cron.app, name="cron")
app.command("metrics")(metrics.metrics)
app.command("purge")(purge.purge)
app.command("help")(help_topics.show)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        output.line(f"mailer {version('mailer-cli')}")
        raise typer.Exit


@app.callback()
def _main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Send text messages to clients in their own local time: never twice, never lost, never late."""
