"""The virtual environment of the peers: made on first use, remade when peers.txt changes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PINS = HERE / "peers.txt"
FOLDER = HERE / ".venv"
PYTHON = FOLDER / "bin" / "python"
LIMIT = 600.0  # seconds for an installation
ASK = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
)


@dataclass(frozen=True, slots=True)
class Peers:
    """The peers that could be had, by their names, with their versions."""

    versions: dict[str, str]

    @property
    def python(self) -> str:
        """The interpreter that has them."""
        return str(PYTHON)


def prepare() -> Peers:
    """Make the environment unless it is there, and tell what is in it."""
    stamp = FOLDER / "made-from.txt"
    if not stamp.exists() or stamp.read_text() != PINS.read_text():
        _make()
        stamp.write_text(PINS.read_text())
    if not PYTHON.exists():
        return Peers({})
    answer = subprocess.run([PYTHON, "-c", ASK], capture_output=True, text=True, check=True).stdout
    found: dict[str, str] = json.loads(answer)
    return Peers({name: found[name] for name in pins() if name in found})


def pins() -> dict[str, str]:
    """The requirements by the names of their packages."""
    lines = [line.strip() for line in PINS.read_text().splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    return {line.partition("==")[0].partition("[")[0]: line for line in wanted}


def _make() -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", FOLDER], check=True, timeout=LIMIT)
    if not _install(*pins().values()):
        for requirement in pins().values():  # one that cannot be had must not cost us the others
            _install(requirement)


def _install(*requirements: str) -> bool:
    options = ["--quiet", "--disable-pip-version-check"]
    command = [str(PYTHON), "-m", "pip", "install", *options, *requirements]
    return subprocess.run(command, check=False, timeout=LIMIT, capture_output=True).returncode == 0
