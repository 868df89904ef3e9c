"""`mailer help`: the concepts, readable in the terminal, and the manual page made of the same source."""

from __future__ import annotations

import sys
from enum import StrEnum
from importlib import resources
from typing import Annotated

import typer

from mailer_cli.cli import output


class Topic(StrEnum):
    """What there is to read about."""

    EXIT_CODES = "exit-codes"
    STATUSES = "statuses"
    TIME = "time"


_ABOUT = {
    Topic.EXIT_CODES: "what the ending of a command means",
    Topic.STATUSES: "what a message can be, and a mailing",
    Topic.TIME: "local time, windows, hours that are strange, zones",
}


def text(topic: Topic) -> str:
    """Return a topic as Markdown."""
    return (resources.files("mailer_cli") / "topics" / f"{topic.value}.md").read_text(encoding="utf-8")


def show(
    topic: Annotated[Topic | None, typer.Argument(metavar="[TOPIC]", help=f"{', '.join(Topic)}.")] = None,
    man: Annotated[bool, typer.Option("--man", help="Write the manual page, for `man -l -`.")] = False,
) -> None:
    """Explain the concepts: exit codes, statuses, time. Commands explain themselves by --help."""
    if man:
        from mailer_cli.cli import manual

        output.raw(manual.page())
    elif topic is None:
        output.line("Topics, each by `mailer help TOPIC`:")
        for each in Topic:
            output.line(f"  {each.value:12} {_ABOUT[each]}")
        output.line("Commands: `mailer --help`, `mailer COMMAND --help`")
        output.line("The manual: `mailer help --man | man -l -`")
    elif sys.stdout.isatty():
        from rich.markdown import Markdown

        output.console().print(Markdown(text(topic)))
    else:
        output.raw(text(topic))
