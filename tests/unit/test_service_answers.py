"""What each answer of the message service means, whatever it consists of."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer_cli.errors import ConfigurationError
from mailer_cli.service import Accepted, Answer, InDoubt, Later, MessageService, Refused, TokenRejected
from mailer_cli.service.answers import judge, retry_after
from mailer_cli.service.texts import ERROR_LIMIT, Secrets, printable

OK = b'{"code": 0, "message": "OK"}'
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJuYW1lIjoib3BlcmF0b3IifQ.SflKxwRJSMeKKF2QT4fwpM"
PHONE = "79161234567"
SECRETS = Secrets(TOKEN, PHONE)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def error_of(outcome: Answer) -> str:
    assert not isinstance(outcome, Accepted)
    return outcome.error


@pytest.mark.parametrize("status", [200, 201, 202, 299])
@pytest.mark.parametrize(
    "body",
    [
        OK,
        b'{"code":0}',
        b' \n{"message": {"code": 5}, "code": 0, "more": [1, 2]}\n',
        b"\xef\xbb\xbf" + OK,
        b'{"code": -0}',
    ],
)
def test_2xx_with_code_0_is_accepted_whatever_else_the_object_holds(status: int, body: bytes) -> None:
    assert judge(status, {}, body) == Accepted(status)


def test_the_body_is_judged_and_not_its_content_type() -> None:
    assert judge(200, {"content-type": "text/html"}, OK) == Accepted(200)


@pytest.mark.parametrize(("code", "shown"), [(1, "1"), (-3, "-3"), (429, "429"), (10**300, "out of range")])
def test_2xx_with_another_code_is_refused_and_the_code_is_kept(code: int, shown: str) -> None:
    outcome = judge(200, {}, json.dumps({"code": code, "message": "no such number"}).encode())
    assert isinstance(outcome, Refused)
    assert outcome.http_status == 200
    assert f"code {shown}" in outcome.error
    assert "no such number" in judge(200, {}, b'{"code": 7, "message": "no such number"}').error  # type: ignore[union-attr]  # not Accepted


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"   ",
        b"<html><body>Welcome to the hotel Wi-Fi</body></html>",
        b"OK",
        b'{"code": 0, "mess',
        b'{"code": 0, "message": "\xff\xfe"}',
        OK.decode().encode("utf-16"),
        b'{"code": false}',
        b'{"code": "0"}',
        b'{"code": 0.0}',
        b'{"code": null}',
        b'{"code": [0]}',
        b'{"Code": 0}',
        b"[0]",
        b"0",
        b"null",
        b'{"code": ' + b"9" * 5000 + b"}",
        b'{"code": ' + b"[" * 30_000,
        b"[" * 60_000 + b"]" * 60_000,
        b'{"a":' * 10_000 + b"0" + b"}" * 10_000,
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff",
    ],
    ids=lambda body: repr(body)[:24],
)
def test_2xx_with_anything_else_is_in_doubt(body: bytes | None) -> None:
    outcome = judge(200, {}, body)
    assert isinstance(outcome, InDoubt)
    assert outcome.http_status == 200


@pytest.mark.parametrize(
    "status", [400, 402, 404, 405, 406, 409, 410, 411, 413, 415, 418, 421, 422, 451, 499]
)
def test_other_4xx_are_refused_for_good(status: int) -> None:
    assert isinstance(judge(status, {"retry-after": "5"}, OK), Refused)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [None, b"", OK, b'{"message": "expired"}'])
def test_401_and_403_mean_the_token_whatever_the_body(status: int, body: bytes | None) -> None:
    assert isinstance(judge(status, {}, body), TokenRejected)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
@pytest.mark.parametrize("body", [None, b"", OK, b"<html>busy</html>"])
def test_not_now_is_later_and_429_and_503_speak_for_the_whole_service(
    status: int, body: bytes | None
) -> None:
    outcome = judge(status, {"retry-after": "7"}, body)
    assert isinstance(outcome, Later)
    assert outcome.retry_after == 7
    assert outcome.whole_service == (status in {429, 503})


@pytest.mark.parametrize("status", [502, 504, 501, 505, 507, 520, 522, 524, 599, 600, 999, 100, 101, 199, 0])
def test_gateways_and_the_unheard_of_leave_the_message_in_doubt(status: int) -> None:
    assert isinstance(judge(status, {}, OK), InDoubt)


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308, 399])
def test_a_redirect_is_refused(status: int) -> None:
    assert isinstance(judge(status, {"location": "https://elsewhere.example/"}, OK), Refused)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("86401", 86_400),
        ("9" * 6000, 86_400),
        ("Mon, 23 Nov 2026 12:01:30 GMT", 90),
        ("Monday, 23-Nov-26 12:01:30 GMT", 90),
        ("Mon Nov 23 12:01:30 2026", 90),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("Mon, 23 Nov 2099 12:00:00 GMT", 86_400),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("١٢", None),
        ("soon", None),
        ("5 minutes", None),
        ("Mon, 99 Nov 2026 12:00:00 GMT", None),
        ("120, 240", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_by_the_services_own_clock(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text, "date": format_datetime(NOON, usegmt=True)}) == seconds


def test_without_a_date_of_the_services_the_hosts_clock_has_to_do() -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    for date in ({}, {"date": "nonsense"}):
        found = retry_after({"retry-after": until} | date)
        assert found is not None
        assert 90 <= found <= 100


@given(
    st.integers(0, 999),
    st.dictionaries(st.sampled_from(["retry-after", "date"]), st.text() | st.from_regex(r"[\w ,:+-]{0,40}")),
    st.none() | st.binary() | st.text().map(str.encode) | st.sampled_from([OK, b"{}"]),
)
def test_no_answer_whatsoever_raises_and_every_error_is_one_short_printable_line(
    status: int, headers: dict[str, str], body: bytes | None
) -> None:
    outcome = judge(status, headers, body, SECRETS)
    if isinstance(outcome, Accepted):
        return
    assert outcome.error.isprintable()
    assert 0 < len(outcome.error) <= ERROR_LIMIT
    outcome.error.encode()
    if isinstance(outcome, Later) and outcome.retry_after is not None:
        assert 0 <= outcome.retry_after <= 86_400


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_json_is_accepted_only_for_the_integer_code_0(value: object) -> None:
    for answer in (value, {"code": value}):
        accepted = isinstance(judge(200, {}, json.dumps(answer).encode()), Accepted)
        code = answer.get("code") if isinstance(answer, dict) else None
        assert accepted == (type(code) is int and code == 0)


@pytest.mark.parametrize("status", [200, 400, 401, 404, 500, 502, 503])
@pytest.mark.parametrize(
    "quoted",
    [
        TOKEN,
        f"Authorization: Bearer {TOKEN}",
        TOKEN.split(".")[2],
        "Bearer abcdefghijklmnopqrstuvwxyz0123456789",
        PHONE,
        "+7 (916) 123-45-67",
        "8 916 123 45 67",
        "x" * 100 + TOKEN,
        "x" * 110 + PHONE,
    ],
)
def test_what_an_answer_quotes_of_our_request_is_masked(status: int, quoted: str) -> None:
    error = error_of(
        judge(status, {}, json.dumps({"code": 5, "message": f"bad: {quoted}"}).encode(), SECRETS)
    )
    assert not any(part in error for part in (*TOKEN.split("."), "abcdefghij", "1234567", "123-45"))
    for cut in range(8, len(TOKEN), 7):
        assert TOKEN[:cut] not in error


def test_words_about_bearers_and_codes_are_left_alone() -> None:
    error = error_of(judge(400, {}, b"Bearer token expired, code 1234567", SECRETS))
    assert error == "HTTP 400: Bearer token expired, code 1234567"


def test_terminal_escapes_and_invisible_marks_are_shown_and_not_obeyed() -> None:
    assert printable("a\x1b[31mb\x00c\u202ed\U000e0001\r\ne") == r"a\x1b[31mb\x00c\u202ed\U000e0001 e"
    assert error_of(judge(400, {}, b"\x1b]0;pwned\x07\xff")) == r"HTTP 400: \x1b]0;pwned\x07\xff"
    assert "Слишком часто" in error_of(judge(429, {}, "Слишком часто".encode()))


@pytest.mark.parametrize(
    "token",
    ["", "two words", "line\nbreak", "carriage\r", "tab\t", "токен", "caf\u00e9", "nul\x00", "del\x7f"],
)
def test_a_token_that_fits_into_no_header_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(ConfigurationError, match="JWT_TOKEN") as caught:
        MessageService("http://service.example/", token, connections=1, timeout=1)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "service.example/send",
        "ftp://service.example/",
        "file:///etc/passwd",
        "http://",
        "http:///send",
        "https://:8025/",
        "http://service.example:99999/",
        "http://service.example/?id=",
        "http://service.example/#part",
        "http://user:hunter2@service.example/",
        "http://hunter2@service.example/",
        "http://[::1/",
        "http://ser vice.example/",
        "http://service.example/\nx",
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="MESSAGE_SERVICE_URL") as caught:
        MessageService(url, "token", connections=1, timeout=1)
    assert "hunter2" not in str(caught.value)


@given(st.text(max_size=40).map(lambda rest: f"http://{rest}") | st.text(max_size=40))
def test_no_address_whatsoever_raises_anything_but_a_configuration_error(url: str) -> None:
    from mailer_cli.service.configuration import checked_url

    try:
        checked = checked_url(url)
    except ConfigurationError:
        return
    assert checked.endswith("/")


def test_a_ca_file_that_is_none_is_named(tmp_path: Path) -> None:
    nonsense = tmp_path / "ca.pem"
    nonsense.write_text("nonsense")
    for path in (nonsense, tmp_path / "missing.pem"):
        with pytest.raises(ConfigurationError, match=path.name):
            MessageService("https://service.example/", "token", connections=1, timeout=1, ca_file=path)


def test_nothing_that_is_printed_shows_the_token() -> None:
    service = MessageService("https://service.example/", TOKEN, connections=1, timeout=1)
    printed = [repr(service), str(service), repr(SECRETS), repr(vars(service)["_headers"])]
    assert not any(TOKEN in text for text in printed)
