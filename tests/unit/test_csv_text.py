"""CSV: what is written is read back, and a spreadsheet executes none of it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer_cli import csv_text
from mailer_cli.cli import output
from mailer_cli.client_file import ClientFile, Row
from mailer_cli.clients import TAG_LIMIT, checked_tag
from mailer_cli.errors import InvalidValueError

COLUMNS = ("phone", "timezone", "tag", "operator_code")
STARTS = ("=", "+", "-", "@", "\t", "\r")


def kept(text: str) -> str | None:
    """A tag as the tool keeps it; None for one it refuses, or an empty one."""
    try:
        return checked_tag(text)
    except InvalidValueError:
        return None


# Formulas, apostrophes, quotes, separators and line ends far more often than chance has them.
tricky = st.text(st.one_of(st.sampled_from("'=+-@\t\r\n\",; aя😀\ufeff\u2028\x85\x1c"), st.characters()))
tags = st.one_of(tricky, st.text(max_size=TAG_LIMIT)).map(kept)


def written(*rows: Mapping[str, object]) -> str:
    stream = io.StringIO(newline="")
    output.records(list(rows[0]), rows, output.Format.CSV, stream)
    return stream.getvalue()


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("apostrophes", ["", "'", "'''"])
def test_a_formula_gets_one_apostrophe_and_loses_one(start: str, apostrophes: str) -> None:
    text = f"{apostrophes}{start}cmd|' /C calc'!A0"
    assert csv_text.guarded(text) == "'" + text
    assert csv_text.unguarded("'" + text) == text


@pytest.mark.parametrize("text", ["", "vip", "'", "'vip'", "a=b", " =b", "''", "UTC+03:00", "79161234567"])
def test_other_text_is_left_as_it_is(text: str) -> None:
    assert csv_text.guarded(text) == text
    assert csv_text.unguarded(text) == text


@given(tricky)
def test_a_text_is_given_back_and_its_cell_is_never_a_formula(text: str) -> None:
    cell = csv_text.guarded(text)
    assert not cell.startswith(STARTS)
    assert csv_text.unguarded(cell) == text


@given(st.lists(tricky, min_size=2, max_size=4), st.sampled_from(",;\t"))
@example(["a\rb", "\r"], ",")
@example(["a\r\nb", "\n"], ";")
def test_whatever_the_text_each_row_is_one_row_of_as_many_cells(row: list[str], delimiter: str) -> None:
    stream = io.StringIO(newline="")
    csv_text.Writer(stream, delimiter=delimiter).row(row)
    text = stream.getvalue()
    assert list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)) == [row]
    assert text.endswith("\n")
    assert not text.endswith("\r\n")


def test_numbers_and_times_are_not_text() -> None:
    text = written({"number": -1, "share": -0.5, "none": None, "yes": True, "tag": "-1"})
    assert text == "number,share,none,yes,tag\n-1,-0.5,,true,'-1\n"


def test_a_list_of_texts_is_text() -> None:
    assert cells(written({"tags": ["=a", "b"]})) == [["tags"], ["'=a,b"]]


def test_json_lines_have_the_text_as_it_is() -> None:
    stream = io.StringIO()
    output.records(["tag"], [{"tag": "=a"}], output.Format.JSONL, stream)
    assert stream.getvalue() == '{"tag": "=a"}\n'


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"7[0-9]{10}", fullmatch=True),
            st.sampled_from(["Europe/Moscow", "UTC", "UTC+03:00", "UTC-09:30", "Asia/Omsk"]),
            tags,
            st.from_regex(r"[0-9]{3}", fullmatch=True),
        ),
        min_size=1,
        max_size=4,
    )
)
@example([("79161234567", "UTC", "x\n" * (TAG_LIMIT // 2 - 1) + "x", "903")])
@example([("79161234567", "UTC", "x" + "\n" * (TAG_LIMIT - 2) + "x", "903")])
@example([("79161234567", "UTC", "x" + "\r" * (TAG_LIMIT - 2) + "x", "903")])
@example([("79161234567", "UTC", '"' * TAG_LIMIT, "903")])
@example([("79161234567", "UTC", "😀" * TAG_LIMIT, "903")])
def test_what_is_exported_is_imported_as_it_was(clients: list[tuple[str, str, str | None, str]]) -> None:
    text = written(*(dict(zip(COLUMNS, client, strict=True)) for client in clients))
    read = list(ClientFile(io.BytesIO(text.encode())).rows())
    assert all(isinstance(row, Row) for row in read)
    found = [(row.phone, row.timezone, row.tag, row.operator_code) for row in read if isinstance(row, Row)]
    assert found == clients
