"""Phone numbers as people write them."""

from __future__ import annotations

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer_cli import phones
from mailer_cli.errors import InvalidValueError


@pytest.mark.parametrize(
    "text",
    [
        "79161234567",
        "+79161234567",
        "89161234567",
        "+7 (916) 123-45-67",
        "8 916 123-45-67",
        "8(916)1234567",
        "7.916.123.45.67",
        "  +7 916 123 45 67\r\n",
        "+7\u00a0916\u202f123\u201145\u201167",  # no-break spaces and hyphens, as editors set them
        "8\u2013916\u2014123\u221245-67",  # en dash, em dash, minus
        "\u202a+7 916 123-45-67\u202c",  # as copied from an address book
        "\ufeff79161234567",  # the first field of a file with a byte order mark
        "＋７（９１６）１２３－４５－６７",
    ],
)
def test_a_number_is_understood_however_it_is_written(text: str) -> None:
    assert phones.normalise(text) == "79161234567"


def test_every_dash_and_space_of_unicode_separates() -> None:
    marks = [chr(code) for code in range(sys.maxunicode) if unicodedata.category(chr(code)) in {"Pd", "Zs"}]
    assert len(marks) > 35
    assert {phones.normalise(f"8{mark}916{mark}1234567") for mark in marks} == {"79161234567"}


def test_numbers_of_kazakhstan_are_numbers_too() -> None:
    assert phones.normalise("+7 701 123 45 67") == "77011234567"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (" - ", "is empty"),
        ("+", "too short: 0 digits"),
        ("791612345", "too short: 9 digits"),
        ("9161234567", "has 10 digits, not 11: the country code 7 is missing"),
        ("791612345678", "too long: 12 digits"),
        ("7" * 1000, "is too long"),
        ("19161234567", "does not begin with 7 or 8 but 1"),
        ("+8 916 123-45-67", r"does not begin with \+7 but \+8"),
        ("+19161234567", r"does not begin with \+7 but \+1"),
        ("7916abc4567", "has letters"),
        ("тел. 89161234567", "has letters"),
        ("8 916 123-45-67 доб. 12", "extension"),
        ("89161234567 ext 5", "extension"),
        ("89161234567x5", "extension"),
        ("89161234567, 89161234568", "second number"),
        ("8916/1234567", "has '/' in it"),
        ("++79161234567", r"has '\+' in it"),
        ("7+9161234567", r"has '\+' in it"),
        ("7916123456\u00b2", "has '²' in it"),  # a footnote, not a digit
        ("7916123456٧", "has '٧' in it"),
        ("٧٩١٦١٢٣٤٥٦٧", "has '٧' in it"),
        ("7916123\x004567", r"has '\\x00' in it"),
        ("7916\n1234567", r"has '\\n' in it"),
    ],
)
def test_what_is_no_number_is_refused_with_the_fault_and_the_form(text: str, reason: str) -> None:
    with pytest.raises(
        InvalidValueError, match=f"{reason}.*: write 7XXXXXXXXXX, as in 79161234567"
    ) as refusal:
        phones.normalise(text)
    assert refusal.value.field == "phone"


@given(text=st.text("0123456789778+-() \u00a0\u202aдx\x1b", max_size=80))
def test_any_text_becomes_a_number_or_a_printable_refusal(text: str) -> None:
    try:
        said = phones.normalise(text)
    except InvalidValueError as refusal:
        said = str(refusal)
    assert said.isprintable()
    assert len(said) < 400
    assert re.fullmatch("7[0-9]{10}|phone: .*", said)


@given(digits=st.text("0123456789", min_size=10, max_size=10), data=st.data())
def test_separators_never_change_the_digits(digits: str, data: st.DataObject) -> None:
    marks = data.draw(st.lists(st.text(" -().\u00a0\u2011", max_size=3), min_size=10, max_size=10))
    written = "".join(digit + mark for digit, mark in zip(digits, marks, strict=True))
    assert phones.normalise(f"8{written}") == f"7{digits}"
    assert phones.normalise(f"+7 {written}") == f"7{digits}"


def test_the_operator_code_is_the_three_digits_after_the_seven() -> None:
    assert phones.operator_code("79161234567") == "916"


def test_three_digits_are_an_operator_code() -> None:
    assert phones.check_operator_code("916") == "916"
    assert phones.check_operator_code("007") == "007"


@pytest.mark.parametrize("text", ["", "91", "9161", "9a6", " 916", "٩١٦", "²²²"])
def test_anything_else_is_no_operator_code(text: str) -> None:
    with pytest.raises(InvalidValueError, match="three digits"):
        phones.check_operator_code(text)


def test_a_masked_number_cannot_be_called() -> None:
    assert phones.mask("79161234567") == "7916•••4567"
    assert phones.mask("4567") == "•••"


@pytest.mark.parametrize(
    "written",
    [
        *("79161234567", "+79161234567", "89161234567", "9161234567", "+7 (916) 123-45-67"),
        *(
            "8 916 123 45 67",
            "8(916)1234567",
            "916 123-45-67",
            "7.916.123.45.67",
            "+7\u00a0916\u2011123-45-67",
        ),
    ],
)
def test_a_phone_in_a_text_is_masked_however_it_is_written(written: str) -> None:
    masked = phones.mask_all(f"asked by {written}, twice")
    assert masked.replace("(", "") == "asked by 7916•••4567, twice"


@pytest.mark.parametrize(
    "text",
    [
        *("HTTP 503 Service Unavailable", "2026-11-23T10:00:05.123456Z", "message 12884901893", ""),
        *("100000000000 of 5", "id 791612345678", "0123456789", "[phone]", "10.0.0.1:54321"),
    ],
)
def test_other_numbers_are_left_alone(text: str) -> None:
    assert phones.mask_all(text) == text


def test_every_phone_of_a_text_is_masked() -> None:
    assert phones.mask_all("79161234567,79161234568") == "7916•••4567,7916•••4568"


def test_what_stands_for_an_erased_number_is_shown_as_it_is() -> None:
    for text in ("erased", "erased 5", "erased 1234", "erased 4294967295"):
        assert phones.mask(text) == text
        assert phones.mask_all(text) == text
        assert phones.is_erased(text)
    assert not phones.is_erased("79161234567")


@pytest.mark.parametrize(
    "written",
    [
        "79161234567",
        "+7 (916) 123-45-67",
        "8-916-123-45-67",
        "9161234567",
        "916 123 45 67",
        "7\u00a0916\u00a0123.4567",
    ],
)
def test_a_pattern_finds_a_number_however_it_is_written(written: str) -> None:
    found = re.compile(phones.pattern(["79161234567", "79050000000"]))
    assert found.sub("*", f"call {written}, or 79161234568") == "call *, or 79161234568"
