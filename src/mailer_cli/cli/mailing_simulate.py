"""`mailer mailing simulate`: when a mailing would be sent, and whether it would be finished in time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailer_cli.cli import charts, columns, output
from mailer_cli.cli import mailing_screens as screens
from mailer_cli.cli.mailing_options import MailingArgument
from mailer_cli.cli.output import Format, OutputOption
from mailer_cli.errors import InvalidStateError, MailerError

if TYPE_CHECKING:
    from mailer_cli.projections import Pace, Projection, Speed
    from mailer_cli.settings import Settings
    from mailer_cli.simulation import Hour, Outcome

HOUR_KEYS = ("hour", "zone", "local_hour", "sent")
ZONE_KEYS = ("zone", "waiting", "opens_at", "finishes_at", "sent", "expires")
_SENT_BY = "sent in the hour"


def simulate(
    mailing: MailingArgument,
    rate: Annotated[
        float | None,
        typer.Option("--rate", min=0.001, max=1_000_000, help="Messages a second; else as fast as of late."),
    ] = None,
    form: OutputOption = Format.TABLE,
) -> None:
    """Work out when a mailing would be sent, hour by hour and zone by zone, and what would expire.

    Nothing is sent or changed. Other active mailings take their turns in between, the soonest end first.
    A draft or a paused mailing is looked at as if it went on now. csv has the hours alone.
    """
    from mailer_cli import mailings, projections, reports, settings
    from mailer_cli.cli import wiring

    configured = settings.load()
    with wiring.working(configured) as (session, connection):
        found = mailings.find(session, mailing, lock=False)
        if found.finished_at is not None:
            raise InvalidStateError(f"mailing {mailing} is {found.state}; see `mailer report {mailing}`")
        standing = screens.row(connection, found)
        plan = mailings.plan_of(found)
    with wiring.connected(configured) as connection, reports.snapshot(connection):
        pace = _pace(configured, projections.speed(connection), rate)
        projection = projections.project(connection, mailing, plan, pace.limits)
    _show(projection, pace, form)
    if form is Format.TABLE:
        screens.say_standing(standing)


def _pace(configured: Settings, speed: Speed, rate: float | None) -> Pace:
    from mailer_cli import projections

    limits = configured.mailer_rate_per_second, configured.mailer_rate_per_day
    pace = projections.limits(projections.Wanted(*limits, exactly=rate), speed)
    if pace is None:
        raise MailerError("nothing was sent yet, so nobody knows how fast it goes; give --rate N a second")
    return pace


def _show(found: Projection, pace: Pace, form: Format) -> None:
    outcomes, limits = found.simulation.outcomes, pace.limits
    whole = {
        "now": found.now,
        "per_second": round(limits.per_second, 3),
        "per_second_source": pace.source,
        "per_day": limits.per_day,
        "waiting": sum(outcome.part.waiting for outcome in outcomes),
        "sent": sum(outcome.sent for outcome in outcomes),
        "expires": sum(outcome.expires for outcome in outcomes),
        "finishes_at": max((o.finishes_at for o in outcomes if o.finishes_at), default=None),
        "others": found.others,
    }
    hours = [_hour(hour) for hour in found.simulation.hours]
    zones = [_zone(outcome) for outcome in outcomes]
    if form is Format.CSV:
        output.rows(HOUR_KEYS, hours, form)
    elif form is not Format.TABLE:
        output.item({**whole, "zones": zones, "hours": hours}, form)
    else:
        _show_tables(whole, zones, hours)


def _show_tables(whole: dict[str, Any], zones: list[dict[str, Any]], hours: list[dict[str, Any]]) -> None:
    if not zones:
        output.say("nobody is waiting: nothing of it would be sent")
        return
    output.rows(
        ZONE_KEYS, [_cells(zone) for zone in zones], Format.TABLE, right=("waiting", "sent", "expires")
    )
    output.rows(*_timeline(hours), Format.TABLE, empty="nothing of it would be sent", right=(_SENT_BY,))
    output.say(_verdict(whole))


def _timeline(hours: Sequence[dict[str, Any]]) -> tuple[Sequence[str], list[dict[str, Any]]]:
    """One row per hour: a bar, and the zones in the order in which they open."""
    by_hour: dict[datetime, list[dict[str, Any]]] = {}
    for hour in hours:
        by_hour.setdefault(hour["hour"], []).append(hour)
    most = max((sum(each["sent"] for each in found) for found in by_hour.values()), default=0)
    rows = [
        {
            "hour": columns.minute(hour),
            _SENT_BY: (total := sum(each["sent"] for each in found)),
            "": charts.bar(total, most),
            "zones": ", ".join(each["zone"] for each in found),
        }
        for hour, found in by_hour.items()
    ]
    return columns.fit(("hour", _SENT_BY, "", "zones"), rows, output.console().width, elastic="zones")


def _verdict(whole: dict[str, Any]) -> str:
    told = f"{whole['sent']} of {whole['waiting']} would be sent"
    if whole["finishes_at"] is not None:
        told += f" by {columns.minute(whole['finishes_at'])}"
    told += f", at {whole['per_second']:g} a second ({whole['per_second_source']})"
    if whole["per_day"] is not None:
        told += f" and {whole['per_day']} a day"
    if whole["others"]:
        told += f", with {whole['others']} messages of other mailings in between"
    if whole["expires"]:
        told += f"\n{whole['expires']} would expire: raise the rate, or give it a later end"
    return told


def _hour(hour: Hour) -> dict[str, Any]:
    from mailer_cli import localtime

    local = hour.hour.astimezone(localtime.find_zone(hour.zone)).replace(tzinfo=None)
    return {"hour": hour.hour, "zone": hour.zone, "local_hour": local, "sent": hour.sent}


def _zone(outcome: Outcome) -> dict[str, Any]:
    part = outcome.part
    opens_at = part.stretches[0][0] if part.stretches else None
    return {
        "zone": part.zone,
        "waiting": part.waiting,
        "opens_at": opens_at,
        "finishes_at": outcome.finishes_at,
        "sent": outcome.sent,
        "expires": outcome.expires,
    }


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    return {key: columns.minute(v) if isinstance(v, datetime) else v for key, v in row.items()}
