"""Starts dispatchers in a few milliseconds: a process that has imported everything, and forks.

    python -m chaos.zygote

Reads one JSON object a line: `{"argv": …, "env": …, "log": …, "point": …}` starts a `mailer` with these
words, `{"pid": …, "signal": …}` sends a signal to one that is still there. Writes one for each that
started, `{"pid": …}`, and for each that ended, `{"pid": …, "code": …}`, negative if a signal ended it.
It ends with its stdin, and so do they.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import traceback
from typing import Any

import psycopg  # noqa: F401 - imported before the fork

import mailer_cli.dispatch.engine
import mailer_cli.service  # noqa: F401 - likewise
from chaos import points
from mailer_cli.cli import main

TICK = 0.01  # seconds between looks at who has ended


def start(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 3
    try:
        code = run(order)
    except KeyboardInterrupt:
        code = 130  # before there was a `mailer` to hear of it
    except BaseException:  # noqa: BLE001 - whatever it is, it is in the log and in the code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def run(order: dict[str, Any]) -> int:
    os.setsid()
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number, target in enumerate((os.open(os.devnull, os.O_RDONLY), log, log)):
        os.dup2(target, number)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["env"]["HOME"])
    if order.get("point"):
        points.arm(order["point"])
    return int(main(order["argv"]))


def say(**what: int) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def obey(line: str, living: set[int]) -> None:
    order = json.loads(line)
    if "argv" in order:
        pid = start(order)
        living.add(pid)
        say(pid=pid)
    elif order["pid"] in living:  # not reaped yet, so the number is still its own
        os.kill(order["pid"], order["signal"])


def bury(living: set[int]) -> None:
    while living:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        living.discard(pid)
        say(pid=pid, code=os.waitstatus_to_exitcode(status))


def serve() -> None:
    living: set[int] = set()
    waiting = b""
    try:
        while True:
            if select.select([0], [], [], TICK)[0]:
                if not (some := os.read(0, 65536)):
                    return
                *lines, waiting = (waiting + some).split(b"\n")
                for line in lines:
                    obey(line.decode(), living)
            bury(living)
    finally:
        for pid in living:
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve()
