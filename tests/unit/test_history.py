"""How the history is asked for by time, and how a change is put into one line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailer_cli import history, phones
from mailer_cli.cli import spans
from mailer_cli.errors import InvalidValueError
from mailer_cli.history import telling

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


def told(action: str, **values: Any) -> history.Entry:
    row: dict[str, Any] = {"id": 1, "at": NOW, "actor": "olga@office", "mailing_id": None, "client_id": None}
    row |= {"old": None, "new": None, "action": action} | values
    return telling.told_change(telling.Change(**row), phones.mask_all)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("45s", timedelta(seconds=45)),
        ("30m", timedelta(minutes=30)),
        ("2h", timedelta(hours=2)),
        (" 7 D ", timedelta(days=7)),
        ("1w", timedelta(weeks=1)),
    ],
)
def test_a_span_is_so_long_ago(text: str, ago: timedelta) -> None:
    assert spans.since(text, NOW) == NOW - ago


def test_an_instant_says_its_offset() -> None:
    assert spans.since("2026-11-23T10:00+03:00", NOW) == datetime(2026, 11, 23, 7, tzinfo=UTC)


def test_a_date_is_its_beginning_in_utc() -> None:
    assert spans.since("2026-11-20", NOW) == datetime(2026, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2x", "-2h", "2026-11-23T10:00", "999999w"])
def test_anything_else_is_refused_with_both_ways_to_write_it(text: str) -> None:
    with pytest.raises(InvalidValueError, match=r"since: .*7d ago"):
        spans.since(text, NOW)


def test_a_change_names_what_was_changed_by_its_id_and_shows_old_and_new() -> None:
    entry = told("mailing updated", mailing_id=3, old={"tags": []}, new={"tags": ["vip", "gold"]})
    assert entry.text == "mailing 3 updated: tags none → vip,gold"
    assert (entry.mailing, entry.client, entry.message) == (3, None, None)


def test_what_is_said_of_a_mailing_without_naming_it_gets_its_id() -> None:
    entry = told("messages put back", mailing_id=3, new={"failed": 2, "code": None})
    assert entry.text == "messages put back (mailing 3): failed 2"


def test_a_message_is_named_by_the_number_the_service_knows() -> None:
    entry = told(
        "message resolved", mailing_id=1, client_id=2, old={"status": "unknown"}, new={"status": "sent"}
    )
    assert entry.text == "message 4294967298 resolved: status unknown → sent"
    assert entry.message == 4294967298


def test_what_is_gone_is_shown_as_it_was() -> None:
    entry = told("client removed", client_id=2, old={"phone": "79161234567", "tag": None})
    assert entry.text == "client 2 removed: phone was 7916•••4567"


def test_a_long_value_is_cut_in_the_line_and_whole_in_the_details() -> None:
    entry = told("mailing updated", mailing_id=3, old={"text": "a" * 500}, new={"text": "b\nc"})
    assert entry.text.endswith("… → b c")
    assert entry.details["old"] == {"text": "a" * 500}


def test_a_phone_is_masked_wherever_it_stands() -> None:
    hidden = told(
        "client 79161234567",
        actor="79161234567@office",
        client_id=2,
        old={"phone": "79161234567", "deep": [{"also": "+7 916 123-45-67"}]},
        new={"79161234567": "89161234567", "number": 79161234567},
    )
    everything = f"{hidden.actor} {hidden.details['old']} {hidden.details['new'].keys()}"
    assert "1234567" not in everything.replace("-", "").replace(" ", "")
    assert hidden.details["old"]["deep"] == [{"also": "7916•••4567"}]
