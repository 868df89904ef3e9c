"""Histograms of seconds whose buckets grow: a percentile is right to a tenth, however many were counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEP = 1.2  # each bucket ends a fifth later than the one before


@dataclass(frozen=True, slots=True)
class Scale:
    """Where the buckets lie: bucket 0 ends at `finest` seconds."""

    finest: float

    def bucket(self, seconds: float) -> int:
        """Return the number of the bucket that a duration falls into."""
        if seconds <= self.finest:
            return 0
        return math.ceil(round(math.log(seconds / self.finest, _STEP), 9))

    def middle(self, number: int) -> float:
        """Return the seconds that stand for all of a bucket."""
        end = self.finest * _STEP**number
        return end / 2 if number == 0 else end / math.sqrt(_STEP)

    def percentile(self, counts: Sequence[tuple[int, int]], share: float) -> float | None:
        """Return the seconds within which this share is; of (bucket, count) in order, None without any."""
        total, seen = sum(count for _, count in counts), 0
        for number, count in counts:
            seen += count
            if count and seen >= share * total:
                return self.middle(number)
        return None


LATENESS = Scale(0.1)  # from when a message could be sent until it was
LATENCY = Scale(0.001)  # from asking the service until its answer


class Latencies:
    """How long requests took: a count for each bucket."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def add(self, seconds: float) -> None:
        """Count one request."""
        number = LATENCY.bucket(seconds)
        if number >= len(self.counts):
            self.counts.extend([0] * (number + 1 - len(self.counts)))
        self.counts[number] += 1

    def merge(self, counts: Sequence[int]) -> None:
        """Add what somebody else counted."""
        self.counts.extend([0] * (len(counts) - len(self.counts)))
        for number, count in enumerate(counts):
            self.counts[number] += count
