"""Claim the next clients of the most urgent window of a shard."""

from __future__ import annotations

from mailer_cli import counters, database
from mailer_cli.database import Connection
from mailer_cli.dispatch import claims, scan
from mailer_cli.dispatch.claims import Claim, Item
from mailer_cli.dispatch.options import Options, Summary

FAR = 600.0  # seconds; windows that end later than this may share a claim
STEPS = 128  # cursor steps per claim at the most, so that its transaction stays short


def claim_next(
    connection: Connection, run_id: int, shard: int, options: Options, summary: Summary
) -> Claim | None:
    """Claim up to a batch of clients in one short transaction; None if nobody was left to claim."""
    with database.transaction(connection):
        windows = database.fetch(
            connection, "claim_windows", scan.Window, shard=shard, margin=options.margin, far=FAR
        )
        if not windows:
            return None
        items, made = _take(connection, windows, options.batch)
        counters.add(connection, shard, {windows[0].mailing_id: made})
        for status, number in made.items():
            summary.count(status, number)
        if not items:
            return None
        first = windows[0]
        not_after = min(window.sendable_until for window in windows)
        claim = Claim(shard, first.mailing_id, first.version, first.text, not_after, items)
        claims.hold(connection, run_id, claim, options)
    summary.claimed += len(items)
    return claim


def _take(
    connection: Connection, windows: list[scan.Window], batch: int
) -> tuple[list[Item], dict[str, int]]:
    items: list[Item] = []
    made: dict[str, int] = {}
    steps = 0
    for locked in windows:
        window, done = locked, False
        while not done and len(items) < batch and steps < STEPS:
            taken = scan.take(connection, window, batch - len(items))
            window, done, steps = taken.window, taken.looked_at_end, steps + 1
            ends = window.due_at, window.closes_at
            items += [Item(c.client_id, c.phone, window.zone, 1, 0, *ends) for c in taken.clients]
            for status, number in taken.made.items():
                made[status] = made.get(status, 0) + number
    return items, made
