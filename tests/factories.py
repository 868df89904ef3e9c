"""What tests start from, put into the database by plain SQL and named by the state it is in.

Nothing here goes through the code under test; counters and windows move as a dispatcher would move them.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from mailer_cli.database import Connection
from mailer_cli.ids import SHARDS, mailing_and_client, message_id, shard_of

MOSCOW = "Europe/Moscow"
STARTS_AT = datetime(2026, 11, 2, 10)
ENDS_AT = datetime(2026, 11, 2, 20)
_HOUR = timedelta(hours=1)
_numbers = count(1)


def a_client(
    connection: Connection,
    *,
    phone: str | None = None,
    timezone: str = MOSCOW,
    tag: str | None = None,
    operator_code: str | None = None,
    muted_at: datetime | None = None,
    removed_at: datetime | None = None,
    created_at: datetime | None = None,
) -> int:
    """A client who may be written to; a phone that nobody else has, unless given."""
    phone = phone or f"7{operator_code or '916'}{next(_numbers):07d}"
    return _id(
        connection,
        """
        INSERT INTO client (phone, operator_code, tag, timezone, muted_at, removed_at, created_at)
        VALUES (%s, %s, %s, %s, %s, %s, coalesce(%s, now())) RETURNING id
        """,
        [phone, operator_code or phone[1:4], tag, timezone, muted_at, removed_at, created_at],
    )


def clients(connection: Connection, number: int, **attributes: Any) -> list[int]:
    """So many clients, alike in all but their phones."""
    return [a_client(connection, **attributes) for _ in range(number)]


def a_mailing(  # noqa: PLR0913 - a mailing has as many attributes, all by name
    connection: Connection,
    *,
    text: str = "Your order is ready",
    starts_at: datetime = STARTS_AT,
    ends_at: datetime = ENDS_AT,
    operator_codes: Collection[str] = (),
    tags: Collection[str] = (),
    state: str = "active",
    zone: str | None = None,
    priority: int = 0,
    finished_at: datetime | None = None,
    activated_at: datetime | None = None,
) -> int:
    """An active mailing to everybody, without windows: see `a_planned_window` and its like."""
    values = [text, list(operator_codes), list(tags), starts_at, ends_at, zone, priority, state]
    return _id(
        connection,
        """
        INSERT INTO mailing (text, operator_codes, tags, starts_at, ends_at, zone, priority, state,
                             finished_at, activated_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, coalesce(%s, now())) RETURNING id
        """,
        [*values, finished_at, activated_at],
    )


def a_planned_window(
    connection: Connection,
    mailing_id: int,
    *,
    zone: str = MOSCOW,
    opens_at: datetime | None = None,
    closes_at: datetime | None = None,
) -> None:
    """A window, in all shards, that opens in an hour, for an hour; its audience is still growing."""
    opens_at = opens_at or _now() + _HOUR
    closes_at = closes_at or opens_at + _HOUR
    connection.execute(
        """
        INSERT INTO mailing_window
            (shard, mailing_id, zone, opens_at, closes_at, sendable_from, sendable_until)
        SELECT shard, %s, %s, %s, %s, %s, %s FROM generate_series(0, %s) AS shard
        """,
        [mailing_id, zone, opens_at, closes_at, opens_at, closes_at, SHARDS - 1],
    )


def an_uncounted_window(connection: Connection, mailing_id: int, *, zone: str = MOSCOW, **times: Any) -> None:
    """A window opened a moment ago: its audience is frozen to the clients there are, and not counted yet."""
    opens_at = times.pop("opens_at", None) or _now() - _HOUR
    closes_at = times.pop("closes_at", None) or _now() + _HOUR
    a_planned_window(connection, mailing_id, zone=zone, opens_at=opens_at, closes_at=closes_at, **times)
    connection.execute(
        """
        UPDATE mailing_window w
        SET state = 'open', frozen_at = now(),
            last_client_id = (SELECT max(c.id) FROM client c WHERE c.timezone = w.zone AND c.shard = w.shard)
        WHERE mailing_id = %s AND zone = %s
        """,
        [mailing_id, zone],
    )


def an_open_window(connection: Connection, mailing_id: int, *, zone: str = MOSCOW, **times: Any) -> None:
    """A window that has been open for an hour and will be for another; its audience is frozen and counted."""
    an_uncounted_window(connection, mailing_id, zone=zone, **times)
    connection.execute(
        """
        UPDATE mailing_window w
        SET audience = (
            SELECT count(*)
            FROM client c
            JOIN mailing m ON m.id = w.mailing_id
            WHERE c.timezone = w.zone AND c.shard = w.shard AND c.id <= w.last_client_id
              AND c.muted_at IS NULL AND c.removed_at IS NULL
              AND (m.operator_codes = '{}' OR c.operator_code = ANY (m.operator_codes))
              AND (m.tags = '{}' OR c.tag = ANY (m.tags))
        )
        WHERE mailing_id = %s AND zone = %s
        """,
        [mailing_id, zone],
    )


def close_windows(connection: Connection, mailing_id: int) -> None:
    """Be the end of a mailing whose every client has a message: windows closed, the mailing finished."""
    connection.execute(
        "UPDATE mailing_window SET state = 'closed', audience = claimed WHERE mailing_id = %s", [mailing_id]
    )
    connection.execute(
        "UPDATE mailing SET state = 'finished', finished_at = now() WHERE id = %s", [mailing_id]
    )


def a_message(  # noqa: PLR0913 - a message has as many attributes, all by name
    connection: Connection,
    mailing_id: int,
    client_id: int,
    status: str = "sent",
    *,
    phone: str | None = None,
    attempts: int = 1,
    created_at: datetime | None = None,
    sent_at: datetime | None = None,
    http_status: int | None = None,
    error: str | None = None,
    retry_at: datetime | None = None,
    run_id: int | None = None,
) -> int:
    """A message in `status`, counted, its client claimed from the window; a retry row if it is retrying."""
    if status == "sent":
        sent_at = sent_at or _now()
        http_status = http_status or 200
    shard = shard_of(client_id)
    with connection.transaction():
        connection.execute(
            """
            INSERT INTO message (shard, mailing_id, client_id, phone, status, attempts, created_at, sent_at,
                                 http_status, error, run_id)
            SELECT %s, %s, id, coalesce(%s, phone), %s, %s, coalesce(%s, now()), %s, %s, %s, %s
            FROM client WHERE id = %s
            """,
            [
                *(shard, mailing_id, phone, status, attempts, created_at, sent_at, http_status, error),
                *(run_id, client_id),
            ],
        )
        _count(connection, shard, mailing_id, client_id, status)
        if sent_at is not None:
            _pace(connection, shard, mailing_id, sent_at)
        if status == "retrying":
            connection.execute(
                "INSERT INTO retry (shard, mailing_id, client_id, retry_at) VALUES (%s, %s, %s, %s)",
                [shard, mailing_id, client_id, retry_at or _now() + _HOUR],
            )
    return message_id(mailing_id, client_id)


def a_failed_attempt(
    connection: Connection,
    message: int,
    *,
    attempt: int = 1,
    attempted_at: datetime | None = None,
    status: str = "retrying",
    http_status: int | None = 503,
    error: str | None = "503 Service Unavailable",
    run_id: int = 1,
) -> None:
    """A request for this message that was not accepted."""
    mailing_id, client_id = mailing_and_client(message)
    at = attempted_at or _now()
    connection.execute(
        """
        INSERT INTO attempt (shard, mailing_id, client_id, attempted_at, run_id, attempt, status, http_status,
                             error)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        [shard_of(client_id), mailing_id, client_id, at, run_id, attempt, status, http_status, error],
    )


