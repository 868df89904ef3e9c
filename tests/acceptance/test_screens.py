"""Every command that shows something, with hostile text in every field: it fits, and steers no terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

import factories
from conftest import Mailer
from mailer_cli.database import Connection
from terminal import on_a_terminal

HOSTILE = (
    '=cmd|"/c calc"!A1 \x1b[31m\x1b]0;title\x07 [bold]markup[/bold] [link=x]y[/] {json: "x"} \u202e\u2066 '
    + "word " * 30
    + "W" * 90
    + " \n\ttabs\r\n🎉 ещё"
)
STEERING = set("\x1b\x07\x9b\u202e\u2066\u2028")
NOW = datetime.now(UTC)
SHOWS = [
    "report",
    "report --since 30d",
    "report 1",
    *(f"report 1 --by {by}" for by in ("zone", "operator", "tag", "hour", "error")),
    f"report --daily --date {NOW:%Y-%m-%d}",
    "mailing list",
    "mailing show 1",
    "mailing preview 1",
    "mailing simulate 1 --rate 1",
    "client list",
    "client show 1",
    "client count",
    "message list",
    "message list --mailing 1",
    "message list --client 1",
    "message show 4294967297",
    "log",
    "log --mailing 1",
    "log --client 1",
    "log --message 4294967297",
    "log --idle --show-phones",
    "why 1 --mailing 1",
    "why 3 --mailing 1",
    "dispatch --dry-run",
    "purge --older-than 400d --dry-run",
    "client erase 1 --dry-run",
    "client remove 1 --dry-run",
    "mailing cancel 1 --dry-run",
    "mailing retry 1 --dry-run",
    "top -n 1",
    "doctor",
    "db status",
    "config show",
    "cron show",
    "metrics",
    "help",
    "help statuses",
]
# What a script reads, or what is to be copied as it is: it is never broken into lines.
# A log's line tells of a change in a few words; `-o jsonl` has all of it.
CUTS = ("log", "help")
AS_IT_IS = {"cron show", "metrics", "db status"}


@pytest.fixture
def hostile(connection: Connection) -> None:
    """Two clients and a mailing, and everything that people and a service could write about them."""
    made = [factories.a_client(connection, tag=HOSTILE[:200]) for _ in range(2)]
    factories.a_client(connection, muted_at=NOW)
    mailing = factories.a_mailing(
        connection, text=HOSTILE, tags=[HOSTILE[:200]], ends_at=datetime(2099, 1, 1)
    )
    factories.an_open_window(connection, mailing, closes_at=NOW + timedelta(hours=5))
    run = factories.a_run(connection, NOW, HOSTILE, host=HOSTILE, sent=30)
    first = factories.a_message(connection, mailing, made[0], "retrying", error=HOSTILE, run_id=run)
    factories.a_message(connection, mailing, made[1], "failed", error=HOSTILE, http_status=400, run_id=run)
    factories.a_failed_attempt(connection, first, error=HOSTILE, run_id=run)
    connection.execute("UPDATE client SET mute_reason = %s WHERE muted_at IS NOT NULL", [HOSTILE])
    connection.execute(
        "UPDATE service SET held_at = now(), held_by = %(it)s, hold_reason = %(it)s, broken_at = now(),"
        " break_reason = %(it)s, blocked_until = now() + interval '1 h', block_reason = %(it)s",
        {"it": HOSTILE},
    )
    old, new = {"text": HOSTILE}, {HOSTILE: [HOSTILE]}
    factories.an_event(connection, HOSTILE, mailing_id=mailing, old=old, new=new)
    factories.an_event(connection, HOSTILE, client_id=made[0], old=old, new=new)


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("width", [80, 200])
@pytest.mark.parametrize("typed", SHOWS)
def test_it_fits_a_terminal(mailer: Mailer, typed: str, width: int) -> None:
    told = on_a_terminal(mailer, columns=width)(*typed.split())
    assert told.code in {0, 1}, told.err
    assert "bug in mailer" not in told.err
    assert not (set(told.out) | set(told.err)) & STEERING
    if typed not in AS_IT_IS:
        assert [line for line in told.out.splitlines() if len(line) > width] == []


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("typed", SHOWS)
def test_a_pipe_gets_all_of_it_and_nothing_else(mailer: Mailer, typed: str) -> None:
    told = mailer(*typed.split())
    assert told.code in {0, 1}, told.err
    if not typed.startswith(CUTS):
        assert "…" not in told.out
    assert not (set(told.out) | set(told.err)) & STEERING


@pytest.mark.parametrize(
    "typed", [typed for typed in SHOWS if " 1" not in typed and "4294967297" not in typed]
)
def test_an_empty_database_is_no_error(mailer: Mailer, typed: str) -> None:
    told = on_a_terminal(mailer)(*typed.split())
    assert told.code == (1 if typed == "doctor" else 0), told.err
    assert "None" not in told.out


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize(
    "typed", ["client list", "message list", "mailing list", "report", "report 1 --by tag"]
)
def test_scripts_get_the_text_as_it_is(mailer: Mailer, typed: str) -> None:
    for line in mailer(*typed.split(), "-o", "jsonl").out.splitlines():
        row = json.loads(line)
        texts = [row[key] for key in ("text", "tag", "error") if row.get(key)]
        assert all(HOSTILE.startswith(text) for text in texts)
        assert texts or typed == "client list"
