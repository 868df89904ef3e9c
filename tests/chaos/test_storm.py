"""Ten dispatchers in a storm send to nobody twice, lose nobody, and are never late."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chaos.storm import Plan, Storm

LONG = float(os.environ.get("MAILER_CHAOS_SECONDS", "900"))
SEED = int(os.environ.get("MAILER_CHAOS_SEED", "20261123"))


def blow(plan: Plan, home: Path) -> Storm:
    with Storm(plan, home) as storm:
        found = storm.blow()
    print(f"\nseed {plan.seed}: {storm.faults.total()} faults; {found}")  # noqa: T201 - shown by `pytest -rP`
    for fault, number in sorted(storm.faults.items()):
        print(f"{number:8} {fault}")  # noqa: T201 - likewise
    found.check()
    assert found.accepted
    return storm


def test_in_a_short_storm_nothing_is_sent_twice_or_late_and_nobody_is_lost(tmp_path: Path) -> None:
    storm = blow(Plan(SEED, seconds=18, mailing_every=2), tmp_path)
    assert storm.faults.total() > 100
    assert storm.faults["database server crashed"] == 1


@pytest.mark.chaos
def test_in_a_long_storm_of_ten_thousand_faults_likewise(tmp_path: Path) -> None:
    plan = Plan(SEED, seconds=LONG, mailing_every=5, crashes=max(1, int(LONG / 60)))
    storm = blow(plan, tmp_path)
    assert storm.faults.total() >= 10 * LONG


@pytest.mark.chaos
def test_in_a_storm_with_a_service_that_deduplicates_nothing_stays_in_doubt(tmp_path: Path) -> None:
    with Storm(Plan(SEED + 1, seconds=60, deduplicates=True), tmp_path) as storm:
        found = storm.blow()
    found.check()
    assert found.messages["unknown"] == 0
