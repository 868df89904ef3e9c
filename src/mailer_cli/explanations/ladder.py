"""What stops a message that is not sent yet: a ladder of questions, each with one answer or none.

The order is that of what would have to be mended first: what is about the client itself (nothing that
happens to the mailing helps a client who is muted), then what somebody decided about the mailing, then
the clock, then what stops all sending, then whose turn it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from mailer_cli import hints, phones
from mailer_cli.errors import TOKEN_ADVICE
from mailer_cli.explanations.facts import Facts
from mailer_cli.explanations.finding import Finding, Verdict
from mailer_cli.explanations.wording import because, by, clock, error, moment, second, tries
from mailer_cli.statuses import MailingState, WindowState

_SILENCE = timedelta(minutes=2)  # cron comes round every minute


def obstacles(facts: Facts) -> list[Finding]:
    """Return everything that stops it, the first to be mended first; at the end, whose turn it is."""
    settled = facts.state == MailingState.FINISHED or facts.window_state == WindowState.CLOSED
    rungs = (*_CLIENT, *_MAILING, *_CLOCK) if settled else (*_CLIENT, *_MAILING, *_CLOCK, *_SENDING, *_TURN)
    return [found for rung in rungs if (found := rung(facts)) is not None]


def _not_in_filter(facts: Facts) -> Finding | None:
    if facts.status is not None:
        return None  # it was in the filter when its message was made, and is not asked again
    parts = []
    if facts.operator_codes and facts.operator_code not in facts.operator_codes:
        parts.append(f"operator {facts.operator_code} is not in {', '.join(facts.operator_codes)}")
    if facts.tags and facts.tag not in facts.tags:
        tag = f"tag {facts.tag} is" if facts.tag else "having no tag, it is"
        parts.append(f"{tag} not in {', '.join(facts.tags)}")
    if not parts:
        return None
    return Finding(Verdict.NOT_IN_FILTER, f"the client is not in the mailing's filter: {'; '.join(parts)}")


def _removed(facts: Facts) -> Finding | None:
    if facts.removed_at is None or _only_since_it_was_over(facts, facts.removed_at):
        return None
    back = f"`mailer client add {facts.phone}` brings them back"
    if phones.is_erased(facts.phone):
        back = "they are erased, and there is no way back"
    return Finding(
        Verdict.REMOVED, f"the client was removed at {moment(facts, facts.removed_at)}{_fate(facts)}; {back}"
    )


def _muted(facts: Facts) -> Finding | None:
    if facts.muted_at is None or _only_since_it_was_over(facts, facts.muted_at):
        return None
    since = f"the client is muted since {moment(facts, facts.muted_at)}{because(facts.mute_reason)}"
    undo = f"`mailer client unmute {facts.client_id}` lets messages go again"
    return Finding(Verdict.MUTED, f"{since}{_fate(facts)}; {undo}")


def _registered_late(facts: Facts) -> Finding | None:
    if facts.status is not None or not _is_late(facts):
        return None
    late = f"the client registered at {moment(facts, facts.registered_at)}, after the audience was settled"
    opened = f" as the window opened at {moment(facts, facts.opens_at)}"
    if _over(facts):
        return Finding(Verdict.REGISTERED_LATE, f"{late}{opened}; that window is over")
    admit = f"`mailer mailing refresh {facts.mailing_id}` admits newcomers"
    return Finding(Verdict.REGISTERED_LATE, f"{late}{opened}; {admit}")


def _mailing_cancelled(facts: Facts) -> Finding | None:
    if facts.state != MailingState.CANCELLED:
        return None
    settled = "" if facts.finished_at else "; the next dispatch settles its messages"
    sentence = f"the mailing was cancelled{_since(facts, 'at')}{by(facts.state_by)}{settled}"
    return Finding(Verdict.MAILING_CANCELLED, sentence)


def _mailing_finished(facts: Facts) -> Finding | None:
    if facts.state != MailingState.FINISHED:
        return None
    when = moment(facts, facts.finished_at)
    return Finding(
        Verdict.MAILING_FINISHED, f"the mailing finished at {when}, and the client was not in its audience"
    )


def _mailing_draft(facts: Facts) -> Finding | None:
    if facts.state != MailingState.DRAFT:
        return None
    start = f"`mailer mailing resume {facts.mailing_id}` has it sent"
    return Finding(Verdict.MAILING_DRAFT, f"the mailing is a draft; {start}")


def _mailing_paused(facts: Facts) -> Finding | None:
    if facts.state != MailingState.PAUSED:
        return None
    go_on = f"`mailer mailing resume {facts.mailing_id}` goes on"
    sentence = f"the mailing is paused{_since(facts, 'since')}{by(facts.state_by)}; {go_on}"
    return Finding(Verdict.MAILING_PAUSED, sentence)


def _never_opens(facts: Facts) -> Finding | None:
    if facts.opens_at < facts.closes_at:
        return None
    return Finding(
        Verdict.NEVER_OPENS,
        f"the mailing never opens in {facts.timezone}: hours and days leave no time between start and end",
    )


def _window_closed(facts: Facts) -> Finding | None:
    if facts.opens_at >= facts.closes_at or facts.now < facts.closes_at:
        return None
    closed = f"the window in {facts.timezone} closed at {moment(facts, facts.closes_at)}"
    if facts.status is None and facts.window_state == WindowState.CLOSED:
        return Finding(Verdict.WINDOW_CLOSED, f"{closed}, and the client was not in its audience")
    return Finding(
        Verdict.WINDOW_CLOSED, f"{closed} before it was sent; the next dispatch settles it as expired"
    )


def _not_open_yet(facts: Facts) -> Finding | None:
    if not facts.now < facts.opens_at < facts.closes_at:
        return None
    now, opens = clock(facts, facts.now), clock(facts, facts.opens_at)
    return Finding(
        Verdict.NOT_OPEN_YET, f"it is {now} in {facts.timezone} now, and the window opens at {opens}"
    )


def _outside_hours(facts: Facts) -> Finding | None:
    if not facts.opens_at <= facts.now < min(facts.sendable_from, facts.closes_at):
        return None
    now = f"it is {clock(facts, facts.now)} in {facts.timezone} now"
    outside = f"outside the allowed {' '.join(filter(None, (facts.hours, facts.weekdays)))}"
    if facts.sendable_from >= facts.closes_at:
        over = f"no allowed time is left before the window closes at {clock(facts, facts.closes_at)}"
        return Finding(Verdict.OUTSIDE_HOURS, f"{now}, {outside}, and {over}")
    return Finding(
        Verdict.OUTSIDE_HOURS, f"{now}, {outside}; it goes on at {clock(facts, facts.sendable_from)}"
    )


def _retrying(facts: Facts) -> Finding | None:
    if facts.status is None or facts.retry_at is None or facts.retry_at <= facts.now:
        return None
    return Finding(Verdict.RETRYING, f"{_tried(facts)}; the next try is at {second(facts, facts.retry_at)}")


def _database_copy(facts: Facts) -> Finding | None:
    says = hints.home(facts)
    return None if says is None else Finding(Verdict.DATABASE_COPY, says)


def _held(facts: Facts) -> Finding | None:
    if facts.held_at is None:
        return None
    since = f"all sending is held since {moment(facts, facts.held_at)}{by(facts.held_by)}"
    return Finding(Verdict.HELD, f"{since}{because(facts.hold_reason)}; `mailer release` starts it again")


def _token_rejected(facts: Facts) -> Finding | None:
    if facts.token_rejected_at is None:
        return None
    when = f"the message service rejected the token at {moment(facts, facts.token_rejected_at)}"
    return Finding(Verdict.TOKEN_REJECTED, f"{when}; {TOKEN_ADVICE}: the next dispatch tries it")


def _breaker_open(facts: Facts) -> Finding | None:
    if facts.broken_at is None:
        return None
    why = f"too many requests failed, the last one before {moment(facts, facts.broken_at)}"
    probe = facts.probe_after if facts.probe_after and facts.probe_after > facts.now else None
    when = f"at {second(facts, probe)}" if probe else "by the next dispatch"
    return Finding(Verdict.BREAKER_OPEN, f"{why}{because(facts.break_reason)}; one message is tried {when}")


def _blocked(facts: Facts) -> Finding | None:
    if facts.blocked_until is None:
        return None
    until = f"all sending waits until {second(facts, facts.blocked_until)}"
    return Finding(Verdict.BLOCKED, f"{until}{because(facts.block_reason)}")


def _no_dispatch(facts: Facts) -> Finding | None:
    ask = "is cron running? see `mailer cron`"
    if facts.last_run_at is None:
        return Finding(Verdict.NO_DISPATCH, f"no dispatch has ever run; {ask}")
    if (silence := facts.now - facts.last_run_at) <= _SILENCE:
        return None
    return Finding(Verdict.NO_DISPATCH, f"no dispatch has run for {hints.age(silence)}; {ask}")


def _due(facts: Facts) -> Finding | None:
    if facts.status is None:
        return None
    return Finding(Verdict.RETRYING, f"{_tried(facts)}; the next dispatch tries it again")


def _not_in_audience(facts: Facts) -> Finding | None:
    if facts.window_state != WindowState.SCANNED:
        return None
    return Finding(
        Verdict.NOT_IN_AUDIENCE,
        f"everybody in the audience in {facts.timezone} has a message; the client came to match only then",
    )


def _waiting(facts: Facts) -> Finding | None:
    if facts.ahead is None:
        return Finding(Verdict.WAITING, "nothing stops it; the client is waiting for their turn")
    before = f"{facts.ahead} are before them in their window's shard"
    if facts.ahead_elsewhere:
        before += f", and {facts.ahead_elsewhere} in more urgent windows"
    if facts.expected_at is None:
        return Finding(
            Verdict.WAITING, f"the client is waiting for their turn: {before}; nothing is sent just now"
        )
    when = f"at the present rate their turn comes at about {moment(facts, facts.expected_at)}"
    if facts.expected_at >= facts.closes_at:
        when += f", after the window closes at {moment(facts, facts.closes_at)}"
    return Finding(Verdict.WAITING, f"the client is waiting for their turn: {before}; {when}")


_Rungs = tuple[Callable[[Facts], Finding | None], ...]

_CLIENT: _Rungs = (_not_in_filter, _removed, _muted, _registered_late)
_MAILING: _Rungs = (_mailing_cancelled, _mailing_finished, _mailing_draft, _mailing_paused)
_CLOCK: _Rungs = (_never_opens, _window_closed, _not_open_yet, _outside_hours, _retrying)
_SENDING: _Rungs = (_database_copy, _held, _token_rejected, _breaker_open, _blocked, _no_dispatch)
_TURN: _Rungs = (_due, _not_in_audience, _waiting)


def _fate(facts: Facts) -> str:
    return "" if facts.status is None else ", and the next dispatch cancels the message"


def _since(facts: Facts, word: str) -> str:
    return f" {word} {moment(facts, facts.state_since)}" if facts.state_since else ""


def _over(facts: Facts) -> bool:
    finished = facts.state in {MailingState.CANCELLED, MailingState.FINISHED}
    return finished or facts.now >= facts.closes_at


def _only_since_it_was_over(facts: Facts, at: datetime) -> bool:
    """Whether this happened when the mailing was over for the client, so that it cannot be the reason."""
    over_at = min(facts.closes_at, facts.finished_at or facts.closes_at)
    return facts.now >= over_at and at >= over_at


def _is_late(facts: Facts) -> bool:
    if facts.frozen_at is not None:
        return facts.client_id > (facts.last_client_id or 0)
    if facts.state == MailingState.DRAFT or facts.opens_at > facts.now:
        return False
    return facts.registered_at >= max(facts.opens_at, facts.activated_at)


def _tried(facts: Facts) -> str:
    """Say how far a message has come that is to be tried again."""
    if facts.attempts or facts.error:
        return f"after {tries(facts)} the service has not taken it: {error(facts)}"
    if facts.attempted_at:
        return f"the service has not taken it: {error(facts)}"
    return "it was claimed, and handed back before it was sent"
