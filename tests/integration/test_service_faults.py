"""Every fault of the wire, over real sockets: what came of the message, and how often the server saw it.

The outcome alone proves nothing: a transport that quietly repeats a request, or calls a lost answer a
failed connection, would get a client two messages. So each test counts what the server has read.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import socket
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import wire
from mailer_cli.service import (
    Accepted,
    InDoubt,
    Later,
    MessageService,
    NotSent,
    Outcome,
    Refused,
    TokenRejected,
)
from wire import OK, Act, Wire, answer, close, hang, raw, reset

TOKEN = "a-token-that-must-never-show"
PHONE = "79161234567"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(OK)
WHOLE = HEAD + LENGTH + OK


def using(
    url: str,
    work: Callable[[MessageService], Awaitable[list[Outcome]]],
    *,
    timeout: float = 5.0,
    connections: int = 1,
    ca_file: Path | None = None,
) -> list[Outcome]:
    """Do some work with a message service, from start to end."""

    async def run() -> list[Outcome]:
        service = MessageService(url, TOKEN, connections=connections, timeout=timeout, ca_file=ca_file)
        async with service:
            return await work(service)

    return asyncio.run(run())


def send(url: str, messages: int = 1, *, pause: float = 0.0, **settings: float | Path) -> list[Outcome]:
    """Send messages 1, 2, … one after the other."""

    async def work(service: MessageService) -> list[Outcome]:
        outcomes = []
        for number in range(1, messages + 1):
            outcomes.append(await service.send(number, PHONE, "Привет"))
            await asyncio.sleep(pause)
        return outcomes

    return using(url, work, **settings)  # type: ignore[arg-type]  # the settings of using()


def refusing_url() -> str:
    """An address of this machine where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/send/"


