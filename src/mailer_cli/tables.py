"""The tables, as SQLModel classes: the one declaration that migrations are compared with.

`shard` (client id modulo 16) stands in every key of the tables that would be distributed if one
PostgreSQL were outgrown, so that every lock and write can name one shard. The classes do no
validation of their own: values are checked where they enter, and the database holds the rest.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from mailer_cli.ids import MAX_CLIENT_ID, MAX_MAILING_ID, SHARDS

Instant = DateTime(timezone=True)
WallClock = DateTime(timezone=False)


def _instant(*, nullable: bool = True, default_now: bool = False) -> Any:
    server_default = text("now()") if default_now else None
    return Field(default=None, sa_column=Column(Instant, nullable=nullable, server_default=server_default))


def _big(*, default: int | None = 0, nullable: bool = False) -> Any:
    server_default = None if default is None else text(str(default))
    return Field(
        default=default, sa_column=Column(BigInteger, nullable=nullable, server_default=server_default)
    )


def _small(*, default: int | None = 0, nullable: bool = False) -> Any:
    server_default = None if default is None else text(str(default))
    return Field(
        default=default, sa_column=Column(SmallInteger, nullable=nullable, server_default=server_default)
    )


class Client(SQLModel, table=True):
    """A person who may be written to."""

    __tablename__ = "client"
    __table_args__ = (
        UniqueConstraint("phone", name="client_phone_key"),
        CheckConstraint(f"id BETWEEN 1 AND {MAX_CLIENT_ID}", name="client_id_fits_a_message_id"),
        CheckConstraint(
            "phone ~ '^7[0-9]{10}$' OR phone = 'erased ' || CAST(id AS text)", name="client_phone_form"
        ),
        CheckConstraint("operator_code ~ '^[0-9]{3}$'", name="client_operator_code_form"),
        Index("client_zone_scan", "timezone", "shard", "id"),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    shard: int | None = Field(
        default=None, sa_column=Column(SmallInteger, Computed(f"id % {SHARDS}", persisted=True))
    )
    phone: str = Field(sa_type=Text)
    operator_code: str = Field(sa_type=Text)
    tag: str | None = Field(default=None, sa_type=Text)
    timezone: str = Field(sa_type=Text)
    muted_at: datetime | None = _instant()
    mute_reason: str | None = Field(default=None, sa_type=Text)
    removed_at: datetime | None = _instant()
    created_at: datetime | None = _instant(nullable=False, default_now=True)


class Mailing(SQLModel, table=True):
    """A text for an audience, between two wall-clock times."""

    __tablename__ = "mailing"
    __table_args__ = (
        CheckConstraint(f"id BETWEEN 1 AND {MAX_MAILING_ID}", name="mailing_id_fits_a_message_id"),
        CheckConstraint("text <> ''", name="mailing_text_not_empty"),
        CheckConstraint("starts_at < ends_at", name="mailing_starts_before_it_ends"),
        CheckConstraint(
            "state IN ('draft', 'active', 'paused', 'cancelled', 'finished')", name="mailing_state_known"
        ),
        Index("mailing_unfinished", "id", postgresql_where=text("finished_at IS NULL")),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    text: str = Field(sa_type=Text)
    operator_codes: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False, server_default="{}"))
    tags: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False, server_default="{}"))
    starts_at: datetime = Field(sa_column=Column(WallClock, nullable=False))
    ends_at: datetime = Field(sa_column=Column(WallClock, nullable=False))
    zone: str | None = Field(default=None, sa_type=Text)
    hours: str | None = Field(default=None, sa_type=Text)
    weekdays: str | None = Field(default=None, sa_type=Text)
    priority: int = _small()
    state: str = Field(default="active", sa_column=Column(Text, nullable=False, server_default="active"))
    version: int = Field(default=1, sa_column=Column(Integer, nullable=False, server_default="1"))
    created_at: datetime | None = _instant(nullable=False, default_now=True)
    activated_at: datetime | None = _instant(nullable=False, default_now=True)
    finished_at: datetime | None = _instant()
    purged_at: datetime | None = _instant()


class MailingWindow(SQLModel, table=True):
    """When one mailing may be sent in one zone, and how far its audience has been claimed."""

    __tablename__ = "mailing_window"
    __table_args__ = (
        PrimaryKeyConstraint("shard", "mailing_id", "zone"),
        CheckConstraint("state IN ('planned', 'open', 'scanned', 'closed')", name="window_state_known"),
        CheckConstraint("opens_at <= closes_at", name="window_opens_before_it_closes"),
        Index("mailing_window_due", "shard", "closes_at", postgresql_where=text("state <> 'closed'")),
        Index("mailing_window_mailing", "mailing_id"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    shard: int = Field(sa_column=Column(SmallInteger, nullable=False))
    mailing_id: int = Field(sa_column=Column(BigInteger, ForeignKey("mailing.id"), nullable=False))
    zone: str = Field(sa_type=Text)
    opens_at: datetime = _instant(nullable=False)
    closes_at: datetime = _instant(nullable=False)
    sendable_from: datetime = _instant(nullable=False)
    sendable_until: datetime = _instant(nullable=False)
    state: str = Field(sa_column=Column(Text, nullable=False, server_default="planned"))
    frozen_at: datetime | None = _instant()
    last_client_id: int | None = _big(default=None, nullable=True)
    position: int = _big()
    catching_up: bool = Field(
        default=False, sa_column=Column(Boolean, nullable=False, server_default=text("false"))
    )
    audience: int | None = _big(default=None, nullable=True)
    claimed: int = _big()


class Message(SQLModel, table=True):
    """One text to one client; its id on the wire is mailing id × 2^32 + client id."""

    __tablename__ = "message"
    __table_args__ = (
        PrimaryKeyConstraint("shard", "mailing_id", "client_id"),
        CheckConstraint(
            "status IN ('sending', 'retrying', 'sent', 'failed', 'unknown', 'expired', 'cancelled')",
            name="message_status_known",
        ),
        # Room for each row to be answered in its own page, so that no index is written to again.
        {"postgresql_with": {"fillfactor": 44}},
    )

    shard: int = Field(sa_column=Column(SmallInteger, nullable=False))
    mailing_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    client_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    phone: str = Field(sa_type=Text)
    status: str = Field(sa_type=Text)
    turn: int = _small(default=1)
    attempts: int = _small()
    created_at: datetime = _instant(nullable=False, default_now=True)
    sent_at: datetime | None = _instant()
    http_status: int | None = _small(default=None, nullable=True)
    error: str | None = Field(default=None, sa_type=Text)
    run_id: int | None = _big(default=None, nullable=True)


class Claim(SQLModel, table=True):
    """A batch of clients that one dispatcher holds under a lease."""

    __tablename__ = "claim"
    __table_args__ = (
        PrimaryKeyConstraint("shard", "id"),
        Index("claim_lease", "shard", "lease_until"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    shard: int = Field(sa_column=Column(SmallInteger, nullable=False))
    id: uuid.UUID = Field(sa_column=Column(Uuid, nullable=False))
    mailing_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    mailing_version: int = Field(sa_column=Column(Integer, nullable=False))
    run_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    client_ids: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))
    started: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    lease_until: datetime = _instant(nullable=False)
    not_after: datetime = _instant(nullable=False)


class Retry(SQLModel, table=True):
    """A message that is to be tried (again) from `retry_at` on."""

    __tablename__ = "retry"
    __table_args__ = (
        PrimaryKeyConstraint("shard", "mailing_id", "client_id"),
        Index("retry_due", "shard", "mailing_id", "retry_at"),
    )

    shard: int = Field(sa_column=Column(SmallInteger, nullable=False))
    mailing_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    client_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    retry_at: datetime = _instant(nullable=False)


class Counter(SQLModel, table=True):
    """How many messages of one mailing (in one shard) have each status."""

    __tablename__ = "counter"
    __table_args__ = (PrimaryKeyConstraint("shard", "mailing_id"), {"postgresql_with": {"fillfactor": 20}})

    shard: int = Field(sa_column=Column(SmallInteger, nullable=False))
    mailing_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    sending: int = _big()
    retrying: int = _big()
    sent: int = _big()
    failed: int = _big()
    unknown: int = _big()
    expired: int = _big()
    cancelled: int = _big()


class Pace(SQLModel, table=True):
    """How many messages of one mailing (in one shard) were sent in one hour of UTC, and how late.

    `bucket` is one of `histogram.LATENESS`; `latest` the seconds of the latest of them.
    """

    __tablename__ = "pace"
    __table_args__ = (
        PrimaryKeyConstraint("shard", "mailing_id", "hour", "bucket"),
        {"postgresql_with": {"fillfactor": 50}},
    )

    shard: int = Field(sa_column=Column(SmallInteger, nullable=False))
    mailing_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    hour: datetime = _instant(nullable=False)
    bucket: int = Field(sa_column=Column(SmallInteger, nullable=False))
    sent: int = _big()
    latest: float = Field(sa_column=Column(Double, nullable=False))


class Summary(SQLModel, table=True):
    """What the messages of a large mailing that is over add up to by one aspect, for reports."""

    __tablename__ = "summary"
    __table_args__ = (PrimaryKeyConstraint("mailing_id", "aspect"),)

    mailing_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    aspect: str = Field(sa_column=Column(Text, nullable=False))
    counts: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False))
    parts: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))


class Run(SQLModel, table=True):
    """One execution of `mailer dispatch`; `latencies` counts its requests by `histogram.LATENCY`."""

    __tablename__ = "run"
    __table_args__ = (Index("run_time", text("coalesce(ended_at, started_at)"), "id"),)

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    host: str = Field(sa_type=Text)
    pid: int = Field(sa_column=Column(Integer, nullable=False))
    started_at: datetime = _instant(nullable=False, default_now=True)
    heartbeat_at: datetime = _instant(nullable=False, default_now=True)
    ended_at: datetime | None = _instant()
    claimed: int = _big()
    sent: int = _big()
    retrying: int = _big()
    failed: int = _big()
    unknown: int = _big()
    expired: int = _big()
    cancelled: int = _big()
    latencies: list[int] = Field(sa_column=Column(ARRAY(BigInteger), nullable=False, server_default="{}"))
    ending: str | None = Field(default=None, sa_type=Text)


class Attempt(SQLModel, table=True):
    """A request that was not accepted: what the service answered, or what broke."""

    __tablename__ = "attempt"
    __table_args__ = (
        PrimaryKeyConstraint("shard", "mailing_id", "client_id", "attempted_at"),
        Index("attempt_time", "attempted_at"),
        Index("attempt_mailing", "mailing_id", "attempted_at"),
    )

    shard: int = Field(sa_column=Column(SmallInteger, nullable=False))
    mailing_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    client_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    attempted_at: datetime = _instant(nullable=False)
    run_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    attempt: int = Field(sa_column=Column(SmallInteger, nullable=False))
    status: str = Field(sa_type=Text)
    http_status: int | None = _small(default=None, nullable=True)
    error: str | None = Field(default=None, sa_type=Text)


class Event(SQLModel, table=True):
    """Who changed what, old and new."""

    __tablename__ = "event"
    __table_args__ = (
        Index("event_time", "at", "id"),
        Index("event_mailing", "mailing_id", "at", postgresql_where=text("mailing_id IS NOT NULL")),
        Index("event_client", "client_id", "at", postgresql_where=text("client_id IS NOT NULL")),
    )

    id: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), primary_key=True))
    at: datetime | None = _instant(nullable=False, default_now=True)
    actor: str = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    mailing_id: int | None = _big(default=None, nullable=True)
    client_id: int | None = _big(default=None, nullable=True)
    old: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    new: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))


class Service(SQLModel, table=True):
    """What every dispatcher on every host must know of the message service: one row."""

    __tablename__ = "service"
    __table_args__ = (CheckConstraint("id = 1", name="service_one_row"),)

    id: int = Field(default=1, sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    held_at: datetime | None = _instant()
    held_by: str | None = Field(default=None, sa_type=Text)
    hold_reason: str | None = Field(default=None, sa_type=Text)
    blocked_until: datetime | None = _instant()
    block_reason: str | None = Field(default=None, sa_type=Text)
    token_rejected_at: datetime | None = _instant()
    broken_at: datetime | None = _instant()
    break_reason: str | None = Field(default=None, sa_type=Text)
    breaks: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    tally_since: datetime | None = _instant()
    tally_total: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    tally_errors: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    probe_after: datetime | None = _instant()
    probe_run_id: int | None = _big(default=None, nullable=True)
    probe_until: datetime | None = _instant()
    home: str | None = Field(default=None, sa_type=Text)
    timeline: str | None = Field(default=None, sa_type=Text)
    synchronous: bool | None = Field(default=None, sa_type=Boolean)
    rate_next: float = Field(default=0, sa_column=Column(Double, nullable=False, server_default="0"))
    quota_day: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default="0"))
    quota_used: int = _big()
