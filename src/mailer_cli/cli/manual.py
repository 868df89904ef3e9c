"""The manual page, in roff: made of the commands' own help and of the topics of `mailer help`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from mailer_cli.cli.help_topics import Topic, text

if TYPE_CHECKING:
    from markdown_it.token import Token


def page() -> str:
    """Return the whole page, for `man -l -` and for packagers."""
    import typer

    from mailer_cli.cli.app import assemble

    top = typer.main.get_command(assemble())
    parts = [
        f'.TH MAILER 1 "" "mailer {version("mailer-cli")}" "User Commands"',
        ".SH NAME",
        _roff("mailer - send text messages to clients in their own local time"),
        ".SH SYNOPSIS",
        r".B mailer" + "\n" + _roff("COMMAND [OPTIONS] [ARGUMENTS]"),
        ".SH DESCRIPTION",
        _roff(str(top.help)),
        ".SH COMMANDS",
        *_commands(top, "mailer"),
    ]
    for topic in Topic:
        parts += _topic(text(topic))
    return "\n".join(parts) + "\n"


def _commands(command: Any, path: str) -> Iterator[str]:
    below = getattr(command, "commands", None)
    if below is not None:
        for name, each in below.items():
            yield from _commands(each, f"{path} {name}")
        return
    arguments = " ".join(_metavar(each) for each in command.params if not _is_option(each))
    yield f".SS {_roff(path)} {_roff(arguments)}"
    yield _paragraphs(command.help or "")
    for option in filter(_is_option, command.params):
        names = ", ".join((*option.opts, *option.secondary_opts))
        yield f".TP\n.B {_roff(names)}\n{_roff(option.help or '')}"


def _is_option(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "option")


def _metavar(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _paragraphs(help_text: str) -> str:
    return "\n.PP\n".join(_roff(" ".join(each.split())) for each in help_text.split("\n\n"))


def _topic(markdown: str) -> Iterator[str]:
    from markdown_it import MarkdownIt

    tokens = iter(MarkdownIt().enable("table").parse(markdown))
    for token in tokens:
        match token.type:
            case "heading_open":
                title = _inline(next(tokens))
                yield f".SH {title.upper()}" if token.tag == "h1" else f".SS {title}"
            case "paragraph_open":
                yield f".PP\n{_inline(next(tokens))}"
            case "tbody_open":
                yield from _rows(tokens)


def _rows(tokens: Iterator[Token]) -> Iterator[str]:
    """A row of a table: its first cell is the term, the others explain it."""
    cells: list[str] = []
    for token in tokens:
        if token.type == "inline":
            cells.append(_inline(token))
        elif token.type == "tr_close":
            term, *rest = cells
            yield f".TP\n.B {term}\n" + ". ".join(rest)
            cells = []
        elif token.type == "tbody_close":
            return


def _inline(token: Token) -> str:
    return re.sub(r"[`*]", "", _roff(token.content.replace("\n", " ")))


def _roff(plain: str) -> str:
    """Escape what roff would read as its own."""
    escaped = plain.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{escaped}" if escaped.startswith((".", "'")) else escaped