@contextmanager
def unanswering_url() -> Iterator[str]:
    """An address that does not even shake hands: a listener whose queue is full, and nobody accepts."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/send/"


def texts(outcomes: list[Outcome]) -> str:
    return " ".join(each.error for each in outcomes if not isinstance(each, (Accepted, NotSent)))


# -- what is sent -----------------------------------------------------------------------------------


def test_the_request_is_the_contracts_and_holds_nothing_more() -> None:
    with Wire() as server:
        assert send(server.url, 1) == [Accepted(200)]
    [seen] = server.requests
    assert seen.target == "/send/1"
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["accept-encoding"] == "identity"
    assert set(seen.headers) == {
        "host",
        "authorization",
        "content-type",
        "content-length",
        "accept",
        "accept-encoding",
        "user-agent",
    }
    assert json.loads(seen.body) == {"id": 1, "phone": 79161234567, "text": "Привет"}


def test_a_missing_slash_is_added_to_the_address() -> None:
    with Wire() as server:
        send(server.url.rstrip("/"))
    assert [seen.target for seen in server.requests] == ["/send/1"]


def test_a_proxy_or_a_password_of_the_environment_never_gets_the_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with Wire() as server, Wire() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert send(server.url) == [Accepted(200)]
    assert proxy.connections == 0
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_cookies_are_not_kept() -> None:
    with Wire(then=answer("200 OK", OK, "Set-Cookie: session=1; Path=/")) as server:
        assert send(server.url, 2) == [Accepted(200)] * 2
    assert all("cookie" not in seen.headers for seen in server.requests)


def test_a_phone_that_is_no_number_is_refused_before_anything_is_sent() -> None:
    async def work(service: MessageService) -> list[Outcome]:
        return [await service.send(1, "seven", "Hello"), await service.send(2, PHONE, "\ud800 \x00")]

    with Wire() as server:
        refused, accepted = using(server.url, work)
    assert isinstance(refused, Refused)
    assert accepted == Accepted(200)
    assert len(server.requests) == 1


# -- answered ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("200 OK", Accepted),
        ("201 Created", Accepted),
        ("204 No Content", InDoubt),
        ("301 Moved", Refused),
        ("400 Bad Request", Refused),
        ("401 Unauthorized", TokenRejected),
        ("403 Forbidden", TokenRejected),
        ("404 Not Found", Refused),
        ("408 Request Timeout", Later),
        ("409 Conflict", Refused),
        ("413 Too Large", Refused),
        ("422 Unprocessable", Refused),
        ("425 Too Early", Later),
        ("429 Too Many", Later),
        ("500 Error", Later),
        ("502 Bad Gateway", InDoubt),
        ("503 Unavailable", Later),
        ("504 Gateway Timeout", InDoubt),
        ("520 Who Knows", InDoubt),
    ],
)
def test_each_status_is_answered_after_one_request(status: str, expected: type[Outcome]) -> None:
    body = b"" if status.startswith("204") else OK
    with Wire(then=answer(status, body, keep=False)) as server:
        [outcome] = send(server.url)
    assert type(outcome) is expected
    assert getattr(outcome, "http_status", None) == int(status[:3])
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["429 Too Many", "503 Unavailable"])
def test_retry_after_is_read_for_the_whole_service(status: str) -> None:
    date = "Date: Mon, 23 Nov 2026 12:00:00 GMT"
    until = "Retry-After: Mon, 23 Nov 2026 12:01:00 GMT"
    with Wire(answer(status, b"", "retry-after: 30"), answer(status, b"", date, until)) as server:
        outcomes = send(server.url, 2)
    assert [(each.retry_after, each.whole_service) for each in outcomes if isinstance(each, Later)] == [
        (30, True),
        (60, True),
    ]


@pytest.mark.parametrize("status", ["301", "302", "303", "307", "308"])
def test_a_redirect_is_never_followed_with_the_token(status: str) -> None:
    with Wire() as elsewhere:
        there = answer(f"{status} Moved", b"", f"Location: {elsewhere.url}1")
        here = answer(f"{status} Moved", b"", "Location: /other/1")
        with Wire(there, here) as server:
            outcomes = send(server.url, 2)
    assert [type(each) for each in outcomes] == [Refused, Refused]
    assert [seen.target for seen in server.requests] == ["/send/1", "/send/2"]
    assert elsewhere.connections == 0


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
READABLE = {
    "in good order": raw(WHOLE),
    "ended by closing": raw(HEAD + b"\r\n" + OK),
    "chunked": raw(CHUNKED + b"1c\r\n" + OK + b"\r\n0\r\n\r\n"),
    "after 1xx": raw(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n" + WHOLE),
    "byte by byte": raw(*[bytes([byte]) for byte in WHOLE], pause=0.001),
    "called gzip, but plain": answer("200 OK", OK, "Content-Encoding: gzip"),
    "called HTML, but JSON": answer("200 OK", OK, "Content-Type: text/html"),
}
UNREADABLE = {
    "switching protocols": raw(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: tcp\r\n\r\n"),
    "body cut off": raw(HEAD + LENGTH + OK[:-3]),
    "body cut off, no length": raw(HEAD + b"\r\n" + OK[:-3]),
    "last chunk missing": raw(CHUNKED + b"1c\r\n" + OK),
    "chunk of no size": raw(CHUNKED + b"zz\r\n" + OK),
    "two lengths": raw(HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + OK),
    "head cut off": raw(HEAD[:30]),
    "endless header": raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n" + OK),
    "not HTTP": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "noise": raw(b"\x00\xff" * 500),
    "HTML": answer("200 OK", b"<html>Welcome</html>", "Content-Type: text/html"),
    "empty": answer("200 OK", b""),
    "gzip": answer("200 OK", b"\x1f\x8b\x08" + bytes(60_000), "Content-Encoding: gzip"),
    "nested too deep": answer("200 OK", b"[" * 60_000),
    "too long": answer("200 OK", OK + b" " * 70_000),
}


@pytest.mark.parametrize("act", READABLE.values(), ids=READABLE)
def test_an_answer_that_can_be_read_is_believed(act: Act) -> None:
    with Wire(then=act) as server:
        assert send(server.url) == [Accepted(200)]
    assert len(server.requests) == 1


@pytest.mark.parametrize("act", UNREADABLE.values(), ids=UNREADABLE)
def test_an_answer_that_cannot_be_read_leaves_the_message_in_doubt(act: Act) -> None:
    with Wire(then=act) as server:
        [outcome] = send(server.url)
    assert isinstance(outcome, InDoubt)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "expected"), [("400 No", Refused), ("401 No", TokenRejected), ("503 No", Later)]
)
@pytest.mark.parametrize("body", [b"", b"{", bytes(70_000)], ids=["lost", "cut off", "too long"])
def test_a_status_stands_though_its_body_cannot_be_read(
    status: str, expected: type[Outcome], body: bytes
) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Length: 100000000\r\n\r\n".encode()
    with Wire(then=raw(head + body)) as server:
        [outcome] = send(server.url)
    assert isinstance(outcome, expected)
    assert len(server.requests) == 1


def test_a_body_without_end_is_not_read_on() -> None:
    opening = HEAD + b"Content-Length: 100000000\r\n\r\n"
    with Wire(then=wire.endless(b" " * 10_000, 0, opening)) as server:
        started = time.monotonic()
        [outcome] = send(server.url)
    assert isinstance(outcome, InDoubt)
    assert time.monotonic() - started < 2
    assert len(server.requests) == 1


# -- the trap: the request was read, and no answer came ---------------------------------------------


@pytest.mark.parametrize("act", [close, reset], ids=["closed", "reset"])
def test_a_connection_lost_after_the_request_was_read_is_in_doubt(act: Act) -> None:
    with Wire(then=act) as server:
        [outcome] = send(server.url)
    assert isinstance(outcome, InDoubt)
    assert len(server.requests) == 1


@pytest.mark.parametrize("act", [close, reset], ids=["closed", "reset"])
def test_a_reused_connection_that_is_lost_is_in_doubt_and_nothing_is_sent_again(act: Act) -> None:
    with Wire(answer(), act) as server:
        first, second, third = send(server.url, 3)
    assert (first, third) == (Accepted(200), Accepted(200))
    assert isinstance(second, InDoubt)
    assert [seen.target for seen in server.requests] == ["/send/1", "/send/2", "/send/3"]
    assert server.connections == 2


def test_a_connection_closed_between_two_messages_is_replaced() -> None:
    with Wire(then=answer(keep=False)) as server:
        assert send(server.url, 3, pause=0.05) == [Accepted(200)] * 3
    assert (len(server.requests), server.connections) == (3, 3)


def test_connections_closed_at_random_never_make_a_message_come_twice() -> None:
    chance = random.Random(7)
    acts = [chance.choice([answer(), answer(keep=False), close, reset]) for _ in range(300)]

    async def work(service: MessageService) -> list[Outcome]:
        return list(await asyncio.gather(*(service.send(n, PHONE, "Hello") for n in range(1, 301))))

    with Wire(*acts) as server:
        outcomes = using(server.url, work, connections=20)
    seen = Counter(int(each.target.rpartition("/")[2]) for each in server.requests)
    assert set(seen.values()) == {1}
    assert {type(each) for each in outcomes} == {Accepted, InDoubt}
    assert all(seen[number] == 1 for number, each in enumerate(outcomes, 1) if isinstance(each, Accepted))


def test_an_answer_too_many_never_passes_for_the_answer_to_the_next_message() -> None:
    refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    for script in (raw(WHOLE + refused, keep=True), raw(WHOLE, refused, keep=True, pause=0.01)):
        with Wire(script) as server:
            first, *others = send(server.url, 3, pause=0.1)
        assert first == Accepted(200)
        assert all(isinstance(each, (Accepted, Later)) for each in others)
        accepted = sum(isinstance(each, Accepted) for each in others)
        assert len(server.requests) == 1 + accepted
        assert others[-1] == Accepted(200)


# -- no answer in time ------------------------------------------------------------------------------


def test_no_answer_before_the_deadline_is_in_doubt() -> None:
    with Wire(then=hang) as server:
        started = time.monotonic()
        [outcome] = send(server.url, timeout=0.3)
    assert isinstance(outcome, InDoubt)
    assert 0.3 <= time.monotonic() - started < 1.5
    assert len(server.requests) == 1


@pytest.mark.parametrize("opening", [b"", HEAD, HEAD + b"Content-Length: 10000\r\n\r\n"])
def test_an_answer_that_drips_is_ended_by_the_deadline(opening: bytes) -> None:
    drip = b"X: y\r\n" if opening == HEAD else b"H"
    with Wire(then=wire.endless(drip, 0.05, opening)) as server:
        started = time.monotonic()
        [outcome] = send(server.url, timeout=0.4)
    assert isinstance(outcome, InDoubt)
    assert time.monotonic() - started < 1.5
    assert len(server.requests) == 1


def test_a_rejected_token_is_heard_though_the_body_never_ends() -> None:
    opening = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 10000\r\n\r\n"
    with Wire(then=wire.endless(b"x", 0.05, opening)) as server:
        [outcome] = send(server.url, timeout=0.4)
    assert isinstance(outcome, TokenRejected)


def test_waiting_for_a_free_connection_is_not_taken_for_a_lost_message() -> None:
    async def work(service: MessageService) -> list[Outcome]:
        return list(await asyncio.gather(service.send(1, PHONE, "Hello"), service.send(2, PHONE, "Hello")))

    with Wire(then=hang) as server:
        held, waiting = using(server.url, work, timeout=0.4)
    assert isinstance(held, InDoubt)
    assert isinstance(waiting, Later)
    assert [seen.target for seen in server.requests] == ["/send/1"]


def test_being_cancelled_is_passed_on_and_the_service_is_usable_afterwards() -> None:
    async def work(service: MessageService) -> list[Outcome]:
        sending = asyncio.create_task(service.send(1, PHONE, "Hello"))
        await asyncio.sleep(0.1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        return [await service.send(2, PHONE, "Hello")]

    with Wire(hang) as server:
        assert using(server.url, work) == [Accepted(200)]
    assert [seen.target for seen in server.requests] == ["/send/1", "/send/2"]


# -- too late ----------------------------------------------------------------------------------------


def test_what_is_too_late_when_it_could_be_written_is_not_sent() -> None:
    async def work(service: MessageService) -> list[Outcome]:
        late = await service.send(1, PHONE, "Hello", lambda: False)
        return [late, await service.send(2, PHONE, "Hello", lambda: True)]

    with Wire() as server:
        assert using(server.url, work) == [NotSent(), Accepted(200)]
    assert [seen.target for seen in server.requests] == ["/send/2"]


def test_the_question_is_asked_after_the_wait_for_a_connection() -> None:
    asked: list[float] = []

    async def work(service: MessageService) -> list[Outcome]:
        began = asyncio.get_running_loop().time()

        def still() -> bool:
            asked.append(asyncio.get_running_loop().time() - began)
            return False

        first = asyncio.create_task(service.send(1, PHONE, "Hello"))
        await asyncio.sleep(0)
        second = await service.send(2, PHONE, "Hello", still)
        return [await first, second]

    with Wire(raw(b"", b"HTTP/1.1 200 OK\r\nContent-Length: 28\r\n\r\n" + OK, pause=0.3)) as server:
        assert using(server.url, work, timeout=5) == [Accepted(200), NotSent()]
    assert len(asked) == 1
    assert asked[0] >= 0.3
    assert [seen.target for seen in server.requests] == ["/send/1"]


# -- no connection ----------------------------------------------------------------------------------


def test_a_refused_connection_means_not_sent() -> None:
    [outcome] = send(refusing_url())
    assert outcome == Later(None, "not sent: Connection refused")


def test_a_name_that_does_not_resolve_means_not_sent() -> None:
    [outcome] = send("http://service.invalid/send/")
    assert isinstance(outcome, Later)
    assert outcome.error.startswith("not sent: ")


def test_a_service_that_does_not_shake_hands_in_time_means_not_sent() -> None:
    with unanswering_url() as url:
        [outcome] = send(url, timeout=0.4)
    assert outcome == Later(None, "not sent: no connection in time")


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["silent", "talking"])
def test_a_service_that_does_not_speak_tls_means_not_sent(greeting: bytes) -> None:
    with Wire(greeting=greeting) as server:
        [outcome] = send(server.url.replace("http:", "https:"), timeout=0.6)
    assert isinstance(outcome, Later)
    assert server.requests == []


def test_a_service_that_hangs_up_while_shaking_hands_means_not_sent() -> None:
    with Wire(greeting=None) as server:
        [outcome] = send(server.url.replace("http:", "https:"))
    assert isinstance(outcome, Later)
    assert server.requests == []


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1, and its key, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, and makes the certificate")
    path = tmp_path_factory.mktemp("tls") / "service.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test"
    made = subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "-", "-out", "-"],
        capture_output=True,
        check=True,
    )
    path.write_bytes(made.stdout)
    return path


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_over_tls_the_outcomes_are_the_same(certificate: Path) -> None:
    with Wire(answer(), reset, close, answer(keep=False), tls=tls(certificate)) as server:
        outcomes = send(server.url, 5, ca_file=certificate, pause=0.02)
    assert [type(each) for each in outcomes] == [Accepted, InDoubt, InDoubt, Accepted, Accepted]
    assert [seen.target for seen in server.requests] == [f"/send/{n}" for n in range(1, 6)]


def test_a_certificate_that_is_not_trusted_means_not_sent_and_the_token_stays_here(certificate: Path) -> None:
    with Wire(tls=tls(certificate)) as server:
        [stranger] = send(server.url)
        [misnamed] = send(server.url.replace("127.0.0.1", "localhost"), ca_file=certificate)
    for outcome in (stranger, misnamed):
        assert isinstance(outcome, Later)
        assert "certificate verify failed" in outcome.error
    assert server.requests == []


def test_no_error_text_of_any_fault_holds_the_token_or_the_phone() -> None:
    echo = f'{{"code": 9, "got": "Authorization: Bearer {TOKEN}", "phone": {PHONE}}}'.encode()
    acts = [answer(f"{status} X", echo) for status in (200, 400, 401, 429, 500, 502)]
    with Wire(*acts, close, reset, raw(echo)) as server:
        told = texts(send(server.url, len(acts) + 3)) + texts(send(refusing_url()))
    assert told.count("HTTP") >= len(acts)
    assert TOKEN not in told
    assert PHONE not in told
