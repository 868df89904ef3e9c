"""CPU time and memory of process trees, sampled from /proc while they run."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.children import tree

EVERY = 0.1  # seconds between samples
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Sample:
    """What the processes had used by then: seconds of CPU in all, and bytes of memory just now."""

    at: float  # of the clock that the service's and the database's records go by
    cpu: float
    memory: int


class Others:
    """How much of the machine was used by processes that are not ours: figures taken then are doubtful."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._before = _busy() - _ours()

    def cores(self) -> float:
        """How many cores they used, on average, since this was made."""
        return max(0.0, _busy() - _ours() - self._before) / (time.monotonic() - self._since)


def _busy() -> float:
    """CPU seconds that processes have had since the machine was started, and those it was kept from."""
    # Not those of interrupts: what is sent on loopback is in them, and nobody's.
    user, nice, system, _, _, _, _, stolen = Path("/proc/stat").read_text().split()[1:9]
    return sum(map(int, (user, nice, system, stolen))) / TICKS


def _ours() -> float:
    """CPU seconds of this process and of all that descend from it, those that have ended included."""
    return sum(sum(map(int, fields[11:15])) for fields in map(_fields, tree(os.getpid())) if fields) / TICKS


def _fields(pid: int) -> list[str]:
    """What /proc/PID/stat tells after the name; nothing if the process has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


class Meter:
    """Samples the trees below some processes in a thread, from `start` to `stop`."""

    def __init__(self, roots: Sequence[int]) -> None:
        self._roots = roots
        self._used: dict[int, float] = {}  # a process that ended is remembered with what it had used
        self._samples: list[Sample] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True, name="meter")

    def start(self) -> None:
        """Begin to sample; the processes have only just been started."""
        self._samples.append(Sample(time.time(), 0.0, 0))
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample and end."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self._sample()
        self._sample()

    def _sample(self) -> None:
        memory = 0
        for root in self._roots:
            for pid in tree(root):
                memory += self._look_at(pid)
        self._samples.append(Sample(time.time(), sum(self._used.values()), memory))

    def _look_at(self, pid: int) -> int:
        fields = _fields(pid)
        if not fields:
            return 0
        self._used[pid] = (int(fields[11]) + int(fields[12])) / TICKS
        return int(fields[21]) * PAGE

    def cpu_between(self, began: float, ended: float) -> float:
        """CPU seconds used between two instants."""
        return self._cpu_at(ended) - self._cpu_at(began)

    def _cpu_at(self, instant: float) -> float:
        before = self._samples[0]
        for sample in self._samples:
            if sample.at >= instant:
                share = (instant - before.at) / (sample.at - before.at) if sample.at > before.at else 1.0
                return before.cpu + share * (sample.cpu - before.cpu)
            before = sample
        return before.cpu

    @property
    def peak_memory(self) -> int:
        """The most resident memory at once, in bytes; pages that processes share count for each."""
        return max((sample.memory for sample in self._samples), default=0)
