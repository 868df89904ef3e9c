"""What README, .env.dist, crontab.example and --help say is true."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from command_tree import commands
from conftest import Mailer
from mailer_cli.settings import Settings

ROOT = Path(__file__).parents[2]


def test_env_dist_names_every_setting_and_no_other() -> None:
    named = re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.dist").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(name.upper() for name in Settings.model_fields)


def test_env_dist_shows_the_true_defaults() -> None:
    shown = dict(re.findall(r"^#(MAILER_[A-Z_]+)=(.+)$", (ROOT / ".env.dist").read_text(), re.MULTILINE))
    assert shown
    for name, value in shown.items():
        assert type(Settings.model_fields[name.lower()].default)(value) == getattr(Settings(), name.lower())


def test_the_crontab_line_runs_dispatch_every_minute() -> None:
    lines = [line for line in (ROOT / "crontab.example").read_text().splitlines() if not line.startswith("#")]
    assert lines == ["* * * * * /opt/mailer/.venv/bin/mailer dispatch"]


def test_the_two_readme_commands_are_there() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/mailer demo" in readme
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[dev]' && .venv/bin/pytest" in readme


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_has_help_that_fits_80_columns(
    path: tuple[str, ...], run: Mailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = run(*path, "--help")
    assert ended.code == 0
    assert "Usage: mailer " + " ".join(path) in ended.out
    assert max(map(len, ended.out.splitlines())) <= 80


def test_every_command_that_the_readme_types_exists() -> None:
    known = {" ".join(path) for path in commands()}
    readme = (ROOT / "README.md").read_text()
    typed = re.findall(r"^(?:\.venv/bin/)?mailer ([a-z]+(?: [a-z]+)?)", readme, re.MULTILINE)
    assert len(typed) >= 10
    for words in typed:
        assert words in known or words.split()[0] in known, words


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    shown = subprocess.run(
        [sys.executable, "-m", "mailer_cli", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert shown == f"mailer {project['version']}\n"
