"""What the sandbox has accepted, in a file that is only ever appended to."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mailer_cli.errors import ConfigurationError


class Ledger:
    """Appends a line for each accepted message, before the message is answered."""

    def __init__(self, path: Path | None) -> None:
        self._file = None if path is None else _open(path)

    def write(self, message_id: int, phone: int, text: str, *, authorised: bool) -> None:
        """Remember one message; a single write, so that a line is whole or missing even after a kill."""
        if self._file is None:
            return
        entry = {
            "id": message_id,
            "phone": phone,
            "text": text,
            "time": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "authorised": authorised,
        }
        os.write(self._file, (json.dumps(entry, ensure_ascii=False) + "\n").encode())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a ledger; a last line that a full disk cut short is left out."""
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1] if line]


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(f"the ledger {path} cannot be written: {error.strerror}") from None
