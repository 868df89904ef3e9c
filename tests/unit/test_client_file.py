"""Reading a file of clients: encodings, delimiters, headers, and rows that cannot be used."""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailer_cli.client_file import ClientFile, Reject, Row, detect_delimiter, read_header
from mailer_cli.client_file.lines import LINE_LIMIT, ROW_LINES, SAMPLE, checked_encoding, detect_encoding
from mailer_cli.errors import InvalidValueError

HEADER = "phone,timezone,tag\n"


class Trickle(io.RawIOBase):
    """A pipe of which each read gives a few bytes only, as from a slow program."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int = -1, /) -> bytes:  # type: ignore[explicit-override]  # typing has it from 3.12 on
        given, self._data = self._data[: min(size, 7)], self._data[min(size, 7) :]
        return given


def read(data: str | bytes, **options: str) -> list[Row | Reject]:
    content = data.encode() if isinstance(data, str) else data
    return list(ClientFile(io.BytesIO(content), **options).rows())


def rows(data: str | bytes) -> list[Row]:
    return [row for row in read(data) if isinstance(row, Row)]


def rejects(data: str | bytes) -> list[Reject]:
    return [row for row in read(data) if isinstance(row, Reject)]


def refusal(data: str | bytes, **options: str) -> str:
    with pytest.raises(InvalidValueError) as refused:
        read(data, **options)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("phone,тег\n", "utf-8"),
        ("phone,тег\n", "utf-8-sig"),
        ("phone,тег\n", "cp1251"),
        ("phone,tag\n", "utf-8"),
        ("Ё", "cp1251"),
    ],
)
def test_the_encoding_is_told_from_the_bytes(text: str, encoding: str) -> None:
    assert detect_encoding(text.encode(encoding)) == encoding


def test_a_letter_cut_by_the_end_of_the_sample_is_no_fault() -> None:
    assert detect_encoding("phone,тег".encode()[:-1], whole=False) == "utf-8"


def test_a_last_byte_that_is_half_a_letter_is_one_where_the_file_ends_there() -> None:
    assert detect_encoding(b"phone,\xe0", whole=True) == "cp1251"


def test_one_bad_byte_among_good_letters_does_not_make_the_file_another_encoding() -> None:
    text = HEADER.encode() + "79160000001,UTC,вип\n".encode() + b"79160000002,UTC,\xff\n"
    [row] = rows(text)
    [reject] = rejects(text)
    assert (row.tag, reject.line, reject.field) == ("вип", 3, "tag")


def test_the_sample_is_whole_however_slowly_it_arrives() -> None:
    source = Trickle(HEADER.encode() + b"79160000001,UTC,\xe2\xe8\xef\n")
    file = ClientFile(source)  # type: ignore[arg-type]  # any readable bytes will do
    assert file.encoding == "cp1251"
    assert [row.tag for row in file.rows() if isinstance(row, Row)] == ["вип"]


def test_utf_16_is_refused_with_the_way_out() -> None:
    assert "save it as UTF-8" in refusal(HEADER.encode("utf-16"))


@pytest.mark.parametrize("name", ["base64", "utf-16", "utf-32", "nonsense", "a\x00b", "rot13"])
def test_what_is_no_encoding_of_text_is_refused(name: str) -> None:
    with pytest.raises(InvalidValueError, match="utf-8 and cp1251"):
        checked_encoding(name)


@pytest.mark.parametrize(("name", "found"), [("UTF8", "utf-8"), ("windows-1251", "cp1251")])
def test_an_encoding_may_be_called_what_people_call_it(name: str, found: str) -> None:
    assert checked_encoding(name) == found


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_told_from_the_header(delimiter: str) -> None:
    assert detect_delimiter(delimiter.join(("phone", "tag", "timezone"))) == delimiter


@pytest.mark.parametrize("delimiter", ["ab", '"', "\n", "7", "x"])
def test_what_cannot_separate_columns_is_refused(delimiter: str) -> None:
    assert "does not separate columns" in refusal(HEADER, delimiter=delimiter)


@pytest.mark.parametrize("written", ["tab", "\\t", "\t"])
def test_a_tab_may_be_written_in_words(written: str) -> None:
    [row] = read("phone\ttag\n79160000001\ta,b\n", delimiter=written)
    assert row == Row(2, "79160000001", None, "a,b", None)


@pytest.mark.parametrize(
    "columns",
    [
        ["phone", "timezone", "tag", "operator_code"],
        [" PHONE ", "Time Zone", "Tag", "Operator  Code"],
        ["Phone", "tz", "TAG", "operator"],
        ["phone", "time_zone", "tag", "code"],
        ["phone", "zone", "tag", "operator_code"],
        ["Телефон", "Часовой пояс", "Тег", "Код оператора"],
    ],
)
def test_columns_are_known_by_what_people_call_them(columns: list[str]) -> None:
    header = read_header(columns)
    assert (header.phone, header.timezone, header.tag, header.operator_code) == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it is empty"),
        ("\ufeff", "it is empty"),
        ("\n\n", "it is empty"),
        ("name,phone\n", "unknown column 'name'; leave it out, or rename it: phone, timezone, tag"),
        ("tag\n", "no column phone"),
        ("phone,tel,\n", "unknown column 'tel'"),
        ("phone,,\n", "column 2 has no name"),
        ("phone,Телефон\n", "two columns for phone"),
        ("79161234567,UTC\n", "the first line must name the columns"),
        ('phone,"tag\n79161234567,a\n', "a quote is not closed"),
        ("x" * (LINE_LIMIT + 5), "longer than 1000000 characters"),
    ],
)
def test_a_file_that_cannot_be_used_as_a_whole_says_why(text: str, told: str) -> None:
    assert told in refusal(text)


def test_a_row_is_normalised_and_says_null_where_the_file_says_nothing() -> None:
    text = "phone,timezone,tag,operator_code\n8 916 123-45-67, Asia/Omsk , вип ,\n79160000002,,,903\n"
    assert rows(text) == [
        Row(2, "79161234567", "916", "вип", "Asia/Omsk"),
        Row(3, "79160000002", "903", None, None),
    ]


def test_columns_that_are_not_there_are_null() -> None:
    assert rows("phone\n79160000001\n") == [Row(2, "79160000001", None, None, None)]


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ("7916,UTC,a", "phone", "too short"),
        ("79160000001,Europe/Moskow,a", "timezone", "did you mean Europe/Moscow?"),
        ("79160000001,UTC,a\x00b", "tag", "NUL"),
        ("79160000001,UTC," + "x" * 201, "tag", "201 characters"),
        ("79160000001,UTC", "row", "it has 2 cells where the header has 3"),
        ("79160000001,UTC,a,b", "row", "it has 4 cells"),
        ('79160000001,UTC,"a"b', "row", "a quote stands where it cannot"),
        ('79160000001,UTC,"a', "row", "a quote is opened and not closed"),
    ],
)
def test_a_row_that_cannot_be_used_is_rejected_with_line_field_and_reason(
    row: str, field: str, reason: str
) -> None:
    [reject] = rejects(f"{HEADER}79160000009,UTC,good\n{row}\n")
    assert (reject.line, reject.field) == (3, field)
    assert reason in reject.reason
    assert reject.cells


def test_blank_rows_are_nothing_to_speak_of() -> None:
    assert [row.line for row in read(f"{HEADER}\n,,\n   \n79160000001,UTC,a\n\n")] == [5]


def test_a_tag_may_span_lines_and_the_lines_are_counted_on() -> None:
    text = f'{HEADER}79160000001,UTC,"a\nb"\nnope,UTC,\n'
    assert [row.tag for row in rows(text)] == ["a\nb"]
    assert [reject.line for reject in rejects(text)] == [4]


def test_quotes_within_a_word_are_part_of_it() -> None:
    assert [row.tag for row in rows(f'{HEADER}79160000001,UTC,ООО "Ромашка"\n')] == ['ООО "Ромашка"']


@pytest.mark.parametrize("phone", ["+79160000001", "'+79160000001", "79160000001"])
def test_a_phone_is_read_with_a_plus_and_with_a_spreadsheets_apostrophe_before_it(phone: str) -> None:
    assert [row.phone for row in rows(f"phone\n{phone}\n")] == ["79160000001"]


@pytest.mark.parametrize(
    ("cell", "tag"),
    [("'=x", "=x"), ("''=x", "'=x"), ("=x", "=x"), ("'x", "'x"), ("'", "'"), ('"\'\tx"', "x")],
)
def test_the_apostrophe_before_a_formula_is_the_spreadsheets_not_the_tags(cell: str, tag: str) -> None:
    assert [row.tag for row in rows(f"{HEADER}79160000001,UTC,{cell}\n")] == [tag]


def test_the_cells_of_a_reject_are_as_they_are_meant() -> None:
    [reject] = rejects(f"{HEADER}'+7916,UTC,'=x\n")
    assert reject.cells == ["+7916", "UTC", "=x"]


def test_a_quote_that_is_not_closed_spoils_its_own_row_only() -> None:
    good = "".join(f"7916{n:07d},UTC,a\n" for n in range(3 * ROW_LINES))
    text = f'{HEADER}79170000000,UTC,"open\n{good}'
    assert len(rows(text)) == 3 * ROW_LINES
    assert [(reject.line, reject.cells) for reject in rejects(text)] == [(2, ["79170000000", "UTC", '"open'])]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_an_endless_line_spoils_itself_only(ending: str) -> None:
    text = ending.join(("phone,tag", "79160000001,a", "79160000002," + "x" * 3 * SAMPLE, "79160000003,c", ""))
    assert [row.phone for row in rows(text)] == ["79160000001", "79160000003"]
    assert [(reject.line, reject.reason) for reject in rejects(text)] == [
        (3, "it is longer than 1000000 characters")
    ]


def test_an_endless_line_within_an_open_quote_is_told_as_its_own() -> None:
    text = f'{HEADER}79160000001,UTC,"open\n{"x" * (LINE_LIMIT + 1)}\n79160000003,UTC,c\n'
    assert [(reject.line, reject.field) for reject in rejects(text)] == [(2, "row"), (3, "row")]
    assert [row.phone for row in rows(text)] == ["79160000003"]


def test_the_columns_of_a_rejects_file_are_read_over() -> None:
    assert rows("line,field,reason,phone\n3,phone,bad,79160000001\n") == [
        Row(2, "79160000001", None, None, None)
    ]


def test_the_position_ends_at_the_length_of_the_file() -> None:
    text = (HEADER + "79160000001,UTC,a\n" * 10).encode()
    file = ClientFile(io.BytesIO(text))
    assert len(list(file.rows())) == 10
    assert file.position == len(text)


@given(st.binary(max_size=300))
@example(b'"\n"\n"\n')
@example(b'1,2,"\r\r\n"')
def test_whatever_the_bytes_every_row_is_used_or_rejected(content: bytes) -> None:
    last = HEADER.encode() + content + b'"\n79161234567,UTC,last\n'
    found = read(last, encoding="utf-8")
    assert all(isinstance(row, (Row, Reject)) for row in found)
    lines = [row.line for row in found]
    assert lines == sorted(lines)
    assert found[-1].line <= last.decode("utf-8", "surrogateescape").count("\n") + last.count(b"\r")
