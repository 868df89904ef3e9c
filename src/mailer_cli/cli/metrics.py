"""`mailer metrics`: numbers for Prometheus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mailer_cli.cli import output


def metrics(
    textfile: Annotated[
        Path | None,
        typer.Option("--textfile", metavar="PATH", help="Write them there, for node_exporter's collector."),
    ] = None,
) -> None:
    """Write numbers for Prometheus, in its text format.

    mailer_messages by mailing and status, mailer_audience, mailer_waiting and mailer_lateness_seconds of
    mailings that are not over, or ended within the last seven days; and of sending as a whole
    mailer_last_run_timestamp_seconds, mailer_oldest_due_seconds, mailer_claims, mailer_retries_due,
    mailer_held, mailer_token_rejected, mailer_breaker_open, mailer_blocked, mailer_quota_used.
    """
    from mailer_cli import metrics
    from mailer_cli.cli import wiring

    with wiring.connected() as connection:
        content = metrics.text(connection)
    if textfile is None:
        output.raw(content.decode())
    else:
        metrics.write(textfile, content)
