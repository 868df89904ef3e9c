"""Why a client has, or has not, got a mailing: every rung of the ladder, and which comes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailer_cli import explanations
from mailer_cli.explanations import Facts, Verdict

NOW = datetime(2026, 11, 23, 7, tzinfo=UTC)  # ten o'clock in Moscow
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

# A client of an open window, whose turn has not come: nothing stops it.
WAITING = Facts(
    now=NOW,
    client_id=5,
    phone="79161234567",
    operator_code="916",
    tag="vip",
    timezone="Europe/Moscow",
    muted_at=None,
    mute_reason=None,
    removed_at=None,
    registered_at=NOW - 9 * DAY,
    gone_at=None,
    gone_action=None,
    gone_reason=None,
    mailing_id=3,
    state="active",
    starts_at=datetime(2026, 11, 23, 9),
    ends_at=datetime(2026, 11, 23, 20),
    zone=None,
    hours=None,
    weekdays=None,
    operator_codes=[],
    tags=[],
    priority=0,
    activated_at=NOW - 2 * DAY,
    finished_at=None,
    purged_at=None,
    state_since=None,
    state_by=None,
    window_state="open",
    opens_at=NOW - HOUR,
    closes_at=NOW + 10 * HOUR,
    sendable_from=NOW - HOUR,
    sendable_until=NOW + 10 * HOUR,
    frozen_at=NOW - HOUR,
    last_client_id=9,
    position=0,
    catching_up=False,
    status=None,
    sent_to=None,
    attempts=None,
    turn=None,
    claimed_at=None,
    sent_at=None,
    http_status=None,
    error=None,
    retry_at=None,
    attempted_at=None,
    last_error=None,
    settled_at=None,
    settled_by=None,
    settled_as=None,
    started=None,
    lease_until=None,
    run_id=None,
    host=None,
    run_started_at=None,
    held_at=None,
    held_by=None,
    hold_reason=None,
    token_rejected_at=None,
    broken_at=None,
    break_reason=None,
    probe_after=None,
    blocked_until=None,
    block_reason=None,
    copied=False,
    promoted=False,
    last_run_id=7,
    last_run_host="host-a",
    last_run_at=NOW,
    last_run_ending="done",
    per_second=None,
)
MADE = {
    "sent_to": "79161234567",
    "attempts": 1,
    "turn": 1,
    "claimed_at": NOW - MINUTE,
    "run_id": 7,
    "host": "host-a",
}
RETRYING = MADE | {"status": "retrying", "error": "HTTP 503: busy", "http_status": 503}
MUTED = {"muted_at": NOW - DAY, "mute_reason": "asked"}
PURGED = {
    "state": "finished",
    "finished_at": NOW - 9 * HOUR,
    "purged_at": NOW - HOUR,
    "closes_at": NOW - 10 * HOUR,
    "window_state": "closed",
}
PLANNED = {"window_state": "planned", "frozen_at": None, "last_client_id": None}


def ask(**changes: Any) -> explanations.Explanation:
    return explanations.explain(replace(WAITING, **changes))


def also(**changes: Any) -> list[Verdict]:
    return [found.verdict for found in ask(**changes).also]


CASES: list[tuple[dict[str, Any], str, list[str]]] = [
    # the client
    ({"operator_codes": ["903", "905"]}, "not_in_filter", ["operator 916 is not in 903, 905"]),
    ({"tags": ["gold"]}, "not_in_filter", ["tag vip is not in gold"]),
    ({"tags": ["gold"], "tag": None}, "not_in_filter", ["having no tag, it is not in gold"]),
    (
        {"operator_codes": ["903"], "tags": ["gold"]},
        "not_in_filter",
        ["operator 916 is not in 903; tag vip is not in gold"],
    ),
    (
        {"removed_at": NOW - DAY},
        "client_removed",
        ["removed at 2026-11-22 07:00Z (10:00 in Europe/Moscow)", "`mailer client add 79161234567`"],
    ),
    (MUTED, "client_muted", ["muted since 2026-11-22 07:00Z", "(asked)", "`mailer client unmute 5`"]),
    (MUTED | RETRYING, "client_muted", ["the next dispatch cancels the message"]),
    (
        {"last_client_id": 4, "registered_at": NOW - MINUTE},
        "registered_late",
        ["registered at 2026-11-23 06:59Z", "opened at 2026-11-23 06:00Z", "`mailer mailing refresh 3`"],
    ),
    ({"last_client_id": None}, "registered_late", ["`mailer mailing refresh 3`"]),
    (PLANNED | {"registered_at": NOW - MINUTE}, "registered_late", ["refresh"]),
    ({"last_client_id": 4, "closes_at": NOW - MINUTE}, "registered_late", ["that window is over"]),
    # the mailing
    ({"state": "draft"} | PLANNED, "mailing_draft", ["`mailer mailing resume 3`"]),
    (
        {"state": "paused", "state_since": NOW - HOUR, "state_by": "olga@office"},
        "mailing_paused",
        ["since 2026-11-23 06:00Z (09:00 in Europe/Moscow) by olga@office", "`mailer mailing resume 3`"],
    ),
    (
        {"state": "cancelled", "state_since": NOW - HOUR, "state_by": "olga@office"},
        "mailing_cancelled",
        ["at 2026-11-23 06:00Z", "by olga@office", "the next dispatch settles its messages"],
    ),
    (
        {"state": "finished", "finished_at": NOW - HOUR, "closes_at": NOW - HOUR, "window_state": "closed"},
        "mailing_finished",
        ["finished at 2026-11-23 06:00Z", "not in its audience"],
    ),
    (
        PURGED,
        "messages_purged",
        ["were purged at 2026-11-23 06:00Z", "not known any more", "`mailer report 3` has the sums"],
    ),
    (PURGED | MUTED | {"tags": ["gold"], "held_at": NOW}, "messages_purged", []),
    (PURGED | MADE | {"status": "sent", "sent_at": NOW}, "sent", []),  # a purge that was stopped before it
    (PURGED | {"registered_at": NOW, "last_client_id": 4}, "registered_late", []),
    # the clock
    ({"opens_at": NOW, "closes_at": NOW}, "never_opens", ["never opens in Europe/Moscow"]),
    (
        PLANNED | {"now": NOW - 108 * MINUTE, "last_run_at": NOW, "opens_at": NOW - HOUR},
        "not_open_yet",
        ["it is 08:12 (05:12Z) in Europe/Moscow now", "opens at 09:00 (06:00Z)"],
    ),
    (
        PLANNED | {"opens_at": NOW + DAY, "closes_at": NOW + 2 * DAY},
        "not_open_yet",
        ["opens at 2026-11-24 10:00 (2026-11-24 07:00Z)"],
    ),
    (
        {"sendable_from": NOW + HOUR, "hours": "11:00-18:00", "weekdays": "mon,tue"},
        "outside_hours",
        ["it is 10:00 (07:00Z)", "outside the allowed 11:00-18:00 mon,tue", "goes on at 11:00 (08:00Z)"],
    ),
    (
        {"sendable_from": NOW + 10 * HOUR, "hours": "08:00-09:00"},
        "outside_hours",
        ["no allowed time is left before the window closes at 20:00 (17:00Z)"],
    ),
    (
        {"closes_at": NOW, "sendable_until": NOW},
        "window_closed",
        ["closed at 2026-11-23 07:00Z", "the next dispatch settles it as expired"],
    ),
    (
        {"closes_at": NOW, "sendable_until": NOW, "window_state": "closed"},
        "window_closed",
        ["the client was not in its audience"],
    ),
    # what stops all sending
    ({"copied": True}, "database_copy", ["a copy", "--new-home"]),
    ({"promoted": True}, "database_copy", ["restored or promoted", "mailer recover"]),
    (
        {"held_at": NOW - HOUR, "held_by": "olga@office", "hold_reason": "wrong text"},
        "sending_held",
        ["held since 2026-11-23 06:00Z", "by olga@office (wrong text)", "`mailer release`"],
    ),
    (
        {"token_rejected_at": NOW - HOUR},
        "token_rejected",
        ["rejected the token at 2026-11-23 06:00Z", "JWT_TOKEN"],
    ),
    (
        {"broken_at": NOW, "break_reason": "HTTP 500", "probe_after": NOW + MINUTE},
        "breaker_open",
        ["(HTTP 500)", "one message is tried at 2026-11-23 07:01:00Z"],
    ),
    ({"broken_at": NOW, "probe_after": NOW}, "breaker_open", ["is tried by the next dispatch"]),
    (
        {"blocked_until": NOW + MINUTE, "block_reason": "the service asked to wait"},
        "blocked",
        ["waits until 2026-11-23 07:01:00Z", "(the service asked to wait)"],
    ),
    ({"last_run_at": NOW - 14 * MINUTE}, "no_dispatch", ["no dispatch has run for 14 minutes", "cron"]),
    ({"last_run_at": None}, "no_dispatch", ["no dispatch has ever run"]),
    # its turn
    ({}, "waiting", ["waiting"]),
    ({"ahead": 2, "ahead_elsewhere": 0}, "waiting", ["2 are before them", "nothing is sent just now"]),
    (
        {"ahead": 20, "ahead_elsewhere": 40, "per_second": 16.0},
        "waiting",
        [
            "20 are before them",
            "40 in more urgent windows",
            "at about 2026-11-23 07:01Z (10:01 in Europe/Moscow)",
        ],
    ),
    (
        {"ahead": 100_000, "per_second": 1.0},
        "waiting",
        ["after the window closes at 2026-11-23 17:00Z"],
    ),
    ({"window_state": "scanned"}, "not_in_audience", ["has a message; the client came to match only then"]),
    (
        RETRYING | {"retry_at": NOW + MINUTE, "attempts": 2},
        "retrying",
        [
            "after 2 attempts",
            "HTTP 503: busy",
            "next try is at 2026-11-23 07:01:00Z (10:01:00 in Europe/Moscow)",
        ],
    ),
    (RETRYING | {"retry_at": NOW}, "retrying", ["the next dispatch tries it again"]),
    (
        RETRYING | {"retry_at": NOW, "attempts": 0, "error": None},
        "retrying",
        ["claimed, and handed back before it was sent"],
    ),
    # what became of it
    (
        MADE | {"status": "sending", "started": True, "lease_until": NOW + MINUTE},
        "sending",
        ["is being sent right now by run 7 on host-a", "claimed since 2026-11-23 06:59:00Z"],
    ),
    (
        MADE | {"status": "sending", "started": False, "lease_until": NOW + MINUTE},
        "sending",
        ["will be sent in a moment"],
    ),
    (
        MADE | {"status": "sending", "started": True, "lease_until": NOW, "turn": 2, "run_started_at": NOW},
        "sending",
        ["may have been sent by run 7 on host-a, which has not been heard of since"],
    ),
    (
        MADE | {"status": "sent", "sent_at": NOW},
        "sent",
        ["sent to 79161234567 at 2026-11-23 07:00:00Z (10:00:00 in Europe/Moscow) by run 7 on host-a"],
    ),
    (
        MADE
        | {
            "status": "sent",
            "sent_at": NOW,
            "settled_as": "sent",
            "settled_by": "olga@office",
            "settled_at": NOW,
        },
        "sent",
        ["in doubt, and settled as sent by olga@office at 2026-11-23 07:00Z"],
    ),
    (
        MADE | {"status": "failed", "error": "HTTP 400: no such number", "attempted_at": NOW},
        "failed",
        [
            "failed at 2026-11-23 07:00:00Z",
            "1 attempt by run 7",
            "HTTP 400: no such number",
            "`mailer mailing retry 3`",
        ],
    ),
    (
        MADE | {"status": "failed", "settled_as": "failed", "settled_by": "olga@office", "settled_at": NOW},
        "failed",
        ["settled as failed by olga@office"],
    ),
    (
        MADE | {"status": "unknown", "error": "read timeout"},
        "unknown",
        [
            "in doubt",
            "read timeout",
            "`mailer message resolve 12884901893 --as sent`",
            "retry 3 --only unknown",
        ],
    ),
    (
        MADE | {"status": "expired", "error": "HTTP 503", "closes_at": NOW, "attempts": 3},
        "expired",
        ["closed at 2026-11-23 07:00Z", "after 3 attempts, the last one: HTTP 503"],
    ),
    (
        MADE | {"status": "expired", "attempts": 0, "closes_at": NOW},
        "expired",
        ["before it was reached; the service was never asked"],
    ),
    (
        MADE | {"status": "expired", "error": "HTTP 503"},
        "expired",
        ["no time was left before its window closes"],
    ),
    (
        MADE | {"status": "cancelled", "state": "cancelled", "state_since": NOW, "state_by": "olga@office"},
        "cancelled",
        ["the mailing was cancelled at 2026-11-23 07:00Z", "by olga@office"],
    ),
    (
        MADE | MUTED | {"status": "cancelled"},
        "cancelled",
        ["the client was muted at 2026-11-22 07:00Z", "(asked)"],
    ),
    (MADE | {"status": "cancelled", "removed_at": NOW}, "cancelled", ["the client was removed at"]),
    (
        MADE | {"status": "cancelled", "gone_at": NOW, "gone_action": "client muted", "gone_reason": "asked"},
        "cancelled",
        ["the client was muted at 2026-11-23 07:00Z", "(asked)"],
    ),
    (
        MADE | {"status": "cancelled"},
        "cancelled",
        ["the mailing was cancelled, or the client muted or removed"],
    ),
]


@pytest.mark.parametrize(
    ("changes", "verdict", "words"), CASES, ids=[f"{n}-{case[1]}" for n, case in enumerate(CASES)]
)
def test_each_case_has_its_word_and_its_sentence(
    changes: dict[str, Any], verdict: str, words: list[str]
) -> None:
    found = ask(**changes)
    assert found.verdict == verdict
    for each in words:
        assert each in found.sentence
    assert "None" not in found.sentence
    assert "\n" not in found.sentence


def test_who_was_erased_is_not_offered_a_way_back() -> None:
    gone = {"phone": "erased 5", "removed_at": NOW - DAY}
    assert "there is no way back" in ask(**gone).sentence
    assert "erased 5" not in ask(**gone).sentence
    sent = MADE | {"status": "sent", "sent_at": NOW, "sent_to": "erased"}
    assert "it was sent to a number that was erased at" in ask(**gone, **sent).sentence


def test_every_verdict_has_a_case() -> None:
    assert {case[1] for case in CASES} == {verdict.value for verdict in Verdict}


EVERYTHING: dict[str, Any] = {
    **MUTED,
    "operator_codes": ["903"],
    "removed_at": NOW - DAY,
    "state": "paused",
    "held_at": NOW,
    "token_rejected_at": NOW,
    "broken_at": NOW,
    "blocked_until": NOW + DAY,
    "copied": True,
    "last_run_at": NOW - DAY,
}


@pytest.mark.parametrize("status", ["sent", "failed", "unknown", "expired", "cancelled", "sending"])
def test_what_became_of_a_message_is_not_changed_by_how_things_stand_now(status: str) -> None:
    found = ask(**EVERYTHING, **MADE, status=status, sent_at=NOW, error="HTTP 400")
    assert found.verdict == status
    assert found.also == ()


def test_what_would_have_to_be_mended_first_is_named_and_the_rest_is_mentioned() -> None:
    assert ask(**EVERYTHING).verdict == "not_in_filter"
    assert also(**EVERYTHING) == [
        *("client_removed", "client_muted", "mailing_paused", "database_copy", "sending_held"),
        *("token_rejected", "breaker_open", "blocked", "no_dispatch"),
    ]


def test_a_muted_client_of_a_paused_mailing_is_muted_first() -> None:
    found = ask(**MUTED, state="paused")
    assert (found.verdict, [each.verdict for each in found.also]) == ("client_muted", ["mailing_paused"])


def test_a_paused_mailing_that_has_not_opened_yet_is_paused_first() -> None:
    changes = PLANNED | {"state": "paused", "opens_at": NOW + HOUR, "held_at": NOW}
    assert ask(**changes).verdict == "mailing_paused"
    assert also(**changes) == ["not_open_yet", "sending_held"]


def test_a_message_to_be_retried_later_waits_for_that_even_while_sending_is_held() -> None:
    changes = RETRYING | {"retry_at": NOW + MINUTE, "held_at": NOW}
    assert ask(**changes).verdict == "retrying"
    assert also(**changes) == ["sending_held"]
    assert ask(**changes | {"retry_at": NOW}).verdict == "sending_held"


def test_a_message_that_exists_is_not_asked_for_the_filter_again() -> None:
    assert ask(**RETRYING, retry_at=NOW, operator_codes=["903"], last_client_id=1).verdict == "retrying"


def test_who_was_muted_after_it_was_over_did_not_miss_it_for_that() -> None:
    over = {"state": "finished", "finished_at": NOW - HOUR, "closes_at": NOW - HOUR, "window_state": "closed"}
    assert ask(**over, muted_at=NOW).verdict == "mailing_finished"
    assert ask(**over, muted_at=NOW - DAY).verdict == "client_muted"


def test_of_two_reasons_for_a_cancelled_message_the_earlier_one_did_it() -> None:
    changes = MADE | {"status": "cancelled", "state": "cancelled", "state_since": NOW - HOUR}
    assert "client was muted" in ask(**changes, muted_at=NOW - DAY).sentence
    assert "mailing was cancelled" in ask(**changes, muted_at=NOW).sentence


def test_who_registered_before_a_late_activation_is_in_the_audience() -> None:
    late = PLANNED | {"registered_at": NOW - 30 * MINUTE}
    assert ask(**late, activated_at=NOW - MINUTE).verdict == "waiting"
    assert ask(**late, activated_at=NOW - DAY).verdict == "registered_late"


def test_the_evidence_has_the_same_groups_whatever_the_answer() -> None:
    groups = list(explanations.evidence(ask()))
    assert groups == list(explanations.evidence(ask(**MADE, status="sent", sent_at=NOW)))
    assert groups == [
        *("now", "also", "client", "mailing", "window", "message", "queue", "service", "last_run"),
    ]


def test_the_evidence_shows_the_clients_own_clock() -> None:
    window = explanations.evidence(ask())["window"]
    assert window["local_now"] == datetime(2026, 11, 23, 10)
    assert window["local_opens_at"] == datetime(2026, 11, 23, 9)
