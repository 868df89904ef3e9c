"""What contributors are told is so: the checks are the same everywhere, paths and licences as they are."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "mailer_cli"


def test_the_hooks_are_the_checks_of_ci() -> None:
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    hooks = [hook["entry"] for hook in repository["hooks"]]
    run = (ROOT / ".ci" / "run").read_text()
    checks = re.findall(r"^(\.venv/bin/(?:ruff|mypy|lint-imports|deptry).*)$", run, re.MULTILINE)
    assert hooks == checks
    assert len(hooks) == 5


def test_every_path_that_contributors_are_told_of_exists() -> None:
    told = re.findall(r"`([\w./-]+/[\w./-]+)`", (ROOT / "CONTRIBUTING.md").read_text())
    paths = {path for path in told if not path.startswith(".venv") and "test_report.py" not in path}
    assert len(paths) > 8
    assert {path for path in paths if not ((ROOT / path).exists() or (SOURCE / path).exists())} == set()


def test_whatever_there_is_has_its_place_in_the_map() -> None:
    design = (ROOT / "docs" / "design.md").read_text()
    table = design[design.index("## Where things live") : design.index("## Decisions")]
    there = {path.stem for path in SOURCE.iterdir() if not path.name.startswith(("_", "py."))}
    assert {name for name in there if f"`{name}`" not in table and f"`{name}/`" not in table} == set()


def test_every_package_that_is_needed_is_listed_with_its_licence() -> None:
    listed = set(
        re.findall(r"^\| ([a-z0-9-]+) \|", (ROOT / "docs" / "licences.md").read_text(), re.MULTILINE)
    )
    needed = runpy.run_path(str(ROOT / "tools" / "licences.py"))["needed"]()
    assert needed.keys() <= listed
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {re.split(r"[\[><=]", each)[0] for each in declared} <= listed
