"""What every subject is given to send, and what the service must have been asked for."""

from __future__ import annotations

TOKEN = "benchmark-token"  # noqa: S105 - of a service that lives for a few seconds on this host
TEXT = "Your order is ready for collection. Show this message at the counter, we are open until 20:00."
FIRST_PHONE = 79_000_000_000


def phones(number: int) -> range:
    """As many different phones, the same ones each time."""
    return range(FIRST_PHONE, FIRST_PHONE + number)
