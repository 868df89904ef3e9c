"""What the sandbox has accepted, in a file that is only ever appended to."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mailer_cli.errors import ConfigurationError
from mailer_cli.sandbox.requests import Request


class Ledger:
    """Appends a line for each accepted message, before the message is answered."""

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else _open(path)

    def write(self, accepted: Request) -> None:
        """Remember one message; a single write, so that a line is whole or missing even after a kill."""
        if self._file is None:
            return
        entry = {
            "id": accepted.id,
            "phone": accepted.phone,
            "text": accepted.text,
            "time": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "authorised": accepted.authorised,
        }
        line = (json.dumps(entry) + "\n").encode()
        if os.write(self._file, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a ledger; a line that a crash cut short was never answered, and is left out."""
    if not path.exists():
        return []
    return [entry for line in path.read_bytes().split(b"\n") if (entry := _entry(line)) is not None]


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _open(path: Path) -> int:
    try:
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigurationError(f"the ledger {path} cannot be written: {error.strerror}") from None
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        os.write(file, b"\n")  # the last line was cut short: ours must not be its continuation
    return file
