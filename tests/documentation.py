"""The pages of the documentation, taken apart, and what the program says to what they have people type."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
SHELL = ("sh", "crontab")
# What stands for something of the reader's own; the word that the program is shown instead.
PLACEHOLDERS = {
    "CLIENT": "79161234567",
    "DATE": "2026-12-01",
    "DIRECTORY": "directory",
    "FILE": "file.csv",
    "ID": "1",
    "MAILING": "1",
    "N": "10",
    "PATH": "/path",
    "PHONE": "79161234567",
    "REASON": "reason",
    "SPAN": "400d",
    "TEXT": "text",
    "TIME": "2026-12-01T09:00Z",
    "TOPIC": "time",
    "URL": "http://127.0.0.1/send/",
    "ZONE": "Europe/Moscow",
    "COMMAND": "report",
}
_CONTROL = {"&&", "||", "|", ";", ";;", "&", "(", ")", "|&"}
_REDIRECTS = {">", ">>", "<", ">&", "&>", "<<<", ">|", "<>"}
_KEYWORDS = {"do", "then", "else", "if", "while", "until", "!", "{", "time", "exec", "export", "env", "exit"}


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `unrun` is the reason, in a comment above it, why no test runs it."""

    line: int
    language: str
    text: str
    unrun: str | None


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of inline code, or the address of a link."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of Markdown."""

    path: Path
    blocks: tuple[Block, ...]
    code: tuple[Span, ...]
    links: tuple[Span, ...]
    anchors: frozenset[str]

    def commands(self) -> Iterator[tuple[int, list[str]]]:
        """What follows `mailer` wherever a shell would run it, with the line of its block."""
        for block in self.blocks:
            if block.language in SHELL:
                yield from ((block.line, words) for words in mailers(block.text))


@cache
def read(path: Path) -> Page:
    """Take a page apart as a reader of Markdown would."""
    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    inline = [token for token in tokens if token.type == "inline"]
    return Page(
        path,
        tuple(_blocks(tokens)),
        tuple(_spans(inline, "code_inline", lambda each: each.content)),
        tuple(_spans(inline, "link_open", lambda each: each.attrs["href"]))
        + tuple(_spans(inline, "image", lambda each: each.attrs["src"])),
        frozenset(_anchors(tokens)),
    )


def _blocks(tokens: Sequence[Token]) -> Iterator[Block]:
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type != "fence":
            continue
        comment = before.content if before is not None and before.type == "html_block" else ""
        unrun = re.search(r"<!-- not run: (.+?) -->", comment)
        yield Block(_line(token), token.info.split(" ")[0], token.content, unrun.group(1) if unrun else None)


def _spans(inline: Sequence[Token], kind: str, what: Any) -> Iterator[Span]:
    for token in inline:
        for child in token.children or ():
            if child.type == kind:
                yield Span(_line(token), str(what(child)))


def _anchors(tokens: Sequence[Token]) -> Iterator[str]:
    """GitHub's names for headings."""
    for before, token in pairwise(tokens):
        if before.type == "heading_open":
            plain = re.sub(r"[^\w\- ]", "", token.content.lower())
            yield plain.replace(" ", "-")


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 0


def mailers(script: str) -> Iterator[list[str]]:
    """The arguments of each `mailer` that a shell script, or a crontab, would run."""
    script = re.sub(r"<<-?\s*'?(\w+)'?([^\n]*)\n.*?\n\1$", r"\2", script, flags=re.DOTALL | re.MULTILINE)
    script = script.replace("\\\n", " ")
    for inner in re.findall(r"\$\(([^()]*)\)", script):
        yield from mailers(inner)
    for line in re.sub(r"\$\([^()]*\)", "$SUBSTITUTED", script).splitlines():
        for words in _simple_commands(line):
            if arguments := _arguments(words):
                yield arguments[1:]


def _simple_commands(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    skip = False
    for token in lexer:
        if skip:
            skip = False
        elif token in _CONTROL:
            yield words
            words = []
        elif token in _REDIRECTS:
            skip = True
            if words and words[-1] in {"1", "2"}:
                words.pop()
        else:
            words.append(token)
    yield words


def _arguments(words: list[str]) -> list[str]:
    """The command from `mailer` on; empty if this is another's command."""
    if len(words) > 5 and all(re.fullmatch(r"[\d*/,-]+", word) for word in words[:5]):
        words = words[5:]  # a crontab's five fields
    while words and (words[0] in _KEYWORDS or re.match(r"\w+=", words[0])):
        words = words[1:]
    if words and _is_mailer(words[0]):
        return words
    # sudo, docker, kubectl and their like: mailer may be a user, a container, or what is to be run.
    for index, word in enumerate(words[:-1]):
        if _is_mailer(word) and words[index + 1] in _root().commands:
            return words[index:]
    return []


def _is_mailer(word: str) -> bool:
    return word == "mailer" or word.endswith("/bin/mailer")


def complaint(arguments: Sequence[str], *, whole: bool = True) -> str | None:
    """What the real command line would say against these arguments; None if it takes them.

    What is not `whole` may leave out what a command needs: prose names commands without their arguments.
    """
    from typer._click.exceptions import BadOptionUsage, MissingParameter, UsageError

    command, path = _root(), ["mailer"]
    rest = [_real(word) for word in arguments]
    while (below := getattr(command, "commands", None)) is not None:
        if not rest:
            return None if not whole or path == ["mailer"] else f"{' '.join(path)}: which command?"
        if rest[0] in _options(command):
            return None
        if rest[0] not in below:
            return f"{' '.join(path)}: no command {rest[0]!r}"
        path.append(rest[0])
        command, rest = below[rest[0]], rest[1:]
    if "--help" in rest:
        return None
    try:
        command.make_context(path[-1], list(rest))
    except (MissingParameter, BadOptionUsage) as error:
        return None if not whole else f"{' '.join(path)}: {error.format_message()}"
    except UsageError as error:
        return f"{' '.join(path)}: {error.format_message()}"
    return None


def _real(word: str) -> str:
    if "$" in word:
        return "1"
    return PLACEHOLDERS.get(word, word)


@cache
def _root() -> Any:
    from typer.main import get_command

    from mailer_cli.cli.app import assemble

    return get_command(assemble())


def _options(command: Any) -> set[str]:
    return {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help", "-h"}


def all_options() -> set[str]:
    """Every option of every command."""
    found: set[str] = set()
    todo = [_root()]
    while todo:
        command = todo.pop()
        found |= _options(command)
        todo += getattr(command, "commands", {}).values()
    return found
