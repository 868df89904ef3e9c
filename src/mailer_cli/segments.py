"""How many SMS a text takes: 160 letters of GSM 03.38 fit into one, but 70 once any other is used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

# Escape is not a letter; the euro and the brackets are sent as an escape and a letter.
_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_ESCAPED = frozenset("\f^{}\\[~]|€")
_GSM = _BASIC | _ESCAPED
_LAST_OF_ONE_UNIT = "\uffff"


@dataclass(frozen=True, slots=True)
class Segments:
    """The measure of one text."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int  # septets, or UTF-16 code units
    count: int  # what is paid for; 0 for an empty text
    forced_by: str | None = None  # the first character outside GSM 03.38
    forced_at: int | None = None  # and its place in the text, from 0


def measure(text: str) -> Segments:
    """The segments that a text is cut into."""
    for place, char in enumerate(text):
        if char not in _GSM:
            widths = [2 if each > _LAST_OF_ONE_UNIT else 1 for each in text]
            return Segments("UCS-2", sum(widths), _count(widths, alone=70, joined=67), char, place)
    widths = [2 if each in _ESCAPED else 1 for each in text]
    return Segments("GSM-7", sum(widths), _count(widths, alone=160, joined=153))


def _count(widths: Iterable[int], *, alone: int, joined: int) -> int:
    """Fill segment after segment; the two halves of one character are never parted."""
    total = filled = 0
    count = 1
    for width in widths:
        total += width
        filled += width
        if filled > joined:
            count += 1
            filled = width
    return count if total > alone else min(total, 1)
