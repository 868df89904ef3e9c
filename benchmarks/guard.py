"""Stops the benchmark's PostgreSQL and deletes its folders when the benchmark ends, however it ends.

`python -m benchmarks.guard HOME SCRATCH`: waits for the end of its standard input, which is the other's life.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from mailer_cli.database import embedded


def main(home: Path, scratch: Path) -> None:
    """Wait, stop the server, and remove what it left."""
    sys.stdin.read()
    place = embedded.status(home).home  # for root it may be elsewhere
    try:
        embedded.stop(home)
    finally:
        for folder in (place, home, scratch):
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
