"""The lines that let cron run `mailer dispatch`, in a marked block of a user's crontab. Text in, text out."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from mailer_cli.errors import ConflictError, InvalidValueError

BEGIN, END = "# >>> mailer >>>", "# <<< mailer <<<"
_WORDS = """\
# One tick a minute. Ticks that overlap, here or on other hosts, share the work and never a client.
# It prints nothing when all is well, so cron mails only what needs an operator.
# The user of this crontab is the user whose settings (~/.config/mailer/env) and embedded database are used.
"""
_LINE = re.compile(r"[^\n]*\n|[^\n]+")  # to cron a line ends there, and nowhere else
_ENTRY = re.compile(r"(?:@\w+|(?:[^\s#=]+\s+){4}[^\s#=]+)\s+(?P<command>\S.*)")
_DISPATCH = re.compile(r"\bmailer\b.*\bdispatch\b")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line that runs `mailer dispatch`; the command is what cron hands to the shell."""

    line: int
    command: str
    ours: bool  # within the marked block


def block(program: str) -> str:
    """Return the block for this program, an absolute path."""
    if "\n" in program or "\r" in program:
        raise InvalidValueError("path", "it holds a line break, which no crontab can; move the installation")
    # To cron a bare % ends the command.
    command = f"{shlex.quote(program)} dispatch".replace("%", r"\%")
    return f"{BEGIN}\n{_WORDS}* * * * * {command}\n{END}\n"


def install(text: str, program: str) -> str:
    """Return the crontab with one block, for this program; everything else is as it was.

    Raises ConflictError if a block was begun and not ended, or the other way round.
    """
    rest, place = _without(text)
    ours = block(program)
    if place is None:
        gap = "" if not rest or rest.endswith("\n") else "\n"
        return f"{rest}{gap}{ours}"
    return rest[:place] + ours + rest[place:]


def remove(text: str) -> str:
    """Return the crontab without any block; everything else is as it was."""
    return _without(text)[0]


def dispatches(text: str) -> list[Entry]:
    """Return the lines that run `mailer dispatch`."""
    found, ours = [], False
    for number, line in enumerate(_LINE.findall(text), 1):
        ours = (ours or line.strip() == BEGIN) and line.strip() != END
        entry = _entry(line)
        if entry is not None:
            found.append(Entry(number, _to_shell(entry["command"]), ours))
    return found


def _entry(line: str) -> re.Match[str] | None:
    text = line.strip()
    found = None if text.startswith("#") else _ENTRY.fullmatch(text)
    return found if found and _DISPATCH.search(found["command"]) else None


def _without(text: str) -> tuple[str, int | None]:
    """Take every block out; return the rest, and where the first one was."""
    kept: list[str] = []
    begun: int | None = None
    place: int | None = None
    strange: list[int] = []  # lines in a block that are not ours
    for number, line in enumerate(_LINE.findall(text), 1):
        mark = line.strip()
        if mark == BEGIN:
            _require(begun is None, begun or number, BEGIN, END)
            begun = number
            place = len("".join(kept)) if place is None else place
        elif mark == END:
            _require(begun is not None, number, END, BEGIN)
            begun = None
        elif begun is None:
            kept.append(line)
        elif mark and not mark.startswith("#") and not _entry(line):
            strange.append(number)
    _require(begun is None, begun or 0, BEGIN, END)
    if strange:
        raise ConflictError(
            f"line {strange[0]} of the crontab stands in mailer's block, and would be lost with it\n"
            "put it somewhere else by `crontab -e`"
        )
    return "".join(kept), place


def _require(condition: bool, line: int, mark: str, other: str) -> None:  # noqa: FBT001 - it reads as a condition
    if not condition:
        raise ConflictError(
            f"line {line} of the crontab, {mark!r}, has no {other!r}; mend it by `crontab -e`"
        )


def _to_shell(command: str) -> str:
    """What cron makes of a command: up to the first bare %, with \\% as %."""
    return re.split(r"(?<!\\)%", command)[0].replace(r"\%", "%")
