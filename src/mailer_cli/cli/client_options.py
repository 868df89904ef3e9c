"""The options that say which clients are meant, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mailer_cli.cli import completion
from mailer_cli.errors import InvalidValueError

if TYPE_CHECKING:
    from mailer_cli.clients import Filter

OperatorsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--operator",
        autocompletion=completion.operators,
        help="With this operator code; repeatable, any of them.",
    ),
]
TagsOption = Annotated[
    list[str] | None,
    typer.Option("--tag", autocompletion=completion.tags, help="With this tag; repeatable, any of them."),
]
ZonesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--timezone", autocompletion=completion.zones, help="In this time zone; repeatable, any of them."
    ),
]


def wanted(
    operators: list[str] | None, tags: list[str] | None, timezones: list[str] | None, *, muted: bool | None
) -> Filter:
    """Return the filter that is meant; a typo is refused, for it would look as if there were nobody."""
    from mailer_cli import clients, localtime, phones

    labels = [clients.checked_tag(tag) for tag in tags or ()]
    if None in labels:
        raise InvalidValueError("tag", "it is empty; leave --tag out to mean any")
    return clients.Filter(
        [phones.check_operator_code(code) for code in operators or ()],
        [label for label in labels if label],
        [localtime.canonical_zone(zone) for zone in timezones or ()],
        muted,
    )
