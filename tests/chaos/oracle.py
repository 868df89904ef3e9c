"""Compares what the service accepted with what the database says: the judge of every chaos test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from typing_extensions import override

from mailer_cli.database import Connection
from mailer_cli.ids import mailing_and_client, message_id
from mailer_cli.sandbox import read_ledger
from mailer_cli.statuses import Status

FINAL = frozenset(set(Status) - {Status.SENDING, Status.RETRYING})

WINDOWS = """
    SELECT DISTINCT mailing_id, zone, opens_at, closes_at FROM mailing_window
"""
DUE = """
    SELECT (SELECT count(*) FROM mailing_window WHERE state NOT IN ('scanned', 'closed'))
         + (SELECT count(*) FROM claim) + (SELECT count(*) FROM retry)
         + (SELECT count(*) FROM message WHERE status IN ('sending', 'retrying'))
         + (SELECT count(*) FROM mailing m
            WHERE NOT EXISTS (SELECT FROM mailing_window w WHERE w.mailing_id = m.id))
"""


@dataclass
class Findings:
    """What was found, by message ids as (mailing, client)."""

    messages: Counter[str] = field(default_factory=Counter)  # by status
    accepted: int = 0
    twice: list[tuple[int, int]] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)

    @property
    def in_doubt(self) -> float:
        """The share of messages in doubt."""
        return self.messages[Status.UNKNOWN] / max(1, self.messages.total())

    @override
    def __str__(self) -> str:
        return (
            f"{self.messages.total()} messages ({', '.join(f'{n} {s}' for s, n in self.messages.items())}),"
            f" {self.accepted} accepted, {len(self.twice)} twice, {len(self.lost)} lost,"
            f" {len(self.late)} late, {len(self.untrue)} untrue, {self.in_doubt:.2%} in doubt"
        )

    def check(self) -> None:
        """Fail the test unless all is as promised."""
        problems = (self.twice[:5], self.late[:5], self.lost[:5], self.untrue[:5])
        assert problems == ([], [], [], []), str(self)


def still_due(connection: Connection) -> int:
    """How much a dispatcher could still do."""
    row = connection.execute(DUE).fetchone()
    assert row is not None
    return int(row[0])


def judge(
    connection: Connection,
    ledger: Path,
    *,
    zones: Mapping[int, Sequence[str]] | None = None,
    deduplicates: bool = False,
) -> Findings:
    """Compare the ledger with the database, when nothing is left to do.

    `zones`: of clients who moved, every zone they lived in; an acceptance must be in the window of one.
    """
    found = Findings()
    entries = read_ledger(ledger)
    times = Counter(entry["id"] for entry in entries)
    found.accepted = len(times)
    if not deduplicates:
        found.twice = [mailing_and_client(number) for number, count in times.items() if count > 1]
    rows = connection.execute("SELECT mailing_id, client_id, status FROM message").fetchall()
    statuses = {message_id(mailing, client): status for mailing, client, status in rows}
    found.messages = Counter(statuses.values())
    _check_lost(connection, found, statuses)
    _check_truth(found, statuses, set(times), deduplicates=deduplicates)
    _check_counters(connection, found)
    _check_times(connection, found, entries, zones or {})
    return found


def _check_lost(connection: Connection, found: Findings, statuses: dict[int, str]) -> None:
    found.lost += [
        f"{mailing_and_client(n)} is {status}" for n, status in statuses.items() if status not in FINAL
    ]
    messages = Counter(mailing_and_client(number)[0] for number in statuses)
    for mailing, audience, claimed in connection.execute(
        "SELECT mailing_id, sum(audience)::int, sum(claimed)::int FROM mailing_window GROUP BY 1"
    ):
        number = messages[mailing]
        if not audience == claimed == number:
            found.lost.append(f"mailing {mailing}: audience {audience}, claimed {claimed}, messages {number}")
    if left := connection.execute(
        "SELECT (SELECT count(*) FROM claim), (SELECT count(*) FROM retry)"
    ).fetchone():
        found.lost += [f"{left[0]} claims and {left[1]} retries are left"] if any(left) else []


def _check_truth(
    found: Findings, statuses: dict[int, str], accepted: set[int], *, deduplicates: bool
) -> None:
    for number, status in statuses.items():
        if status == Status.SENT and number not in accepted:
            found.untrue.append(f"{mailing_and_client(number)} is sent, and was not accepted")
    fine = {Status.SENT, Status.UNKNOWN}
    if deduplicates:  # tried again until its window closed, its client was muted, or tries ran out
        fine |= {Status.EXPIRED, Status.CANCELLED, Status.FAILED}
    for number in accepted:
        if statuses.get(number) not in fine:
            found.untrue.append(f"{mailing_and_client(number)} was accepted, and is {statuses.get(number)}")


def _check_counters(connection: Connection, found: Findings) -> None:
    columns = [status.value for status in Status]
    sums = ", ".join(f"sum({name})::int" for name in columns)
    counted = {
        (row[0], name): number
        for row in connection.execute(f"SELECT mailing_id, {sums} FROM counter GROUP BY 1".encode())  # noqa: S608 - our own names
        for name, number in zip(columns, row[1:], strict=True)
        if number
    }
    true = {
        (mailing, status): number
        for mailing, status, number in connection.execute(
            "SELECT mailing_id, status, count(*)::int FROM message GROUP BY 1, 2"
        )
    }
    found.untrue += [f"counter {each}" for each in sorted(counted.items() ^ true.items())]


def _check_times(
    connection: Connection, found: Findings, entries: list[dict[str, str]], zones: Mapping[int, Sequence[str]]
) -> None:
    windows = {
        (mailing, zone): (opens, closes) for mailing, zone, opens, closes in connection.execute(WINDOWS)
    }
    home = dict(connection.execute("SELECT id, timezone FROM client").fetchall())
    for entry in entries:
        mailing, client = mailing_and_client(int(entry["id"]))
        at = datetime.fromisoformat(entry["time"])
        lived = {*zones.get(client, ()), home[client]}
        spans = [windows[mailing, zone] for zone in lived if (mailing, zone) in windows]
        if not any(opens <= at < closes for opens, closes in spans):
            found.late.append(f"{(mailing, client)} at {at}, windows {spans}")
