"""Stops and deletes the benchmark's PostgreSQL when the benchmark ends, however it ends.

`python -m benchmarks.guard HOME`: waits for the end of its standard input, which is the other's life.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from mailer_cli.database import embedded


def main(home: Path) -> None:
    """Wait, stop the server, and remove what it left."""
    sys.stdin.read()
    place = embedded.status(home).home  # for root it may be elsewhere
    try:
        embedded.stop(home)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
