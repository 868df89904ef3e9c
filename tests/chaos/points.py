"""Named points in a dispatcher's life at which it kills itself, as `kill -9` would."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from mailer_cli import database

# What is killed before or after a function of the engine: its transactions are committed by then.
FUNCTIONS = {
    "before claiming": ("before", "engine", "claim_next"),
    "after claiming": ("after", "engine", "claim_next"),
    "after claiming retries": ("after", "engine", "claim_due"),
    "before starting": ("before", "claims", "start"),
    "after starting": ("after", "claims", "start"),
    "before recording": ("before", "engine", "record"),
    "after recording": ("after", "engine", "record"),
    "after recording one shard": ("after", "record", "_record_shard"),
    "after recovering": ("after", "recover", "recover"),
    "after settling some of a closed window": ("after", "housekeeping", "_close_some"),
    "after opening windows": ("after", "housekeeping", "_open_shard"),
    "after handing back": ("after", "claims", "hand_back"),
}
# What is killed between two statements, most of them in the middle of a transaction.
STATEMENTS = {
    "while claiming": "after message_insert",
    "while starting": "after claim_start",
    "while recording": "after message_record",
    "while recovering": "after claim_take",
    "while settling a closed window": "before windows_close",
    "while opening": "after window_open",
    "before forgetting a claim": "before claim_delete",
}
REQUEST = "in the middle of a request"
NAMES = (*FUNCTIONS, *STATEMENTS, REQUEST)


def arm(point: str) -> None:
    """Die at `point`: one of NAMES, `before` or `after` a statement's name; `trace FILE` only notes them.

    `… *3` is its third time.
    """
    name, _, number = point.partition(" *")
    die = _nth(int(number or 1))
    if name == REQUEST:
        _arm_request(die)
    elif name in FUNCTIONS:
        when, module, function = FUNCTIONS[name]
        _wrap(importlib.import_module(f"mailer_cli.dispatch.{module}"), function, when, lambda _: die())
    elif name.startswith("trace "):
        _arm_trace(Path(name.removeprefix("trace ")))
    else:
        when, _, statement = STATEMENTS.get(name, name).partition(" ")
        _arm_statements(when, lambda run: die() if run == statement else None)


def _arm_statements(when: str, act: Callable[[str], object]) -> None:
    for function in ("execute", "fetch", "fetch_one", "fetch_value"):
        _wrap(database, function, when, lambda arguments: act(arguments[1]))


def _arm_trace(file: Path) -> None:
    def note(statement: str) -> None:
        with file.open("a") as noted:
            noted.write(statement + "\n")

    _arm_statements("before", note)


def _arm_request(die: Callable[[], None]) -> None:
    from mailer_cli.service import MessageService

    send = MessageService.send

    async def mortal(self: MessageService, *arguments: Any) -> Any:
        asyncio.get_running_loop().call_later(0.005, die)
        return await send(self, *arguments)

    setattr(MessageService, "send", mortal)  # noqa: B010 - a method, replaced on purpose


def _wrap(owner: Any, name: str, when: str, act: Callable[[tuple[Any, ...]], object]) -> None:
    function = getattr(owner, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        if when == "before":
            act(arguments)
        done = function(*arguments, **named)
        if when == "after":
            act(arguments)
        return done

    setattr(owner, name, wrapped)


def _nth(number: int) -> Callable[[], None]:
    times = count(1)

    def die() -> None:
        if next(times) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return die
