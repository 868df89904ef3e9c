"""What docs/cron.md says is true."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mailer_cli import runlog, settings, troubles
from mailer_cli.cli import unattended
from mailer_cli.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "cron.md").read_text(encoding="utf-8")


def test_the_systemd_units_are_what_systemd_takes(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze: apt install systemd")
    service, timer = re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL)
    # The program and its user are not here.
    there = service.replace("/opt/mailer/.venv/bin/mailer", "/bin/true").replace("User=mailer", "User=root")
    (tmp_path / "mailer.service").write_text(there)
    (tmp_path / "mailer.timer").write_text(timer)
    units = [str(tmp_path / name) for name in ("mailer.service", "mailer.timer")]
    told = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (told.returncode, [line for line in told.stderr.splitlines() if str(tmp_path) in line]) == (0, [])


def test_the_numbers_are_the_programs() -> None:
    assert "again after an hour (`MAILER_REMIND`" in PAGE
    assert settings.REMIND == 3600
    assert "not seen for five minutes (a twelfth" in PAGE
    assert troubles.CALM == 12
    assert "one mebibyte and keeps five" in PAGE
    assert (runlog.MOST, runlog.KEPT) == (2**20, 5)
    assert "three or more messages" in PAGE
    assert unattended.FEW == 3
    assert "more than ten minutes" in PAGE
    assert unattended.LONG.total_seconds() == 600


def test_every_setting_it_names_exists() -> None:
    named = set(re.findall(r"\b(?:MAILER|DB|POSTGRES|MESSAGE_SERVICE|JWT)_[A-Z_]+\b", PAGE))
    assert named
    assert named <= {name.upper() for name in Settings.model_fields}
