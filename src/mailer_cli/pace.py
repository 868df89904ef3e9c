"""When messages were sent and how late, as a histogram: what it costs does not grow with the messages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mailer_cli import database
from mailer_cli.database import Connection
from mailer_cli.histogram import LATENESS

UNTOLD = -1  # the bucket of what was sent nobody knows how late: an operator found out about it


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
    counts = sorted((part.bucket, part.sent) for part in parts if part.bucket != UNTOLD)
    p50, p95 = (LATENESS.percentile(counts, share) for share in (0.50, 0.95))
    if p50 is None or p95 is None:
        return None
    latest = max(part.latest for part in parts if part.bucket != UNTOLD)
    return Lateness(min(p50, latest), min(p95, latest), latest)


class Sendings:
    """Adds up what was sent, in one shard."""

    def __init__(self) -> None:
        self._sent: Counter[tuple[int, datetime, int]] = Counter()
        self._latest: dict[tuple[int, datetime, int], float] = {}

    def sent(self, mailing_id: int, due_at: datetime | None, at: datetime) -> None:
        """Note one message that could have been sent at `due_at`, None if nobody knows, and was at `at`."""
        late = 0.0 if due_at is None else max(0.0, (at - due_at).total_seconds())
        hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        place = mailing_id, hour, UNTOLD if due_at is None else LATENESS.bucket(late)
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
