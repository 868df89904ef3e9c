"""When messages were sent and how late, as a histogram: what it costs does not grow with the messages."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mailer_cli import database
from mailer_cli.database import Connection

_STEP = 1.2  # each bucket ends a fifth later than the one before: a percentile is right to a tenth
_FINEST = 0.1  # seconds; bucket 0 ends here


UNTOLD = -1  # the bucket of what was sent nobody knows how late: an operator found out about it


def bucket(seconds: float) -> int:
    """Return the number of the bucket that a lateness falls into."""
    if seconds <= _FINEST:
        return 0
    return math.ceil(round(math.log(seconds / _FINEST, _STEP), 9))


def middle(number: int) -> float:
    """Return the seconds that stand for all of a bucket."""
    end = _FINEST * _STEP**number
    return end / 2 if number == 0 else end / math.sqrt(_STEP)


@dataclass(frozen=True, slots=True)
class Lateness:
    """Seconds between the moment a message could have been sent and the one it was, over many of them."""

    p50: float
    p95: float
    max: float


@dataclass(frozen=True, slots=True)
class Part:
    """So many messages of one bucket."""

    bucket: int
    sent: int
    latest: float


def lateness(parts: Sequence[Part]) -> Lateness | None:
    """Return the percentiles of a histogram; None without messages."""
    ordered = sorted((part for part in parts if part.bucket != UNTOLD), key=lambda part: part.bucket)
    total = sum(part.sent for part in ordered)
    if not total:
        return None
    latest = max(part.latest for part in ordered)
    return Lateness(
        min(_percentile(ordered, total, 0.50), latest), min(_percentile(ordered, total, 0.95), latest), latest
    )


def _percentile(ordered: Sequence[Part], total: int, share: float) -> float:
    seen = 0
    for part in ordered:
        seen += part.sent
        if seen >= share * total:
            return middle(part.bucket)
    return middle(ordered[-1].bucket)


class Sendings:
    """Adds up what was sent, in one shard."""

    def __init__(self) -> None:
        self._sent: Counter[tuple[int, datetime, int]] = Counter()
        self._latest: dict[tuple[int, datetime, int], float] = {}

    def sent(self, mailing_id: int, due_at: datetime | None, at: datetime) -> None:
        """Note one message that could have been sent at `due_at`, None if nobody knows, and was at `at`."""
        late = 0.0 if due_at is None else max(0.0, (at - due_at).total_seconds())
        hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        place = mailing_id, hour, UNTOLD if due_at is None else bucket(late)
        self._sent[place] += 1
        self._latest[place] = max(late, self._latest.get(place, 0.0))

    def write(self, connection: Connection, shard: int) -> None:
        """Add it to what is stored."""
        if not self._sent:
            return
        places = sorted(self._sent)  # one order for everybody: two writers cannot wait for each other
        database.execute(
            connection,
            "pace_add",
            shard=shard,
            mailing_ids=[mailing_id for mailing_id, _, _ in places],
            hours=[hour for _, hour, _ in places],
            buckets=[number for _, _, number in places],
            sent=[self._sent[place] for place in places],
            latest=[self._latest[place] for place in places],
        )
