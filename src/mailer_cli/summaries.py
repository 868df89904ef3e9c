"""Breakdowns of mailings that are over: nobody waits while ten million messages are read.

Those of large ones are kept when they end, those of all before their messages are purged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from mailer_cli import database, purged, reports
from mailer_cli.aspects import Breakdown
from mailer_cli.database import Connection
from mailer_cli.reports import ErrorPart, OperatorPart, Part, TagPart, Total, ZonePart
from mailer_cli.statuses import Status

LIVE = 200_000  # messages that are read at once, whenever a breakdown is wanted

_KEPT: dict[Breakdown, type[Any]] = {
    Breakdown.ZONE: ZonePart,
    Breakdown.OPERATOR: OperatorPart,
    Breakdown.TAG: TagPart,
    Breakdown.ERROR: ErrorPart,
}
_INSTANTS = ("opens_at", "closes_at")


@dataclass(frozen=True, slots=True)
class _Row:
    mailing_id: int
    aspect: str
    parts: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Kept:
    """All breakdowns of a mailing, as its messages were at one instant."""

    total: Total
    parts: Mapping[Breakdown, Sequence[Part]]
    erasures: int  # how many clients had been erased by then


def keep(connection: Connection, mailing: int) -> bool:
    """Read all messages of a mailing that is over, and keep what they add up to; False if they are few."""
    with reports.snapshot(connection):
        [total] = reports.totals(connection, mailing=mailing)
        if _messages(total) <= LIVE:
            return False
        kept = _read(connection, total)
    with database.transaction(connection):
        if purged.lock(connection, mailing) or not _nobody_erased(connection, kept):
            return False  # those of a purged mailing are kept already
        write(connection, kept)
    return True


def read(connection: Connection, mailing: int) -> Kept:
    """Read all messages of a mailing, many or few."""
    with reports.snapshot(connection):
        [total] = reports.totals(connection, mailing=mailing)
        return _read(connection, total)


def still_true(connection: Connection, kept: Kept) -> bool:
    """Tell whether no message has changed its status, and nobody was erased, since it was read.

    Nobody is, then, until the transaction ends.
    """
    [total] = reports.totals(connection, mailing=kept.total.mailing)
    return _counts(total) == _counts(kept.total) and _nobody_erased(connection, kept)


def write(connection: Connection, kept: Kept) -> None:
    """Keep what was read, in the transaction in which the mailing is locked."""
    for aspect, parts in kept.parts.items():
        database.execute(
            connection,
            "summary_write",
            mailing_id=kept.total.mailing,
            aspect=aspect.value,
            counts=_counts(kept.total),
            parts=json.dumps([asdict(part) for part in parts], default=datetime.isoformat),
        )


def parts(connection: Connection, total: Total, aspect: Breakdown) -> Sequence[Part] | None:
    """Return a mailing's breakdown without reading many messages; None where that cannot be done.

    What was kept counts only while the mailing's counters are what they were then. It is all there is where
    the messages were purged.
    """
    if aspect not in _KEPT or (total.purged_at is None and _messages(total) <= LIVE):
        return reports.parts(connection, [total.mailing], aspect)
    found = database.fetch_value(
        connection,
        "summary_read",
        mailing_id=total.mailing,
        aspect=aspect.value,
        counts=_counts(total),
        purged=total.purged_at is not None,
    )
    return None if found is None else [_KEPT[aspect](**_values(part)) for part in found]


def asked_for(connection: Connection, totals: Sequence[Total], aspect: Breakdown) -> Sequence[Part]:
    """Return the breakdowns of these mailings, newest first, however many messages must be read for them."""
    live = [total.mailing for total in totals if total.purged_at is None]
    found = list(reports.parts(connection, live, aspect))
    for total in totals:
        if total.purged_at is not None:
            found += parts(connection, total, aspect) or ()
    return sorted(found, key=attrgetter("mailing"), reverse=True)


def lock(connection: Connection) -> None:
    """Let nothing be kept, and nobody be erased, until the transaction ends."""
    database.execute(connection, "summary_lock")


def forget(
    connection: Connection,
    *,
    tag: str | None,
    lone_tags: Sequence[str],
    statuses: Mapping[int, str],
    pattern: str,
    scrub: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
) -> None:
    """Take one client out of what was kept by tag, and what `pattern` finds out of every text.

    `statuses` are those of the client's messages, by mailing. Of a mailing that was purged nobody knows who
    was in it: there a single message under a tag that nobody else has, `lone_tags`, is taken for theirs.
    """
    tags = [*lone_tags, *([] if tag is None else [tag])]
    for found in database.fetch(connection, "summary_find", _Row, tags=tags, pattern=pattern):
        parts = found.parts
        if found.aspect == Breakdown.TAG:
            parts = _without(parts, tag, statuses.get(found.mailing_id))
            for lone in lone_tags:
                if (status := _only_status(parts, lone)) is not None:
                    parts = _without(parts, lone, status)
        database.execute(
            connection,
            "summary_replace",
            mailing_id=found.mailing_id,
            aspect=found.aspect,
            parts=json.dumps(scrub(parts)),
        )


def _without(parts: list[dict[str, Any]], tag: str | None, status: str | None) -> list[dict[str, Any]]:
    """Move one message from a tag to none, if there is one."""
    by_tag = {part["tag"]: dict(part) for part in parts}
    theirs = by_tag.get(tag)
    if tag is None or status is None or theirs is None or theirs[status] < 1:
        return parts
    zeros = {each.value: 0 for each in Status}
    untagged = by_tag.setdefault(None, {"mailing": theirs["mailing"], "tag": None, **zeros})
    theirs[status] -= 1
    untagged[status] += 1
    return [part for part in by_tag.values() if any(part[each.value] for each in Status)]


def _only_status(parts: list[dict[str, Any]], tag: str) -> str | None:
    """Return the status of the only message under a tag, None where there are more or none."""
    [counts] = [[part[each.value] for each in Status] for part in parts if part["tag"] == tag] or [[]]
    return list(Status)[counts.index(1)].value if sum(counts) == 1 else None


def _read(connection: Connection, total: Total) -> Kept:
    parts = {aspect: reports.parts(connection, [total.mailing], aspect) for aspect in _KEPT}
    return Kept(total, parts, database.fetch_value(connection, "summary_erasures"))


def _nobody_erased(connection: Connection, kept: Kept) -> bool:
    lock(connection)
    erasures: int = database.fetch_value(connection, "summary_erasures")
    return erasures == kept.erasures


def _messages(total: Total) -> int:
    return sum(total.by_status().values())


def _counts(total: Total) -> list[int]:
    return [getattr(total, status.value) for status in Status]


def _values(part: dict[str, Any]) -> dict[str, Any]:
    instants = {key: datetime.fromisoformat(part[key]) for key in _INSTANTS if part.get(key)}
    return part | instants
