"""Dispatchers that tests start, kill, and put to sleep."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from conftest import CONFIGURED

TESTS = Path(__file__).parent.parent
# How one that nobody killed may end: done, bad token, try again later, signals.
ORDERLY = frozenset({0, 4, 75, 130, 143, -signal.SIGTERM})


def environment(home: Path, database: str, service: str, **settings: str) -> dict[str, str]:
    """The environment of a dispatcher, with everything that takes time made short."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURED)}
    return kept | {
        "HOME": str(home),
        "DATABASE_URL": database,
        "MESSAGE_SERVICE_URL": service,
        "JWT_TOKEN": "token",
        "MAILER_LEASE": "8",  # the shortest that the margins below allow
        "MAILER_HTTP_TIMEOUT": "1",
        "MAILER_CONCURRENCY": "10",
        "MAILER_RETRY_BASE": "0.2",
        **settings,
    }


@dataclass
class Dispatcher:
    """One that was started; `code` is set when it has ended."""

    pid: int
    point: str | None = None
    killed: bool = False
    asleep_until: float = 0.0
    code: int | None = field(default=None)

    @property
    def asleep(self) -> bool:
        """Whether it was stopped and not woken yet."""
        return self.asleep_until > 0


class Nursery:
    """Starts `mailer` by a zygote while the `with` block lasts; the rest dies with it."""

    def __init__(self, home: Path) -> None:
        self._log = home / "dispatchers.log"
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "chaos.zygote"],
            cwd=TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._started: queue.Queue[int] = queue.Queue()
        self._by_pid: dict[int, Dispatcher] = {}
        self._reader = threading.Thread(target=self._read, name="nursery", daemon=True)
        self._codes: dict[int, int] = {}

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._zygote.stdin.close()
        self._zygote.wait(10)
        self._reader.join(10)
        self._zygote.stdout.close()

    @property
    def log(self) -> str:
        """What dispatchers have written."""
        return self._log.read_text() if self._log.exists() else ""

    def complaints(self) -> str:
        """What dispatchers have written, but for what is to be expected of a lost database."""
        return "\n".join(line for line in self.log.splitlines() if "cannot be reached" not in line)

    def start(self, env: Mapping[str, str], *argv: str, point: str | None = None) -> Dispatcher:
        """Start `mailer` with these words; at `point` it kills itself."""
        self._order(argv=argv, env=dict(env), log=str(self._log), point=point)
        pid = self._started.get(timeout=30)
        started = self._by_pid[pid] = Dispatcher(pid, point, code=self._codes.pop(pid, None))
        return started

    def signal(self, dispatcher: Dispatcher, number: int) -> None:
        """Send a signal, unless it has ended."""
        dispatcher.killed |= number == signal.SIGKILL
        self._order(pid=dispatcher.pid, signal=number)

    def wait(self, dispatcher: Dispatcher, seconds: float = 60) -> int:
        """Wait until it has ended; return its exit code, negative if a signal ended it."""
        end = time.monotonic() + seconds
        while dispatcher.code is None:
            assert time.monotonic() < end, "the dispatcher does not end"
            time.sleep(0.005)
        return dispatcher.code

    def _order(self, **what: Any) -> None:
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(json.dumps(what) + "\n")
        self._zygote.stdin.flush()

    def _read(self) -> None:
        assert self._zygote.stdout is not None
        for line in self._zygote.stdout:
            told = json.loads(line)
            if "code" not in told:
                self._by_pid.pop(told["pid"], None)  # the number of one that ended, used again
                self._started.put(told["pid"])
            elif told["pid"] in self._by_pid:
                self._by_pid[told["pid"]].code = told["code"]
            else:
                self._codes[told["pid"]] = told["code"]
