"""A program: one use of the embedded server in a process of its own, as an ordinary user if root says so.

Its argument is JSON: {"call": …, "home": …, "options": {…}, "user": [uid, gid] or null}; its answer is one
line of JSON on stdout. It imports all it needs before it drops root, for the interpreter itself may be
installed where only root can read.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg

from mailer_cli.database import embedded
from mailer_cli.errors import MailerError


def connect(home: Path) -> str:
    """Connect to the server as anybody would who knows where it is; return what is refused."""
    try:
        psycopg.connect(f"postgresql://mailer@/mailer?host={home / 'postgres' / 'socket'}").close()
    except psycopg.OperationalError as error:
        return str(error)
    return "let in"


def outlive(home: Path) -> bool:
    """Start the server, see it killed, and tell whether its process was reaped."""
    embedded.ensure(home, durable=False)
    pid = embedded.status(home).pid
    assert pid is not None
    os.kill(pid, 9)
    deadline = time.monotonic() + 10
    while Path("/proc", str(pid)).exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    embedded.ensure(home, durable=False)  # and one that is still running when we end
    return True


CALLS: dict[str, Callable[..., object]] = {
    "ensure": embedded.ensure,
    "stop": embedded.stop,
    "status": lambda home: asdict(embedded.status(home)),
    "connect": connect,
    "outlive": outlive,
}


def become(uid: int, gid: int) -> None:
    """Drop root for good, with all that is imported late already imported."""
    import encodings.idna
    import hashlib
    import shutil  # noqa: F401 - imported by the code under test when it needs it

    from mailer_cli.database.embedded import server  # noqa: F401 - as above

    hashlib.sha256(b"")
    str(encodings.idna)
    connect(Path("/nonexistent"))
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def main() -> None:
    """Do what the argument says, and answer."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    if asked["user"]:
        become(*asked["user"])
    try:
        answer: dict[str, object] = {"value": CALLS[asked["call"]](Path(asked["home"]), **asked["options"])}
    except MailerError as error:
        answer = {"error": type(error).__name__, "text": str(error)}
    sys.stdout.write(json.dumps(answer, default=str) + "\n")


if __name__ == "__main__":
    main()
