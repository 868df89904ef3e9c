"""Breakdowns of large mailings, kept when they are over: nobody waits while ten million messages are read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from mailer_cli import database, reports
from mailer_cli.database import Connection
from mailer_cli.reports import Breakdown, ErrorPart, OperatorPart, Part, TagPart, Total, ZonePart
from mailer_cli.statuses import Status

LIVE = 200_000  # messages that are read at once, whenever a breakdown is wanted

_KEPT: dict[Breakdown, type[Any]] = {
    Breakdown.ZONE: ZonePart,
    Breakdown.OPERATOR: OperatorPart,
    Breakdown.TAG: TagPart,
    Breakdown.ERROR: ErrorPart,
}
_INSTANTS = ("opens_at", "closes_at")


def keep(connection: Connection, mailing: int) -> bool:
    """Read all messages of a mailing that is over, and keep what they add up to; False if they are few."""
    with reports.snapshot(connection):
        [total] = reports.totals(connection, mailing=mailing)
        if _messages(total) <= LIVE:
            return False
        found = {aspect: reports.parts(connection, [mailing], aspect) for aspect in _KEPT}
    for aspect, parts in found.items():
        database.execute(
            connection,
            "summary_write",
            mailing_id=mailing,
            aspect=aspect.value,
            counts=_counts(total),
            parts=json.dumps([asdict(part) for part in parts], default=datetime.isoformat),
        )
    return True


def parts(connection: Connection, total: Total, aspect: Breakdown) -> Sequence[Part] | None:
    """Return a mailing's breakdown without reading many messages; None where that cannot be done.

    What was kept counts only while the mailing's counters are what they were then.
    """
    if aspect not in _KEPT or _messages(total) <= LIVE:
        return reports.parts(connection, [total.mailing], aspect)
    found = database.fetch_value(
        connection, "summary_read", mailing_id=total.mailing, aspect=aspect.value, counts=_counts(total)
    )
    return None if found is None else [_KEPT[aspect](**_values(part)) for part in found]


def _messages(total: Total) -> int:
    return sum(total.by_status().values())


def _counts(total: Total) -> list[int]:
    return [getattr(total, status.value) for status in Status]


def _values(part: dict[str, Any]) -> dict[str, Any]:
    instants = {key: datetime.fromisoformat(part[key]) for key in _INSTANTS if part.get(key)}
    return part | instants
