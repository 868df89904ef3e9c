"""What a command holds in memory at most, measured in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mailer_cli.database import Dsn

_PROGRAM = """
import sys; from pathlib import Path; from mailer_cli.cli import main
code = main(sys.argv[2:])
peak = next(line.split()[1] for line in Path('/proc/self/status').open() if line.startswith('VmHWM'))
Path(sys.argv[1]).write_text(peak)
sys.exit(code)
"""


def lines_and_peak(dsn: Dsn, home: Path, *argv: str) -> tuple[int, int]:
    """How many lines a command writes to a pipe, and its peak in kB."""
    told = home / "peak"
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(told), *argv],
        stdout=subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "DATABASE_URL": dsn.address},
        cwd=home,
    ) as running:
        assert running.stdout is not None
        lines = sum(1 for _ in running.stdout)
    assert running.returncode == 0
    return lines, int(told.read_text())
