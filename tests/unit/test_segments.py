"""How many SMS a text takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer_cli.segments import Segments, measure

ESCAPED = "\f^{}\\[~]|€"


@pytest.mark.parametrize(
    ("text", "units", "count"),
    [
        ("", 0, 0),
        ("a", 1, 1),
        ("a" * 160, 160, 1),
        ("a" * 161, 161, 2),
        ("a" * 306, 306, 2),
        ("a" * 307, 307, 3),
        ("@£$¥\n\r Δ_ΦΓ", 11, 1),
        ("€" * 80, 160, 1),
        ("€" * 81, 162, 2),
        ("a" * 159 + "€", 161, 2),
        ("€" * 76 + "a" + "€" * 76 + "a", 306, 2),
        ("a" * 152 + "€" + "a" * 152, 306, 3),  # the pair does not fit into the last place of the first
        ("€" * 153, 306, 3),  # nor does the 77th of these
    ],
)
def test_the_basic_alphabet_goes_160_to_one_and_153_to_each_of_several(
    text: str, units: int, count: int
) -> None:
    assert measure(text) == Segments("GSM-7", units, count)


@pytest.mark.parametrize(
    ("text", "units", "count"),
    [
        ("я", 1, 1),
        ("я" * 70, 70, 1),
        ("я" * 71, 71, 2),
        ("я" * 134, 134, 2),
        ("я" * 135, 135, 3),
        ("😀" * 35, 70, 1),
        ("😀" * 36, 72, 2),
        ("😀" + "я" * 65 + "😀", 69, 1),
        ("я" * 66 + "😀" + "я" * 66, 134, 3),  # a pair of surrogates is not parted
        ("😀" * 67, 134, 3),
        ("\ud800", 1, 1),  # half a pair, which a broken file may hold
    ],
)
def test_other_letters_go_70_to_one_and_67_to_each_of_several(text: str, units: int, count: int) -> None:
    measured = measure(text)
    assert (measured.encoding, measured.units, measured.count) == ("UCS-2", units, count)


@pytest.mark.parametrize(
    ("text", "char", "place"),
    [("Cafè — открыто", "—", 5), ("ok ’", "’", 3), ("😀", "😀", 0), ("a\tb", "\t", 1)],
)
def test_the_first_letter_that_forces_the_wider_encoding_is_named(text: str, char: str, place: int) -> None:
    measured = measure(text)
    assert (measured.forced_by, measured.forced_at) == (char, place)
    assert text[place] == char


def test_the_default_alphabet_has_127_letters_and_ten_more_by_escape() -> None:
    single = [chr(code) for code in range(0x10000) if measure(chr(code)) == Segments("GSM-7", 1, 1)]
    double = [chr(code) for code in range(0x10000) if measure(chr(code)) == Segments("GSM-7", 2, 1)]
    assert len(single) == 127
    assert sorted(double) == sorted(ESCAPED)
    assert "\x1b" not in single  # escape itself is no letter
    assert "`" not in single


@given(text=st.text("aБ€😀", max_size=400))
def test_segments_hold_the_text_and_none_is_wasted(text: str) -> None:
    measured = measure(text)
    alone, joined = (160, 153) if measured.encoding == "GSM-7" else (70, 67)
    if measured.encoding == "UCS-2":
        assert measured.units == len(text.encode("utf-16-le")) // 2
    if measured.units <= alone:
        assert measured.count == min(1, len(text))
    else:
        least = -(-measured.units // joined)
        most = -(-measured.units // (joined - 1))  # each may leave one place empty
        assert least <= measured.count <= most
