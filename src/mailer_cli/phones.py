"""Phone numbers: what people write, to the `7XXXXXXXXXX` that the service takes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailer_cli.errors import InvalidValueError

ERASED = "erased"  # what stands where the number of somebody who was erased stood
FORM = "write 7XXXXXXXXXX, as in 79161234567"

_LENGTH = 11
_LONGEST = 64
# Only digits of another width are taken for digits: a superscript is a footnote, not a number.
_WIDTHS = str.maketrans("０１２３４５６７８９＋（）－．", "0123456789+()-.")
_SPACES = "\t \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
_DASHES = (
    r"\-\u058a\u05be\u1400\u1806\u2010-\u2015\u2043\u2212\u2e17\u2e1a\u2e3a\u2e3b\u2e40\u2e5d"
    r"\u301c\u3030\u30a0\ufe31\ufe32\ufe58\ufe63\U00010ead"
)
# Address books wrap numbers in invisible direction marks; web pages strew them with soft hyphens.
_INVISIBLE = "\u00ad\u200b-\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
_SEPARATORS = re.compile(f"[{_SPACES}{_DASHES}{_INVISIBLE}.()]+")
_DIGITS = re.compile(r"\+?[0-9]*")
_GAP = f"[{_SPACES}{_DASHES}{_INVISIBLE}.()/]{{0,3}}"
# With its 7 or 8 in front, or without, if it begins as a mobile number does; not within a longer number.
_IN_TEXT = re.compile(rf"(?<![0-9])(?:\+?7{_GAP}[0-9]|8{_GAP}[0-9]|\(?9)(?:{_GAP}[0-9]){{9}}(?![0-9])")
_HIDDEN = "•••"
_EXTENSION = re.compile(r"[0-9].*?(?:доб|вн|ext|x|х|#|\*|,|;)", re.IGNORECASE | re.DOTALL)


def normalise(text: str) -> str:
    """The number as `7XXXXXXXXXX`; a leading 8 is the 7 of a call within the country."""
    if len(text) == _LENGTH and text[0] == "7" and text.isascii() and text.isdigit():
        return text
    plain = _SEPARATORS.sub("", text[: _LONGEST + 1].strip().translate(_WIDTHS))
    if len(text) <= _LONGEST and _DIGITS.fullmatch(plain):
        digits = plain.lstrip("+")
        if len(digits) == _LENGTH and (digits[0] == "7" or plain[0] == "8"):
            return "7" + digits[1:]
    raise InvalidValueError("phone", f"{text[:30]!r} {_fault(text, plain)}: {FORM}")


def operator_code(phone: str) -> str:
    """The three digits after the 7 of a normalised number."""
    return phone[1:4]


def check_operator_code(text: str) -> str:
    """The code itself, if it is exactly three digits."""
    if len(text) == 3 and text.isascii() and text.isdigit():
        return text
    raise InvalidValueError("operator code", f"{text[:30]!r} is not three digits: write it as 916")


def mask(phone: str) -> str:
    """A normalised number fit for a log: enough to tell two apart, too little to call."""
    if is_erased(phone):
        return phone
    return f"{phone[:4]}{_HIDDEN}{phone[-4:]}" if len(phone) == _LENGTH else _HIDDEN


def mask_all(text: str) -> str:
    """A text with every phone in it masked, however people write it; other numbers are left alone."""
    return _IN_TEXT.sub(lambda found: mask(f"7{re.sub('[^0-9]', '', found[0])[-10:]}"), text)


def is_erased(phone: str) -> bool:
    """Tell whether this is no number any more: its client was erased."""
    return phone.startswith(ERASED)


def pattern(numbers: Iterable[str]) -> str:
    """A regular expression, for Python and PostgreSQL alike, of these numbers however people write them.

    Rather too much than too little: also within longer numbers.
    """
    return "|".join(r"(?:\+?[78][^0-9]{0,3})?" + "[^0-9]{0,3}".join(number[1:]) for number in sorted(numbers))


def _fault(text: str, plain: str) -> str:
    if len(text) > _LONGEST:
        return "is too long"
    if not plain:
        return "is empty"
    if not _DIGITS.fullmatch(plain):
        return _foreign(plain)
    return _miscounted(plain.lstrip("+"), abroad=plain[0] == "+")


def _foreign(plain: str) -> str:
    """What stands among the digits that should not."""
    if _EXTENSION.match(plain):
        return "has an extension or a second number, which a message cannot reach"
    stray = next(char for n, char in enumerate(plain) if char not in "0123456789" and (n or char != "+"))
    if stray.isalpha():
        return f"has letters ({stray!r})"
    return f"has {stray!r} in it"


def _miscounted(digits: str, *, abroad: bool) -> str:
    count = len(digits)
    if count == _LENGTH and abroad:
        return f"does not begin with +7 but +{digits[0]}"
    if count == _LENGTH:
        return f"does not begin with 7 or 8 but {digits[0]}"
    if count == _LENGTH - 1:
        return "has 10 digits, not 11: the country code 7 is missing"
    return f"is too {'short' if count < _LENGTH else 'long'}: {count} digits, not 11"
