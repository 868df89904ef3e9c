"""What may be kept of words from outside: one short, harmless line without secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass

ERROR_LIMIT = 200  # characters

_BEARER = re.compile(r"(?i)\bbearer\s+[\w.~+/=-]{16,}")
_PART_LIMIT = 8  # a shorter part of a token tells nothing, and may be a word


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """What an answer may quote from our request, and no report may."""

    token: str = ""
    phone: str = ""

    def mask(self, text: str) -> str:
        """Replace the token, its parts, and the phone however it is written."""
        text = _BEARER.sub("[token]", text)
        parts = [part for part in self.token.split(".") if len(part) >= _PART_LIMIT]
        for secret in filter(None, (self.token, *parts)):
            text = text.replace(secret, "[token]")
        if len(self.phone) > _PART_LIMIT:
            # Without the first digit, which some write as 8; and whatever stands between the others.
            text = re.sub(r"[^0-9]{0,3}".join(map(re.escape, self.phone[1:])), "[phone]", text)
        return text


def printable(text: str, limit: int = ERROR_LIMIT) -> str:
    """Make one line of a text: controls and whatever else cannot be seen are escaped, the rest is cut."""
    line = " ".join(text[: 8 * limit].split())
    shown = "".join(each if each.isprintable() else _escape(each) for each in line)
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
