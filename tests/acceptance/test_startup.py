"""What is imported when: an idle tick every minute must stay light."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from conftest import CONFIGURED
from mailer_cli.database import Dsn

HEAVY = ("sqlmodel", "sqlalchemy", "alembic", "httpx", "aiohttp")
PROBE = """
import sys
from mailer_cli.cli import main
code = main(sys.argv[1:])
print([name for name in %r if name in sys.modules], file=sys.stderr)
sys.exit(code)
"""


def heavy_imports(tmp_path: Path, *argv: str, **env: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURED)}
    ended = subprocess.run(
        [sys.executable, "-c", PROBE % (HEAVY,), *argv],
        env=kept | {"HOME": str(tmp_path)} | env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stderr.strip()


def test_help_imports_neither_sqlmodel_alembic_nor_httpx(tmp_path: Path) -> None:
    assert heavy_imports(tmp_path, "--help") == "[]"


def test_an_idle_tick_imports_neither_sqlmodel_alembic_nor_httpx(tmp_path: Path, dsn: Dsn) -> None:
    assert heavy_imports(tmp_path, "dispatch", DATABASE_URL=dsn.address) == "[]"


def test_a_report_imports_neither_sqlmodel_alembic_nor_httpx(tmp_path: Path, dsn: Dsn) -> None:
    assert heavy_imports(tmp_path, "report", DATABASE_URL=dsn.address) in {
        "[]",
        "no mailings yet\n[]",
    } or heavy_imports(tmp_path, "report", DATABASE_URL=dsn.address).endswith("[]")
