"""What `mailer cron run` does: a dispatch at once and on each full minute, in the foreground.

Each is a process of its own: what crashes, leaks or hangs in one of them touches no other. The next starts
on the minute even if the last still runs, as under cron: dispatches share the work, and one that sums up a
mailing of millions must not keep the others from sending.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mailer_cli.errors import ExitCode

MOST = 5  # under way at once: if a dispatch hangs, so may the next, and a host has only so much memory
_STOPS = (signal.SIGTERM, signal.SIGINT)
_HEARD = {*_STOPS, signal.SIGCHLD}
# By a signal, which it heeded, or which came before it had begun to work.
_STOPPED = {ExitCode.TERMINATED, ExitCode.INTERRUPTED, -signal.SIGTERM, -signal.SIGINT}


@dataclass(slots=True)
class Ticks:
    """Processes started from these words, one in each stretch of `every` seconds of the clock."""

    words: list[str]
    every: float
    tell: Callable[[str], None]
    clock: Callable[[], float] = time.time
    started: int = 0
    _running: set[int] = field(default_factory=set)
    _stopping: bool = False

    def run(self) -> None:
        """Start them until SIGTERM or SIGINT, which is handed on; return when the last of them has ended."""
        # Signals wait until they are asked for: none is lost between two looks, and nothing is interrupted.
        # SIGCHLD would not wait where whoever started us has it ignored.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        number: int = signal.SIGTERM
        try:
            number = self._tick_until_stopped()
        finally:
            self._hand_on(number)
            while self._running:
                self._hear(1.0)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _tick_until_stopped(self) -> int:
        last = None
        while True:
            # Compared, not counted: a clock that is set back or forth, or a sleep of the host, costs one tick
            # at the most.
            now = self.clock()
            if (stretch := now // self.every) != last:
                last = stretch
                self._start()
            if number := self._hear(self.every - now % self.every):
                return number

    def _hear(self, seconds: float) -> int | None:
        """Wait for a signal, for so long; return the one that says stop."""
        heard = signal.sigtimedwait(_HEARD, seconds)
        if heard is None or heard.si_signo == signal.SIGCHLD:
            self._reap()
            return None
        if self._stopping:  # asked again: they are told again, and do not wait then
            self._hand_on(heard.si_signo)
        return heard.si_signo

    def _hand_on(self, number: int) -> None:
        self._stopping = True
        for pid in self._running:
            os.kill(pid, number)  # ours, and not reaped yet: nobody else can have its number

    def _start(self) -> None:
        if len(self._running) >= MOST:
            self.tell(f"{MOST} dispatches are still running; none is started now: see `mailer top`")
            return
        try:
            pid = os.posix_spawn(
                self.words[0],
                self.words,
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, 1, 2)],  # what it says is our log
                setpgroup=0,  # a Ctrl-C on the terminal reaches it once, through us
                setsigmask=(),
                setsigdef=_HEARD,
            )
        except OSError as error:
            self.tell(f"a dispatch could not be started: {error.strerror}; the next is tried on time")
            return
        self._running.add(pid)
        self.started += 1

    def _reap(self) -> None:
        for pid in tuple(self._running):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._running.discard(pid)
                self._tell_of(os.waitstatus_to_exitcode(status))

    def _tell_of(self, code: int) -> None:
        if code == ExitCode.DONE or (self._stopping and code in _STOPPED):
            return
        goes_on = "" if self._stopping else "; the next starts on time"
        self.tell(f"a dispatch {_said(code)}{goes_on}")


def _said(code: int) -> str:
    """Say how a process ended that did not end well."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    known = {each.value: each.name.lower().replace("_", " ") for each in ExitCode}
    return f"ended with {code} ({known[code]})" if code in known else f"ended with {code}"
