"""Numbers for Prometheus. What they cost does not grow with the messages, and none of them is about a person.

| name | labels | meaning |
|---|---|---|
| mailer_messages | mailing, status | messages of a mailing that have a status now |
| mailer_audience | mailing | clients that a mailing is meant for; of many, an estimate until it opens |
| mailer_waiting | mailing | clients of the audience who have no message yet |
| mailer_lateness_seconds | mailing, quantile | from when messages could be sent until they were |
| mailer_last_run_timestamp_seconds | | when `mailer dispatch` was last heard of, in seconds since 1970 |
| mailer_oldest_due_seconds | | for how long the oldest window with somebody due has been so; 0 if none |
| mailer_claims, mailer_retries_due | | batches that dispatchers hold; messages to be tried again by now |
| mailer_held, mailer_token_rejected, mailer_breaker_open, mailer_blocked | | 1 while it is so |
| mailer_quota_used | | messages counted against the day's quota |
| mailer_build_info | version | always 1 |

Mailings are those that are not over, and those that ended within the last seven days.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from mailer_cli import database, overview, reports
from mailer_cli.database import Connection
from mailer_cli.errors import ConfigurationError
from mailer_cli.pace import Lateness
from mailer_cli.reports import Total

_RECENT = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class State:
    """How sending stands as a whole; times in seconds."""

    now: float
    claims: int
    retries_due: int
    last_run: float | None
    oldest_due: float | None
    held: bool
    token_rejected: bool
    breaker_open: bool
    blocked: bool
    quota_used: int


def text(connection: Connection) -> bytes:
    """Return the present numbers in Prometheus's text format."""
    with reports.snapshot(connection):
        state = database.fetch_one(connection, "metrics_state", State)
        assert state is not None  # noqa: S101 - the first migration makes the row
        since = datetime.fromtimestamp(state.now, UTC) - _RECENT
        totals = [standing.total for standing in overview.standings(connection, since)]
        late = reports.lateness(connection, [total.mailing for total in totals])
    registry = CollectorRegistry()
    _add_state(registry, state)
    _add_mailings(registry, totals, late)
    return generate_latest(registry)


def write(path: Path, content: bytes) -> None:
    """Put the file where it belongs in one step: a collector never reads half of it.

    Raises ConfigurationError if it cannot be written there.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(handle, 0o644)
                file.write(content)
                file.flush()
                os.fsync(handle)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None


def _add_state(registry: CollectorRegistry, state: State) -> None:
    build = Gauge("mailer_build_info", "Always 1.", ["version"], registry=registry)
    build.labels(version("mailer-cli")).set(1)
    numbers: dict[str, tuple[str, float | None]] = {
        "last_run_timestamp_seconds": ("When dispatch was last heard of.", state.last_run),
        "oldest_due_seconds": ("How long the oldest window has had somebody due.", state.oldest_due or 0),
        "claims": ("Batches that dispatchers hold.", state.claims),
        "retries_due": ("Messages to be tried again by now.", state.retries_due),
        "held": ("Whether all sending is held.", state.held),
        "token_rejected": ("Whether the service rejected the token.", state.token_rejected),
        "breaker_open": ("Whether the service failed too often.", state.breaker_open),
        "blocked": ("Whether everybody waits, for the service or the quota.", state.blocked),
        "quota_used": ("Messages counted against the day's quota.", state.quota_used),
    }
    for name, (meaning, value) in numbers.items():
        if value is not None:
            Gauge(f"mailer_{name}", meaning, registry=registry).set(value)


def _add_mailings(
    registry: CollectorRegistry, totals: list[Total], lateness: dict[int, Lateness | None]
) -> None:
    by_status = ["mailing", "status"]
    messages = Gauge("mailer_messages", "Messages by status.", by_status, registry=registry)
    audience = Gauge("mailer_audience", "Clients a mailing is meant for.", ["mailing"], registry=registry)
    waiting = Gauge("mailer_waiting", "Clients without a message yet.", ["mailing"], registry=registry)
    late = Gauge(
        "mailer_lateness_seconds",
        "From when messages could be sent until they were.",
        ["mailing", "quantile"],
        registry=registry,
    )
    for total in totals:
        audience.labels(total.mailing).set(total.audience)
        waiting.labels(total.mailing).set(total.waiting)
        for status, number in total.by_status().items():
            messages.labels(total.mailing, status).set(number)
        if found := lateness[total.mailing]:
            for quantile, seconds in (("0.5", found.p50), ("0.95", found.p95), ("1", found.max)):
                late.labels(total.mailing, quantile).set(round(seconds, 3))
