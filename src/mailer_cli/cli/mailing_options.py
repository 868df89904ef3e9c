"""The options that make up a mailing, and how they are read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailer_cli.cli import completion, output
from mailer_cli.errors import InvalidValueError
from mailer_cli.ids import MAX_MAILING_ID

if TYPE_CHECKING:
    from mailer_cli.mailings import Plan

MailingArgument = Annotated[
    int,
    typer.Argument(
        metavar="MAILING",
        min=1,
        max=MAX_MAILING_ID,
        help="The mailing's id.",
        autocompletion=completion.mailings,
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
TextOption = Annotated[str | None, typer.Option("--text", help="What to send; - reads it from stdin.")]
StartOption = Annotated[
    str | None, typer.Option("--start", metavar="TIME", help="'2026-12-01 10:00' on each client's own clock.")
]
EndOption = Annotated[
    str | None, typer.Option("--end", metavar="TIME", help="Nothing is sent from then on, on the same clock.")
]
ZoneOption = Annotated[
    str | None,
    typer.Option(
        "--zone",
        autocompletion=completion.zones,
        help="Read start and end on this zone's clock, for everybody.",
    ),
]
OperatorOption = Annotated[
    list[str] | None,
    typer.Option(
        "--operator",
        autocompletion=completion.operators,
        help="Only this operator code; repeatable, any of them.",
    ),
]
TagOption = Annotated[
    list[str] | None,
    typer.Option("--tag", autocompletion=completion.tags, help="Only this tag; repeatable, any of them."),
]
BetweenOption = Annotated[
    str | None, typer.Option("--between", metavar="HH:MM-HH:MM", help="Only in these local hours.")
]
DaysOption = Annotated[
    str | None, typer.Option("--days", metavar="DAYS", help="Only on these local days: mon,tue or mon-fri.")
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
    from mailer_cli import clients, localtime, phones

    common = None if zone is None else localtime.canonical_zone(zone, "zone")
    readers: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "text": (text, lambda each: _read_stdin() if each == "-" else each),
        "zone": (common, str),
        "starts_at": (start, lambda each: _wall(each, "start", common)),
        "ends_at": (end, lambda each: _wall(each, "end", common)),
        "operator_codes": (operator, lambda all_: _distinct(map(phones.check_operator_code, all_))),
        "tags": (tag, lambda all_: _distinct(_named(clients.checked_tag(each)) for each in all_)),
        "hours": (between, lambda each: str(localtime.Hours.parse(each, "between"))),
        "weekdays": (days, lambda each: localtime.format_days(localtime.parse_days(each))),
        "priority": (priority, int),
    }
    return {name: read(value) for name, (value, read) in readers.items() if value is not None}


def cleared(changes: dict[str, Any], wanted: dict[str, bool]) -> dict[str, Any]:
    """Return the changes with those fields emptied that are `wanted` so, each named by its option."""
    fields: dict[str, tuple[str, Any]] = {
        "--no-zone": ("zone", None),
        "--all-operators": ("operator_codes", ()),
        "--all-tags": ("tags", ()),
        "--no-between": ("hours", None),
        "--no-days": ("weekdays", None),
    }
    emptied = {fields[option][0]: fields[option][1] for option, given in wanted.items() if given}
    for option, (field, _) in fields.items():
        if field in emptied and field in changes:
            raise typer.BadParameter(f"{option} contradicts the new value; give one of them")
    return changes | emptied


def plan(options: dict[str, Any]) -> Plan:
    """Make a whole plan of the options, but for the text, which may be missing in one only looked at."""
    from mailer_cli.mailings import Plan

    for name, option in (("starts_at", "--start"), ("ends_at", "--end")):
        if name not in options:
            raise typer.BadParameter(f"{option} is missing")
    return Plan(**{"text": ""} | options).checked_but_for_emptiness()


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _named(tag: str | None) -> str:
    if tag is None:
        raise InvalidValueError("tag", "it is empty; leave --tag out to mean any")
    return tag


def _read_stdin() -> str:
    """Read the text, without the newline that an editor or `echo` ends it with."""
    if sys.stdin.isatty():
        output.say("type the text; Ctrl-D on a line of its own ends it")
    try:
        return sys.stdin.read().rstrip("\n")
    except UnicodeDecodeError as error:
        raise InvalidValueError("text", f"it is not {error.encoding}: save it as UTF-8") from None


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
