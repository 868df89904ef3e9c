"""How many a mailing is meant for, where its windows are not counted yet: counted if few, else estimated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mailer_cli import database
from mailer_cli.database import Connection

_SMALL = 2 << 20  # bytes of clients that are counted in a few milliseconds


@dataclass(frozen=True, slots=True)
class Window:
    """One mailing in one zone, its shards together."""

    mailing: int
    zone: str
    opens_at: datetime
    closes_at: datetime
    sendable_from: datetime
    sendable_until: datetime
    audience: int
    claimed: int
    uncounted: bool

    @property
    def waiting(self) -> int:
        """Clients who have no message yet."""
        return max(0, self.audience - self.claimed)


@dataclass(frozen=True, slots=True)
class Filter:
    """Whom a mailing is meant for."""

    mailing: int
    operator_codes: Sequence[str]
    tags: Sequence[str]

    @property
    def values(self) -> dict[str, list[str]]:
        """The filter as a statement's parameters."""
        return {"operator_codes": list(self.operator_codes), "tags": list(self.tags)}


@dataclass(frozen=True, slots=True)
class _Table:
    bytes: int
    clients: float
    zones: Sequence[str]
    shares: Sequence[float]


@dataclass(frozen=True, slots=True)
class _Zone:
    zone: str
    clients: int


def windows(connection: Connection, filters: Sequence[Filter]) -> tuple[list[Window], bool]:
    """Return the windows of these mailings with their audiences, and whether some are estimates."""
    found = database.fetch(
        connection, "overview_windows", Window, mailings=[each.mailing for each in filters]
    )
    uncounted = {window.mailing for window in found if window.uncounted}
    if not uncounted:
        return found, False
    table = database.fetch_one(connection, "overview_clients", _Table)
    assert table is not None  # noqa: S101 - it has one row, always
    small = table.bytes <= _SMALL
    clients = {
        each.mailing: _counted(connection, each) if small else _estimated(connection, each, table)
        for each in filters
        if each.mailing in uncounted
    }
    return [_complete(window, clients) for window in found], not small


def _complete(window: Window, clients: Mapping[int, Mapping[str, int]]) -> Window:
    if not window.uncounted:
        return window
    return replace(window, audience=max(window.audience, clients[window.mailing].get(window.zone, 0)))


def _counted(connection: Connection, wanted: Filter) -> dict[str, int]:
    found = database.fetch(connection, "preview_zones", _Zone, **wanted.values)
    return {row.zone: row.clients for row in found}


def _estimated(connection: Connection, wanted: Filter, table: _Table) -> dict[str, int]:
    """Take filter and zone for independent, as the planner does."""
    [[plan]] = database.execute(connection, "overview_match", **wanted.values).fetchall()
    matching = plan[0]["Plan"]["Plan Rows"]
    return {zone: round(matching * share) for zone, share in zip(table.zones, table.shares, strict=True)}
