"""`mailer sandbox`: a message service to practise on."""

from __future__ import annotations

import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mailer_cli.cli import output
from mailer_cli.errors import InvalidValueError

if TYPE_CHECKING:
    import asyncio

    from mailer_cli.sandbox import Received, Sandbox


def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8025,
    token: Annotated[
        str | None, typer.Option(help="Bearer token to demand (default: JWT_TOKEN; none: any will do).")
    ] = None,
    ledger: Annotated[
        Path | None, typer.Option(help="Append each accepted message to this file, as JSON lines.")
    ] = None,
    latency: Annotated[str, typer.Option(help="Wait before each answer: 0.2, 200ms, 1s.")] = "0",
    error_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share refused for now, with a 5xx or 429.")
    ] = 0,
    garbage_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share accepted, but with an unreadable answer.")
    ] = 0,
    hang_rate: Annotated[float, typer.Option(min=0, max=1, help="Share accepted, but never answered.")] = 0,
    reset_rate: Annotated[
        float, typer.Option(min=0, max=1, help="Share accepted, but the connection is reset.")
    ] = 0,
    status: Annotated[
        int | None, typer.Option(min=200, max=599, help="Answer every request with this HTTP status.")
    ] = None,
    retry_after: Annotated[
        int | None, typer.Option(min=0, help="Seconds to ask for with 429 and 503.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Make the same faults in the same order.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not print what is received.")] = False,
) -> None:
    """Run a local message service that speaks the real one's language, and misbehaves when told to.

    It prints what it receives until it is stopped with Ctrl-C.
    """
    import asyncio

    from mailer_cli.sandbox import Faults, Sandbox

    faults = Faults(
        seconds(latency), error_rate, garbage_rate, hang_rate, reset_rate, status, retry_after, seed
    )
    expected = token or os.environ.get("JWT_TOKEN") or None
    stopped = asyncio.Event()
    told = None if quiet else partial(_print, stopped)
    server = Sandbox(host=host, port=port, token=expected, ledger=ledger, faults=faults, on_request=told)
    asyncio.run(_serve(server, stopped, demands_token=expected is not None))


def seconds(text: str) -> float:
    """Read a duration such as `0.2`, `200ms` or `1s`; raise InvalidValueError for anything else."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|s)?", text.strip())
    if found is None:
        raise InvalidValueError("latency", f"{text!r} is not a duration; write 0.2, 200ms or 1s")
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


async def _serve(server: Sandbox, stopped: asyncio.Event, *, demands_token: bool) -> None:
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    url = await server.start()
    output.say(f"listening; in another terminal: export MESSAGE_SERVICE_URL={url}")
    if not demands_token:
        output.say("any token is accepted: none was given by --token or JWT_TOKEN")
    try:
        await stopped.wait()
    finally:
        await server.stop()
        output.say(f"stopped: {server.received} requests received, {server.accepted} messages accepted")


def _print(stopped: asyncio.Event, received: Received) -> None:
    answer = "no answer" if received.status is None else str(received.status)
    phone, text = received.phone or "?", output.printable(received.text)
    try:
        output.line(f"{received.id} {phone} {answer} ({output.printable(received.remark)}): {text}")
        sys.stdout.flush()
    except BrokenPipeError:
        stopped.set()  # whoever read our output has seen enough
