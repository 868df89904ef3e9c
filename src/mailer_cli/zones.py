"""Time zone names: which are accepted, what each means, and what was probably meant by the others.

Everything comes from the `tzdata` package of this environment, so that two hosts with different
system files read the same wall clock alike.
"""

from __future__ import annotations

import re
from datetime import timedelta, timezone, tzinfo
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

from mailer_cli.errors import InvalidValueError

EXAMPLE = "name a place, such as Europe/Moscow"

# tzdata keeps some abbreviations as names of zones with rules of their own (EST never has summer
# time): whoever writes one means a place. The values are what to suggest.
_ABBREVIATIONS = {
    "CET": "Europe/Berlin",
    "EET": "Europe/Athens",
    "EST": "America/New_York",
    "HST": "Pacific/Honolulu",
    "MET": "Europe/Berlin",
    "MSK": "Europe/Moscow",
    "MST": "America/Denver",
    "WET": "Europe/Lisbon",
}
_NO_PLACE = frozenset({"Factory", "localtime", "posixrules"})
_HOST_COPIES = ("posix/", "right/")
_OFFSET = re.compile(
    r"(?:UTC|GMT|Z)?\s*(?P<sign>[+\-\u2212])\s*(?P<hours>[0-9]{1,2})(?::?(?P<minutes>[0-9]{2}))?",
    re.IGNORECASE,
)
_ABBREVIATION = re.compile(r"[A-Za-z]{2,4}|[A-Z]{5}")
_LONGEST_WORTH_A_SUGGESTION = 64


@cache
def zone_names() -> frozenset[str]:
    """Every IANA name that is accepted; the tool's own `UTC+03:00` kind is not among them."""
    from importlib.resources import files

    names = files("tzdata").joinpath("zones").read_text(encoding="ascii").split()
    return frozenset(names) - _NO_PLACE - _ABBREVIATIONS.keys()


def tzdata_version() -> str:
    """The IANA release in use, such as 2026f."""
    import tzdata  # type: ignore[import-untyped]  # the package ships no type information

    return str(tzdata.IANA_VERSION)


def canonical_zone(name: str, field: str = "timezone") -> str:
    """The name itself, if it is an accepted name in its own spelling; the refusal suggests one."""
    if is_known(name):
        return name
    raise InvalidValueError(field, _refusal(name))


def find_zone(name: str, field: str = "timezone") -> tzinfo:
    """The rules of an accepted zone; the same object each time."""
    return _load(canonical_zone(name, field))


def is_known(name: str) -> bool:
    """Tell whether a name is accepted: what is stored was, once, or by a newer tzdata elsewhere."""
    return name in zone_names() or name in _fixed_zones()


@cache
def _load(name: str) -> tzinfo:
    from importlib.resources import files

    if (fixed := _fixed_zones().get(name)) is not None:
        return fixed
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as rules:
        return ZoneInfo.from_file(rules, key=name)


@cache
def _fixed_zones() -> dict[str, timezone]:
    """`UTC-12:00` to `UTC+14:00` by the quarter hour; plus is east, and zero is just `UTC`."""
    quarters = (timedelta(minutes=15 * n) for n in range(-12 * 4, 14 * 4 + 1))
    zones = (timezone(offset) for offset in quarters)
    return {str(zone): zone for zone in zones}


@lru_cache(maxsize=1024)  # an import may repeat one misspelling a million times
def _refusal(name: str) -> str:
    plain = name.strip()
    shown = f"{name[:40]!r}"
    if not plain:
        return f"no zone is given: {EXAMPLE}"
    if len(plain) > _LONGEST_WORTH_A_SUGGESTION:
        return f"{shown}... is not a zone: {EXAMPLE}"
    if offset := _OFFSET.fullmatch(plain):
        return _refused_offset(shown, offset)
    if plain in _NO_PLACE:
        return f"{shown} stands for no place: {EXAMPLE}"
    if plain.startswith(_HOST_COPIES):
        return f"{shown} is a host's copy of a zone: {_hint(_same_letters(plain.partition('/')[2]))}"
    return _refused_name(shown, plain)


def _refused_name(shown: str, plain: str) -> str:
    if place := _ABBREVIATIONS.get(plain.upper()):
        return f"{shown} is an abbreviation, not a place: did you mean {place}?"
    if same := _same_letters(plain):
        return f"{shown} is not an IANA name: {_hint(same)}"
    if _ABBREVIATION.fullmatch(plain):
        return f"{shown} is not an IANA name, and abbreviations are shared by several zones: {EXAMPLE}"
    return f"{shown} is not an IANA name: {_hint(_similar(plain))}"


def _refused_offset(shown: str, offset: re.Match[str]) -> str:
    sign = "+" if offset["sign"] == "+" else "-"
    name = f"UTC{sign}{int(offset['hours']):02}:{offset['minutes'] or '00'}"
    if name.endswith("00:00"):
        return f"{shown} is not a zone: did you mean UTC?"
    if name in _fixed_zones():
        side = "east" if sign == "+" else "west"
        return f"{shown} means opposite things to programs: did you mean {name}, {side} of Greenwich?"
    return f"{shown} is not an offset in use: UTC-12:00 to UTC+14:00 by the quarter hour, or {EXAMPLE}"


def _hint(names: list[str]) -> str:
    return f"did you mean {' or '.join(names)}?" if names else EXAMPLE


def _same_letters(text: str) -> list[str]:
    """The names that differ in case or spaces alone, else those of which it is the last part."""
    wanted = _folded(text)
    whole = [name for name in _everything() if name.casefold() == wanted]
    return whole or [name for name in _everything() if _place(name) == wanted]


def _similar(text: str) -> list[str]:
    from difflib import get_close_matches

    wanted = _folded(text)
    spelling = str.casefold if "/" in text else _place
    known = {spelling(name) for name in _everything()}
    nearest = get_close_matches(wanted, known, n=1, cutoff=0.75)
    return [name for name in _everything() if spelling(name) in nearest]


def _everything() -> list[str]:
    return sorted(zone_names() | _fixed_zones().keys())


def _folded(text: str) -> str:
    return "_".join(text.casefold().split())


def _place(name: str) -> str:
    return name.rpartition("/")[2].casefold()
