"""What `mailer top` says, in sentences: the same on a screen and in a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mailer_cli import durations, hints
from mailer_cli.cli import columns

if TYPE_CHECKING:
    from mailer_cli.overview import Failure, Finish, Late, Opening, Overview, Run

Said = tuple[str, str]  # a sentence, and its colour

_SOON = timedelta(days=7)  # before a token ends somebody should get a new one


def running(found: Overview) -> Iterator[Said]:
    """Say which runs are under way, else when the last one ended; alarm after two silent minutes."""
    under_way = [run for run in found.runs if run.running]
    for run in under_way:
        yield _run(run, found.now), "green"
    if under_way:
        return
    if not found.runs:
        yield "no dispatch has ever run; is cron running? see `mailer cron`", "red"
        return
    last = max(found.runs, key=lambda run: run.heartbeat_at)
    silent = found.now - last.heartbeat_at
    ended = last.ending or "was killed"
    told = f"run {last.id} on {last.host} ended {_ago(silent)} ago: {ended}, {last.sent} sent"
    if silent > hints.SILENCE:
        yield f"no dispatch for {hints.age(silent)}; is cron running? {told}", "red"
    else:
        yield f"not at this moment; {told}", ""


def late(found: Late | None, now: datetime) -> Said:
    """Say what is due for longest."""
    if found is None:
        return "nothing", "green"
    waited = now - found.due_at
    what = "a retry" if found.zone is None else found.zone
    told = f"{what} of mailing {found.mailing}, due since {_clock(found.due_at, now)}, {_ago(waited)}"
    return told, "yellow" if waited > hints.SILENCE else ""


def opening(found: Opening, now: datetime) -> str:
    """Say which window comes next, for how many."""
    about = "~" if found.estimated else ""
    people = "client" if found.clients == 1 else "clients"
    wait = _ago(found.opens_at - now)
    utc = _clock(found.opens_at, now)
    told = f"{found.zone} {found.local:%H:%M} = {utc}, in {wait}"
    return f"{told}: mailing {found.mailing}, {about}{found.clients} {people}"


def finish(found: Finish | None) -> Said:
    """Say when everything that waits would be sent."""
    if found is None:
        return "nobody knows yet: nothing was sent so far", ""
    if not found.waiting:
        return "nothing is waiting", "green"
    rate = f"{found.per_second:.3g}/s" if found.per_second < 100 else f"{found.per_second:,.0f}/s"
    whose = "" if found.running else ", as of late"
    when = f"by {columns.minute(found.finishes_at)}" if found.finishes_at else "never"
    if found.expires:
        return f"{found.expires} of {found.waiting} waiting would expire, at {rate}; the rest {when}", "red"
    return f"{found.waiting} waiting: all {when} at {rate}{whose}", "green"


def failure(found: Failure) -> str:
    """Say what went wrong, how often, and with which message, for one."""
    reason = found.error or (f"HTTP {found.http_status}" if found.http_status else "no reason given")
    return f"{found.count} × message {found.message_id}: {reason}"


def service(found: Overview, per_day: int | None, token: Said) -> Iterator[Said]:
    """Say how the service takes requests, and what stands before it."""
    taken = found.requests
    told = "no request within five minutes"
    if taken.share is not None:
        told = f"{taken.share:.1%} of {taken.answered} requests accepted"
    if taken.p50 is not None and taken.p95 is not None:
        told += f", p50 {_milliseconds(taken.p50)}, p95 {_milliseconds(taken.p95)}"
    yield told, "" if taken.share is None or taken.share > 0.9 else "yellow"
    breaker = "breaker open" if found.health.broken_at else "breaker closed"
    quota = f"{found.used_today} of {per_day} sent today" if per_day else "no quota"
    yield f"{breaker}, {quota}, {token[0]}", token[1]
    for hint in hints.gate(found.health):
        yield hint, "red"


def token(expires_at: datetime | None, now: datetime, *, given: bool) -> Said:
    """Say for how long the token is good."""
    if not given:
        return "no token set", "red"
    if expires_at is None:
        return "token without an end", ""
    left = expires_at - now
    if left <= timedelta(0):
        return f"token expired {_ago(-left)} ago", "red"
    return f"token good for {_ago(left)}", "yellow" if left < _SOON else ""


def sentences(found: Overview, per_day: int | None, of_token: Said) -> Iterator[tuple[str, Sequence[Said]]]:
    """Yield everything but the mailings, under its heading, in the order of what matters first."""
    yield "running", list(running(found))
    yield "late", [late(found.late, found.now)]
    yield "next", [(opening(each, found.now), "") for each in found.next] or [("nothing", "")]
    yield "finish", [finish(found.finish)]
    yield "errors", [(failure(each), "") for each in found.errors] or [("none within the hour", "green")]
    yield "service", list(service(found, per_day, of_token))


def _run(run: Run, now: datetime) -> str:
    rate = f"{run.per_second:,.0f}/s"
    return f"run {run.id} on {run.host} for {_ago(now - run.started_at)}: {run.sent} sent, {rate}"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.1f} s"


def _ago(span: timedelta) -> str:
    return durations.shown(max(0.0, span.total_seconds()))


def _clock(instant: datetime, now: datetime) -> str:
    """An instant without the date where it is within a day."""
    near = abs(instant - now) < timedelta(hours=18)
    return instant.astimezone(UTC).strftime("%H:%MZ" if near else "%Y-%m-%d %H:%MZ")
