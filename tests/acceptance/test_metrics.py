"""Prometheus reads what the tables say, and a collector never reads half a file."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

import factories
from conftest import Mailer
from mailer_cli.database import Connection

Labels = frozenset[tuple[str, str]]


def ago(**span: float) -> datetime:
    return datetime.now(UTC) - timedelta(**span)


def numbers(text: str) -> dict[tuple[str, Labels], float]:
    """Every sample, as Prometheus would read it."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: dict[tuple[str, Labels], float], name: str, **labels: str) -> float | None:
    return found.get((f"mailer_{name}", frozenset(labels.items())))


def test_an_empty_database_has_numbers_too(mailer: Mailer) -> None:
    told = mailer("metrics")
    found = numbers(told.out)
    assert (told.code, told.err) == (0, "")
    assert of(found, "held") == of(found, "oldest_due_seconds") == of(found, "claims") == 0
    assert of(found, "last_run_timestamp_seconds") is None
    assert of(found, "build_info", version="0.1.0") == 1


def test_mailings_are_counted_by_status(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection)
    for status in ("sent", "sent", "failed", "retrying"):
        factories.a_message(connection, mailing, factories.a_client(connection), status)
    factories.a_client(connection)
    factories.an_open_window(connection, mailing)
    connection.execute("UPDATE mailing_window SET claimed = audience WHERE audience > 0 AND shard <> 5")
    found = numbers(mailer("metrics").out)
    number = str(mailing)
    assert of(found, "messages", mailing=number, status="sent") == 2
    assert of(found, "messages", mailing=number, status="failed") == 1
    assert of(found, "messages", mailing=number, status="expired") == 0
    assert of(found, "audience", mailing=number) == 5
    assert of(found, "retries_due") == 0


def test_what_stands_in_the_way_is_told(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection, activated_at=ago(hours=2))
    factories.a_client(connection)
    factories.an_open_window(connection, mailing, opens_at=ago(hours=1))
    factories.a_finished_run(connection, ago=timedelta(hours=3))
    connection.execute("UPDATE service SET held_at = now(), broken_at = now()")
    found = numbers(mailer("metrics").out)
    assert (of(found, "held"), of(found, "breaker_open"), of(found, "token_rejected")) == (1, 1, 0)
    assert of(found, "oldest_due_seconds") == pytest.approx(3600, abs=60)
    assert of(found, "last_run_timestamp_seconds") == pytest.approx(ago(hours=3).timestamp(), abs=60)


def test_mailings_that_ended_long_ago_are_left_out(mailer: Mailer, connection: Connection) -> None:
    ended = {"state": "finished"}
    old = factories.a_mailing(connection, finished_at=ago(days=8), **ended)  # type: ignore[arg-type]
    recent = factories.a_mailing(connection, finished_at=ago(days=6), **ended)  # type: ignore[arg-type]
    found = numbers(mailer("metrics").out)
    assert of(found, "audience", mailing=str(old)) is None
    assert of(found, "audience", mailing=str(recent)) == 0


def test_no_phone_tag_or_text_is_in_it(mailer: Mailer, connection: Connection) -> None:
    mailing = factories.a_mailing(connection, text="Secret sale")
    client = factories.a_client(connection, phone="79165550000", tag="debtor")
    factories.a_message(connection, mailing, client)
    told = mailer("metrics").out
    assert "79165550000" not in told
    assert "debtor" not in told
    assert "Secret" not in told


def test_the_textfile_is_replaced_in_one_step_and_readable_by_the_collector(
    mailer: Mailer, tmp_path: Path
) -> None:
    textfile = tmp_path / "mailer.prom"
    textfile.write_text("old")
    before = textfile.stat().st_ino
    told = mailer("metrics", "--textfile", str(textfile))
    assert (told.code, told.out, told.err) == (0, "", "")
    assert textfile.stat().st_ino != before
    assert stat.S_IMODE(textfile.stat().st_mode) == 0o644
    assert of(numbers(textfile.read_text()), "held") == 0
    assert [path.name for path in tmp_path.glob("*mailer.prom*")] == ["mailer.prom"]


def test_where_no_file_can_be_written_the_reason_is_told(mailer: Mailer, tmp_path: Path) -> None:
    told = mailer("metrics", "--textfile", str(tmp_path / "nowhere" / "mailer.prom"))
    assert told.code == 1
    assert "cannot be written: No such file or directory" in told.err
