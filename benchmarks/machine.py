"""What the figures were taken on: a rate means nothing without it."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

OURS = ("aiohttp", "httpx", "psycopg")


def described() -> dict[str, str]:
    """Machine, interpreter, commit and day."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    ours = ", ".join(f"{name} {metadata.version(name)}" for name in OURS)
    return {
        "Date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "Commit": commit(),
        "Machine": f"{os.cpu_count()} cores, {processor()}, {memory()} of memory",
        "System": f"{platform.system()} {platform.release()}; load when it began: {load}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "mailer": f"{metadata.version('mailer-cli')} with {ours}",
    }


def commit() -> str:
    """The commit of the working directory, and whether it was changed since."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        name = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name.stdout.decode().strip() + (", changed since" if changed.stdout.strip() else "")


def processor() -> str:
    """The model of the processor."""
    return _line("/proc/cpuinfo", "model name") or platform.machine()


def memory() -> str:
    """How much there is."""
    kilobytes = _line("/proc/meminfo", "MemTotal").partition(" ")[0]
    return f"{int(kilobytes) / 2**20:.0f} GiB" if kilobytes else "?"


def _line(file: str, key: str) -> str:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return ""
    values = (line.partition(":")[2].strip() for line in lines if line.startswith(key))
    return next(values, "")
