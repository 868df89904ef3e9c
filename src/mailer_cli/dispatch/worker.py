"""One of several processes that send for a run: the job comes by stdin, what it does is told by stdout."""

from __future__ import annotations

import json
import os
import pickle
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mailer_cli.dispatch.engine import Engine, send_all
from mailer_cli.dispatch.options import Summary
from mailer_cli.errors import MailerError

if TYPE_CHECKING:
    from mailer_cli.dispatch.crew import Job


def main() -> None:
    """Send until nothing is due, the time is over, a signal comes, or whoever started us is gone."""
    job: Job = pickle.load(sys.stdin.buffer)  # noqa: S301 - of our own parent, by our own stdin
    summary = Summary()
    engine = Engine(
        job.dsn,
        job.run_id,
        job.service,
        job.options,
        summary,
        job.deadline,
        lambda summary: _tell("beat", summary.beat()),
        job.role,
    )
    lost = None
    try:
        send_all(engine, parent=sys.stdin.fileno())
    except MailerError as error:
        lost = str(error)
    _tell("beat", summary.beat())
    _tell("ending", {**asdict(engine.ending), "lost": lost})


def _tell(what: str, value: dict[str, Any]) -> None:
    with suppress(BrokenPipeError):  # nobody is left to be told; stdin says so, too
        os.write(sys.stdout.fileno(), json.dumps({what: value}).encode() + b"\n")


if __name__ == "__main__":
    main()
