"""`mailer why`: why a client has, or has not, got a mailing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from mailer_cli.cli import output
from mailer_cli.cli.output import Format, OutputOption
from mailer_cli.ids import MAX_MAILING_ID


def why(
    client: Annotated[str, typer.Argument(metavar="PHONE|ID", help="The client's phone or id.")],
    mailing: Annotated[int, typer.Option("--mailing", min=1, max=MAX_MAILING_ID, help="Which mailing.")],
    form: OutputOption = Format.TABLE,
) -> None:
    """Say in one sentence why a client has, or has not, got a mailing, and on what evidence."""
    from mailer_cli import explanations, messages, reports
    from mailer_cli.cli import wiring

    with wiring.connected() as connection, reports.snapshot(connection):
        client_id = messages.find_client(connection, client.strip())
        found = explanations.why(connection, client_id, mailing)
    sentence = f"client {client_id}, mailing {mailing}: {found.sentence}"
    evidence = explanations.evidence(found)
    if form is not Format.TABLE:
        value = {"verdict": found.verdict.value, "sentence": sentence, "evidence": evidence}
        output.item(value, form)
        return
    output.paragraph(sentence)
    for other in found.also:
        output.paragraph(f"also: {other.sentence}")
    output.line("")
    output.item(_told(evidence), Format.TABLE)


def _told(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """Put what says something below each other; where all hours are allowed, the window says it all."""
    window = evidence["window"]
    whole = (window["opens_at"], window["closes_at"]) == (window["sendable_from"], window["sendable_until"])
    groups = {name: group for name, group in evidence.items() if isinstance(group, dict)}
    return {
        f"{name} {key}": value
        for name, group in groups.items()
        for key, value in group.items()
        if value not in (None, [], False) and not (whole and key.startswith("sendable"))
    }
