"""The benchmark is believed only because it looks: what it must notice, and how it counts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks import children, meter, peers_venv, report, service
from benchmarks.__main__ import size
from benchmarks.meter import Meter, Sample
from benchmarks.runs import Run, problem
from benchmarks.service import Record, Request
from benchmarks.subjects import SUBJECTS, Subject
from benchmarks.wire import TEXT, TOKEN

BY_NAME = {subject.name: subject for subject in SUBJECTS}
MAILER = BY_NAME["mailer-1"]
PHONES = {1: 79_000_000_000, 2: 79_000_000_001}
RECORDED = {1: 5.0, 2: 6.0}


def a_request(message: int, phone: int | None = None) -> Request:
    return Request(message, PHONES[message] if phone is None else phone, 1.0, 1.1)


def a_line(**changes: Any) -> str:
    body = json.dumps({"id": 1, "phone": PHONES[1], "text": TEXT})
    seen = {
        "t": 10.5,
        "d": 0.5,
        "s": 200,
        "a": f"Bearer {TOKEN}",
        "c": "application/json",
        "p": "POST /send/1",
        "b": body,
    }
    return json.dumps(seen | changes) + "\n"


def test_a_run_counts_when_every_message_was_accepted_once_and_is_recorded() -> None:
    assert problem(MAILER, PHONES, Record([a_request(1), a_request(2)], 0), RECORDED) is None


@pytest.mark.parametrize(
    ("requests", "malformed", "recorded", "told"),
    [
        ([a_request(1)], 0, RECORDED, "1 messages not sent"),
        ([a_request(1), a_request(2), a_request(2)], 0, RECORDED, "1 messages sent more than once"),
        ([a_request(1), a_request(2, 7)], 0, RECORDED, "1 wrong phones"),
        ([a_request(1), a_request(2)], 3, RECORDED, "3 requests not as they must be"),
        ([a_request(1), a_request(2), a_request(9, 7)], 0, RECORDED, "1 messages nobody asked for"),
        ([a_request(1), a_request(2)], 0, {1: 5.0}, "1 messages not recorded"),
        ([a_request(1), a_request(2)], 0, RECORDED | {9: 1.0}, "1 records of nothing"),
        ([], 0, {}, "2 messages not sent, 2 messages not recorded"),
    ],
)
def test_a_run_does_not_count_otherwise(
    requests: list[Request], malformed: int, recorded: dict[int, float], told: str
) -> None:
    assert problem(MAILER, PHONES, Record(requests, malformed), recorded) == told


def test_the_engine_without_http_must_not_post() -> None:
    subject = BY_NAME["no-http-1"]
    assert problem(subject, PHONES, Record([], 0), RECORDED) is None
    assert problem(subject, PHONES, Record([a_request(1)], 0), RECORDED) == "1 requests that nobody expected"


def test_the_services_record_is_read_back(tmp_path: Path) -> None:
    record = tmp_path / "requests.jsonl"
    record.write_text(a_line())
    assert service.read(record) == Record([Request(1, PHONES[1], 10.0, 10.5)], 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"s": 499},
        {"a": ""},
        {"a": "Bearer other"},
        {"c": "text/plain"},
        {"p": "POST /send/2"},
        {"p": "GET /send/1"},
        {"b": ""},
        {"b": "[]"},
        {"b": json.dumps({"id": 1, "phone": 7, "text": "other"})},
    ],
)
def test_a_request_that_is_not_as_it_must_be_is_malformed(tmp_path: Path, changes: dict[str, Any]) -> None:
    record = tmp_path / "requests.jsonl"
    record.write_text(a_line(**changes))
    assert service.read(record) == Record([], 1)


def test_cpu_is_counted_in_the_span_that_the_rate_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Meter([])
    samples = [Sample(10.0, 1.0, 50), Sample(11.0, 3.0, 90), Sample(12.0, 4.0, 70)]
    monkeypatch.setattr(watch, "_samples", samples)
    assert watch.cpu_between(10.5, 12.0) == pytest.approx(2.0)
    assert watch.cpu_between(10.0, 99.0) == pytest.approx(3.0)
    assert watch.peak_memory == 90


def test_the_meter_sees_a_process_and_its_children(tmp_path: Path) -> None:
    script = "while :; do :; done & wait"
    child = children.start(["sh", "-c", script], {"PATH": os.environ["PATH"]}, tmp_path, tmp_path / "log")
    watch = Meter([child.pid])
    watch.start()
    try:
        while watch.cpu_between(0, 1e12) <= 0:
            assert child.poll() is None
    finally:
        watch.stop()
        family = children.tree(child.pid)
        children.end(child)
        for pid in family[1:]:
            children.kill(pid)
    assert len(family) == 2
    assert watch.peak_memory > meter.PAGE


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_a_subject_is_named_once_after_its_processes_and_needs_only_what_is_pinned(subject: Subject) -> None:
    assert [each.name for each in SUBJECTS].count(subject.name) == 1
    assert subject.name.rpartition("-")[2] == str(subject.processes)
    assert set(subject.requires) <= peers_venv.pins().keys()


def test_slow_subjects_and_latency_make_runs_of_fewer_messages_not_longer_ones() -> None:
    assert size(BY_NAME["original-4"], 0, 20_000) < size(MAILER, 0, 20_000)
    assert size(BY_NAME["original-4"], 100, 20_000) < size(BY_NAME["original-4"], 0, 20_000)


def test_the_page_has_medians_spread_and_ratios_and_tells_what_does_not_count() -> None:
    original = BY_NAME["original-4"]
    runs = [Run("mailer-1", 0, 1000, seconds, cpu=0.5, memory=10**7, preparing=1.0) for seconds in (1, 2, 4)]
    runs += [Run("original-4", 0, 1000, 10.0, cpu=5.0, memory=2 * 10**7, preparing=1.0)]
    runs += [Run("original-4", 0, 1000, problem="1 messages not sent")]
    results = report.Results(
        [MAILER, original], ["x-1: cannot be had here"], {"Date": "today"}, {0: 9e4}, runs
    )
    page = report.page(results)
    row = "| mailer-1 | mailer dispatch | 1,000 | 500 | 250-1,000 | 0.500 | 10 | 5.0 | 1,000 | 0.0 |"
    assert row in page
    assert "- original-4 at 0 ms, 1,000 messages: 1 messages not sent" in page
    assert "- x-1: cannot be had here" in page
    assert "- Date: today" in page
    assert "- The service alone, at 0 ms: 90,000 answers/s to raw clients" in page