def a_finished_run(connection: Connection, *, ago: timedelta = timedelta(0), host: str = "a-host") -> int:
    """An execution of `mailer dispatch` that ended so long ago."""
    return _id(
        connection,
        """
        INSERT INTO run (host, pid, started_at, heartbeat_at, ended_at, ending)
        VALUES (%(host)s, 1, now() - %(ago)s, now() - %(ago)s, now() - %(ago)s, 'done') RETURNING id
        """,
        {"host": host, "ago": ago},
    )


def a_run(
    connection: Connection, at: datetime, ending: str | None = "done", *, sent: int = 0, host: str = "host-a"
) -> int:
    """An execution of `mailer dispatch` that ended then; without an ending, it was last heard of then."""
    return _id(
        connection,
        """
        INSERT INTO run (host, pid, started_at, heartbeat_at, ended_at, ending, claimed, sent)
        VALUES (%(host)s, 1, %(at)s::timestamptz - interval '3 seconds', %(at)s,
                CASE WHEN %(ending)s::text IS NOT NULL THEN %(at)s::timestamptz END,
                %(ending)s, %(sent)s, %(sent)s)
        RETURNING id
        """,
        {"at": at, "ending": ending, "host": host, "sent": sent},
    )


def an_event(
    connection: Connection,
    action: str,
    *,
    at: datetime | None = None,
    **values: Any,
) -> None:
    """Something that Olga did, now or then; `values` may be mailing_id, client_id, old and new."""
    from psycopg.types.json import Jsonb

    row: dict[str, Any] = {"mailing_id": None, "client_id": None, "old": None, "new": None} | values
    row |= {name: Jsonb(row[name]) for name in ("old", "new") if row[name] is not None}
    connection.execute(
        """
        INSERT INTO event (at, actor, action, mailing_id, client_id, old, new)
        VALUES (coalesce(%(at)s, now()), 'olga@office', %(action)s, %(mailing_id)s, %(client_id)s,
                %(old)s, %(new)s)
        """,
        {"at": at, "action": action} | row,
    )


def _count(connection: Connection, shard: int, mailing_id: int, client_id: int, status: str) -> None:
    from psycopg import sql

    connection.execute(
        sql.SQL(
            """
            INSERT INTO counter (shard, mailing_id, {status}) VALUES (%s, %s, 1)
            ON CONFLICT (shard, mailing_id) DO UPDATE SET {status} = counter.{status} + 1
            """
        ).format(status=sql.Identifier(status)),
        [shard, mailing_id],
    )
    connection.execute(
        """
        UPDATE mailing_window SET claimed = claimed + 1
        WHERE shard = %s AND mailing_id = %s AND zone = (SELECT timezone FROM client WHERE id = %s)
        """,
        [shard, mailing_id, client_id],
    )


def _pace(connection: Connection, shard: int, mailing_id: int, sent_at: datetime) -> None:
    connection.execute(
        """
        INSERT INTO pace (shard, mailing_id, hour, bucket, sent, latest)
        VALUES (%s, %s, date_trunc('hour', %s::timestamptz, 'UTC'), -1, 1, 0)
        ON CONFLICT (shard, mailing_id, hour, bucket) DO UPDATE SET sent = pace.sent + 1
        """,
        [shard, mailing_id, sent_at],
    )


def _id(connection: Connection, statement: str, values: Any) -> int:
    row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None
    found = row[0]
    assert isinstance(found, int)
    return found


def _now() -> datetime:
    return datetime.now(UTC)
