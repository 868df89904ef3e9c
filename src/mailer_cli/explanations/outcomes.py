"""What a message that exists says for itself: no present state of its client or mailing changes that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from mailer_cli import phones
from mailer_cli.explanations.facts import Facts
from mailer_cli.explanations.finding import Finding, Verdict
from mailer_cli.explanations.wording import because, by, by_run, error, moment, second, tries
from mailer_cli.statuses import MailingState, Status

_NEVER = datetime.max.replace(tzinfo=UTC)


def outcome(facts: Facts) -> Finding | None:
    """Return what became of the message, None without one or while it is to be tried again."""
    told = _TOLD.get(facts.status or "")
    return told(facts) if told else None


def purged(facts: Facts) -> Finding | None:
    """Return that nobody can tell any more, if there may have been a message once."""
    if facts.purged_at is None or facts.registered_at >= (facts.finished_at or facts.purged_at):
        return None
    when = f"the messages of this mailing were purged at {moment(facts, facts.purged_at)}"
    lost = "whether there was one to this client is not known any more"
    return Finding(Verdict.PURGED, f"{when}; {lost}, `mailer report {facts.mailing_id}` has the sums")


def _sending(facts: Facts) -> Finding:
    by_whom = by_run(facts)
    if facts.lease_until is None:
        return Finding(Verdict.SENDING, f"it is being sent right now{by_whom}")
    if facts.lease_until <= facts.now:
        what = "may have been sent" if facts.started else "was claimed, not sent"
        sentence = f"it {what}{by_whom}, which has not been heard of since; the next dispatch settles it"
        return Finding(Verdict.SENDING, sentence)
    # Only the first turn has left the time of its claim; a later one is not older than its run.
    since = facts.claimed_at if facts.turn == 1 else facts.run_started_at
    state = "is being sent right now" if facts.started else "is claimed, and will be sent in a moment,"
    return Finding(Verdict.SENDING, f"it {state}{by_whom}, claimed since {second(facts, since)}")


def _sent(facts: Facts) -> Finding:
    if facts.settled_as == facts.status:
        who = f"{by(facts.settled_by)} at {moment(facts, facts.settled_at)}"
        return Finding(Verdict.SENT, f"it was in doubt, and settled as sent{who}; phone {_to(facts)}")
    when = second(facts, facts.sent_at)
    return Finding(
        Verdict.SENT, f"it was sent to {_to(facts)} at {when}{by_run(facts)}, after {tries(facts)}"
    )


def _to(facts: Facts) -> str:
    return "a number that was erased" if phones.is_erased(facts.sent_to or "") else str(facts.sent_to)


def _failed(facts: Facts) -> Finding:
    if facts.settled_as == facts.status and _not_tried_since(facts):
        who = f"{by(facts.settled_by)} at {moment(facts, facts.settled_at)}"
        return Finding(Verdict.FAILED, f"it was in doubt, and settled as failed{who}")
    when = second(facts, facts.attempted_at)
    again = f"`mailer mailing retry {facts.mailing_id}` tries failed ones again"
    sentence = f"it failed at {when} after {tries(facts)}{by_run(facts)}: {error(facts)}"
    return Finding(Verdict.FAILED, f"{sentence}; {again}" if _open(facts) else sentence)


def _unknown(facts: Facts) -> Finding:
    when = f" at {second(facts, facts.attempted_at)}" if facts.attempted_at else ""
    resolve = f"`mailer message resolve {facts.message_id} --as sent` (or failed) settles it"
    again = f"`mailer mailing retry {facts.mailing_id} --only unknown` sends it, perhaps a second time"
    way_out = f"{resolve}, {again}" if _open(facts) else resolve
    sentence = f"it is in doubt whether it was sent{when}{by_run(facts)}: {error(facts)}; {way_out}"
    return Finding(Verdict.UNKNOWN, sentence)


def _expired(facts: Facts) -> Finding:
    closed = f"its window closed at {moment(facts, facts.closes_at)}"
    if facts.closes_at > facts.now:
        closed = f"no time was left before its window closes at {moment(facts, facts.closes_at)}"
    if facts.attempts or facts.error:
        return Finding(Verdict.EXPIRED, f"{closed}, after {tries(facts)}, the last one: {error(facts)}")
    return Finding(Verdict.EXPIRED, f"{closed} before it was reached; the service was never asked")


def _cancelled(facts: Facts) -> Finding:
    """Whatever came first did it."""
    causes: list[tuple[datetime, str]] = []
    if facts.state == MailingState.CANCELLED:
        when = f" at {moment(facts, facts.state_since)}" if facts.state_since else ""
        causes.append((facts.state_since or _NEVER, f"the mailing was cancelled{when}{by(facts.state_by)}"))
    for at, what, reason in (
        (facts.muted_at, "muted", facts.mute_reason),
        (facts.removed_at, "removed", None),
        (facts.gone_at, (facts.gone_action or "").removeprefix("client "), facts.gone_reason),
    ):
        if at is not None:
            causes.append((at, f"the client was {what} at {moment(facts, at)}{because(reason)}"))
    why = min(causes)[1] if causes else "the mailing was cancelled, or the client muted or removed"
    return Finding(Verdict.CANCELLED, f"it was cancelled before it was sent: {why}")


def _not_tried_since(facts: Facts) -> bool:
    tried, settled = facts.attempted_at, facts.settled_at
    return tried is None or settled is None or tried <= settled


def _open(facts: Facts) -> bool:
    """Whether the operator may still have it tried again."""
    over = facts.state in {MailingState.CANCELLED, MailingState.FINISHED}
    return not over and facts.now < facts.closes_at


_TOLD: dict[str, Callable[[Facts], Finding]] = {
    Status.SENDING: _sending,
    Status.SENT: _sent,
    Status.FAILED: _failed,
    Status.UNKNOWN: _unknown,
    Status.EXPIRED: _expired,
    Status.CANCELLED: _cancelled,
}
