"""The options that make up a mailing, and how they are read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailer_cli.errors import InvalidValueError

if TYPE_CHECKING:
    from mailer_cli.mailings import Plan

TextOption = Annotated[str | None, typer.Option("--text", help="What to send; - reads it from stdin.")]
StartOption = Annotated[
    str | None, typer.Option("--start", metavar="TIME", help="'2026-12-01 10:00' on each client's own clock.")
]
EndOption = Annotated[
    str | None, typer.Option("--end", metavar="TIME", help="Nothing is sent from then on, on the same clock.")
]
ZoneOption = Annotated[
    str | None, typer.Option("--zone", help="Read start and end on this zone's clock, for everybody.")
]
OperatorOption = Annotated[
    list[str] | None, typer.Option("--operator", help="Only this operator code; repeatable, any of them.")
]
TagOption = Annotated[list[str] | None, typer.Option("--tag", help="Only this tag; repeatable, any of them.")]
BetweenOption = Annotated[
    str | None, typer.Option("--between", metavar="HH:MM-HH:MM", help="Only in these local hours.")
]
DaysOption = Annotated[
    str | None, typer.Option("--days", help="Only on these local days: mon,tue or mon-fri.")
]
PriorityOption = Annotated[
    int | None, typer.Option("--priority", min=-100, max=100, help="Higher goes first where ends are equal.")
]


def given(
    *,
    text: str | None,
    start: str | None,
    end: str | None,
    zone: str | None,
    operator: list[str] | None,
    tag: list[str] | None,
    between: str | None,
    days: str | None,
    priority: int | None,
) -> dict[str, Any]:
    """Return what was given on the command line, by the names of Plan's fields, each checked."""
    from mailer_cli import localtime, phones

    common = None if zone is None else localtime.canonical_zone(zone, "zone")
    readers: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "text": (text, lambda each: sys.stdin.read().rstrip("\n") if each == "-" else each),
        "zone": (common, str),
        "starts_at": (start, lambda each: _wall(each, "start", common)),
        "ends_at": (end, lambda each: _wall(each, "end", common)),
        "operator_codes": (operator, lambda all_: _distinct(map(phones.check_operator_code, all_))),
        "tags": (tag, lambda all_: _distinct(each.strip() for each in all_)),
        "hours": (between, lambda each: str(localtime.Hours.parse(each, "between"))),
        "weekdays": (days, lambda each: localtime.format_days(localtime.parse_days(each))),
        "priority": (priority, int),
    }
    return {name: read(value) for name, (value, read) in readers.items() if value is not None}


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def plan(options: dict[str, Any]) -> Plan:
    """Make a whole plan of the options; raise InvalidValueError for what is missing."""
    from mailer_cli.mailings import Plan

    for name, option in (("text", "--text"), ("starts_at", "--start"), ("ends_at", "--end")):
        if name not in options:
            raise typer.BadParameter(f"{option} is missing")
    return Plan(**options).checked()


def _wall(text: str, field: str, zone: str | None) -> datetime:
    """Read a wall-clock time; an instant only where one zone's clock is meant for everybody."""
    from mailer_cli import localtime

    try:
        return localtime.parse_wall(text, field)
    except InvalidValueError:
        if zone is None:
            raise
        instant = localtime.parse_instant(text, field)
        return instant.astimezone(localtime.find_zone(zone)).replace(tzinfo=None)
