"""Why a client has, or has not, got a mailing: one sentence and its evidence.

`facts` reads, `ladder` and `outcomes` decide (pure: the same facts, the same answer), this module joins them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mailer_cli.database import Connection
from mailer_cli.explanations.facts import Facts, load, with_queue
from mailer_cli.explanations.finding import Finding, Verdict
from mailer_cli.explanations.ladder import obstacles
from mailer_cli.explanations.outcomes import outcome, purged
from mailer_cli.explanations.wording import local

__all__ = ["Explanation", "Facts", "Finding", "Verdict", "evidence", "explain", "why"]


# Whose turn it is stands at the foot of the ladder: it is an answer only where nothing else is.
_NO_OBSTACLES = frozenset({Verdict.WAITING, Verdict.RETRYING, Verdict.NOT_IN_AUDIENCE})


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer, what else stands in the way, and the facts behind it."""

    verdict: Verdict
    sentence: str
    also: tuple[Finding, ...]
    facts: Facts


def why(connection: Connection, client_id: int, mailing_id: int) -> Explanation:
    """Explain, by what is committed now; raise NotFoundError for an unknown mailing."""
    found = explain(load(connection, client_id, mailing_id))
    return found if found.verdict is not Verdict.WAITING else explain(with_queue(connection, found.facts))


def explain(facts: Facts) -> Explanation:
    """Decide: what became of a message is final, or past telling; else what stops it first, and the rest."""
    if final := outcome(facts) or purged(facts):
        return Explanation(final.verdict, final.sentence, (), facts)
    first, *rest = obstacles(facts)
    also = tuple(found for found in rest if found.verdict not in _NO_OBSTACLES)
    return Explanation(first.verdict, first.sentence, also, facts)


def evidence(explanation: Explanation) -> dict[str, Any]:
    """Return the facts behind an answer, in groups that are always the same."""
    facts = explanation.facts
    message = None if facts.status is None else _message(facts)
    return {
        "now": facts.now,
        "also": [{"verdict": found.verdict.value, "sentence": found.sentence} for found in explanation.also],
        "client": {"id": facts.client_id, **_picked(facts, _CLIENT)},
        "mailing": {"id": facts.mailing_id, **_picked(facts, _MAILING)},
        "window": {
            "zone": facts.timezone,
            **_picked(facts, _WINDOW),
            "state": facts.window_state,
            **{f"local_{name}": _wall(facts, name) for name in ("now", "opens_at", "closes_at")},
        },
        "message": message,
        "queue": _picked(facts, _QUEUE),
        "service": _picked(facts, _SERVICE),
        "last_run": {name: getattr(facts, f"last_run_{name}") for name in ("id", "host", "at", "ending")},
    }


_CLIENT = (
    *("phone", "operator_code", "tag", "timezone", "registered_at"),
    *("muted_at", "mute_reason", "removed_at"),
)
_MAILING = (
    *("state", "state_since", "state_by", "starts_at", "ends_at", "zone", "hours", "weekdays"),
    *("operator_codes", "tags", "finished_at", "purged_at"),
)
_WINDOW = ("opens_at", "closes_at", "sendable_from", "sendable_until", "frozen_at", "last_client_id")
_MESSAGE = (
    *("status", "attempts", "claimed_at", "sent_at", "retry_at", "attempted_at", "http_status", "error"),
    *("run_id", "host", "lease_until", "settled_at", "settled_by", "settled_as"),
)
_QUEUE = ("ahead", "ahead_elsewhere", "per_second", "expected_at")
_SERVICE = (
    *("held_at", "held_by", "hold_reason", "token_rejected_at", "broken_at", "break_reason", "probe_after"),
    *("blocked_until", "block_reason", "copied", "promoted"),
)


def _message(facts: Facts) -> dict[str, Any]:
    return {"id": facts.message_id, "phone": facts.sent_to, **_picked(facts, _MESSAGE)}


def _picked(facts: Facts, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in names}


def _wall(facts: Facts, name: str) -> Any:
    return local(facts, getattr(facts, name)).replace(tzinfo=None, microsecond=0)
