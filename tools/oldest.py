"""Print the oldest release of each dependency that pyproject.toml allows, as constraints for pip."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

PROJECT = Path(__file__).parent.parent / "pyproject.toml"

for text in tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]:
    wanted = Requirement(text)
    (oldest,) = (each.version for each in wanted.specifier if each.operator == ">=")
    sys.stdout.write(f"{wanted.name}=={oldest}\n")
