"""The sandbox: it keeps the contract, remembers what it accepted, and misbehaves as told."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from conftest import CONFIGURED, Mailer
from mailer_cli.errors import ConfigurationError, InvalidValueError, UnavailableError
from mailer_cli.sandbox import Faults, Received, SandboxThread, read_ledger

PHONE = 79161234567
TOKEN = "token"
Answer = tuple[int, dict[str, str], bytes]


def post(url: str, path: str, body: bytes, *, token: str | None = TOKEN, timeout: float = 5) -> Answer:
    """Post by hand: this test must not read the contract with the eyes of the code that sends."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=timeout)
    try:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection.request("POST", path, body, headers | {"Content-Type": "application/json"})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
    finally:
        connection.close()


def message(number: int, **other: object) -> bytes:
    return json.dumps({"id": number, "phone": PHONE, "text": "Привет"} | other).encode()


def send(url: str, number: int, *, token: str | None = TOKEN, timeout: float = 5) -> Answer:
    return post(url, f"{urlsplit(url).path}{number}", message(number), token=token, timeout=timeout)


def fate(url: str, number: int) -> str:
    """What a client sees of one message: the status and the first bytes, or how it failed."""
    try:
        status, _, body = send(url, number, timeout=0.3)
    except TimeoutError:
        return "hang"
    except OSError:
        return "reset"
    return f"{status} {body[:12]!r}"


# -- the contract -----------------------------------------------------------------------------------


def test_a_message_is_accepted_with_code_0(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with SandboxThread(ledger=ledger) as sandbox:
        status, headers, body = send(sandbox.url, 7)
        for number, path in ((2**63 - 1, "/v1/send/"), (9, "/")):
            assert post(sandbox.url, f"{path}{number}", message(number))[0] == 200
    assert (status, json.loads(body)) == (200, {"code": 0, "message": "OK"})
    assert headers["content-type"].startswith("application/json")
    assert (sandbox.received, sandbox.accepted) == (3, 3)
    assert [entry["id"] for entry in read_ledger(ledger)] == [7, 2**63 - 1, 9]


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/send/1", b"", "JSON"),
        ("/send/1", b"\xff", "JSON"),
        ("/send/1", b"[" * 100_000, "JSON"),
        ("/send/1", b"[1]", "object"),
        ("/send/2", message(1), "id"),
        ("/send/1", message(1, id="1"), "id"),
        ("/send/1", message(1, id=True), "id"),
        ("/send/1", message(1, id=None), "id"),
        ("/send/0", message(0), "path"),
        ("/send/-1", message(-1), "path"),
        (f"/send/{2**63}", message(2**63), "path"),
        ("/send/one", message(1), "path"),
        ("/send/", message(1), "path"),
        ("/send/1", message(1, phone=str(PHONE)), "phone"),
        ("/send/1", message(1, phone=float(PHONE)), "phone"),
        ("/send/1", message(1, phone=89161234567), "phone"),
        ("/send/1", message(1, phone=7916123456), "phone"),
        ("/send/1", message(1, text=""), "text"),
        ("/send/1", message(1, text=5), "text"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_the_reason(path: str, body: bytes, reason: str) -> None:
    seen: list[Received] = []
    with SandboxThread(on_request=seen.append) as sandbox:
        status, _, answered = post(sandbox.url, path, body)
    assert status == 400
    assert reason in json.loads(answered)["message"]
    assert sandbox.accepted == 0
    assert [(each.status, each.accepted) for each in seen] == [(400, False)]


def test_only_posts_are_taken() -> None:
    with SandboxThread() as sandbox:
        where = urlsplit(sandbox.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port)
        connection.request("GET", "/send/1")
        assert connection.getresponse().status == 405
        connection.close()


@pytest.mark.parametrize("token", [None, "", "wrong", "token2", "caf\u00e9"])
def test_a_wrong_token_is_rejected_and_nothing_accepted(token: str | None) -> None:
    with SandboxThread(token="token") as sandbox:
        status, _, body = send(sandbox.url, 1, token=token)
        assert status == 401
        assert "token" in json.loads(body)["message"]
        assert send(sandbox.url, 2)[0] == 200
    assert sandbox.accepted == 1


def test_without_a_token_of_its_own_any_will_do_and_the_ledger_tells_who_had_one(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with SandboxThread(ledger=ledger) as sandbox:
        assert send(sandbox.url, 1, token="anything")[0] == 200
        assert send(sandbox.url, 2, token=None)[0] == 200
    assert [entry["authorised"] for entry in read_ledger(ledger)] == [True, False]


# -- the ledger -------------------------------------------------------------------------------------


def test_the_ledger_holds_what_was_accepted_with_its_time(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with SandboxThread(ledger=ledger) as sandbox:
        send(sandbox.url, 1)
        post(sandbox.url, "/send/2", b"nonsense")
    [entry] = read_ledger(ledger)
    at = entry.pop("time")
    assert entry == {"id": 1, "phone": PHONE, "text": "Привет", "authorised": True}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", at)
    assert abs((datetime.fromisoformat(at) - datetime.now(UTC)).total_seconds()) < 60


def test_a_second_sandbox_goes_on_with_a_ledger_whose_last_line_was_cut_short(
    tmp_path: Path,
) -> None:
    ledger = tmp_path / "ledger.jsonl"
    for number in (1, 2):
        with SandboxThread(ledger=ledger) as sandbox:
            send(sandbox.url, number)
        with ledger.open("ab") as file:
            file.write(b'{"id": 3, "pho')
    assert [entry["id"] for entry in read_ledger(ledger)] == [1, 2]
    assert read_ledger(tmp_path / "none.jsonl") == []


def test_a_ledger_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no/such"):
        SandboxThread(ledger=tmp_path / "no/such/ledger.jsonl")


def test_no_message_is_accepted_that_the_ledger_could_not_take() -> None:
    with SandboxThread(ledger=Path("/dev/full")) as sandbox:
        assert send(sandbox.url, 1)[0] == 500
    assert sandbox.accepted == 0


# -- faults -----------------------------------------------------------------------------------------


def test_errors_on_purpose_are_of_all_kinds_and_nothing_is_accepted() -> None:
    with SandboxThread(faults=Faults(error_rate=1, seed=1, retry_after=9)) as sandbox:
        answers = [send(sandbox.url, number) for number in range(1, 61)]
    assert {status for status, _, _ in answers} == {429, 500, 502, 503, 504}
    assert all(json.loads(body)["code"] == status for status, _, body in answers)
    assert all(("retry-after" in headers) == (status in {429, 503}) for status, headers, _ in answers)
    assert sandbox.accepted == 0


def test_garbage_is_answered_after_the_message_was_accepted() -> None:
    with SandboxThread(faults=Faults(garbage_rate=1, seed=1)) as sandbox:
        answers = [send(sandbox.url, number) for number in range(1, 31)]
    assert len({body for _, _, body in answers}) == 3
    for status, _, body in answers:
        assert status == 200
        with pytest.raises((json.JSONDecodeError, UnicodeDecodeError)):
            json.loads(body.decode())
    assert sandbox.accepted == 30


def test_a_hanging_message_is_accepted_and_never_answered() -> None:
    with SandboxThread(faults=Faults(hang_rate=1)) as sandbox:
        with pytest.raises(TimeoutError):
            send(sandbox.url, 1, timeout=0.3)
        assert sandbox.accepted == 1


def test_a_sandbox_full_of_hanging_messages_stops_at_once() -> None:
    with SandboxThread(faults=Faults(hang_rate=1)) as sandbox:
        where = urlsplit(sandbox.url)
        hanging = http.client.HTTPConnection(where.hostname or "", where.port)
        hanging.request("POST", "/send/1", message(1))
        while not sandbox.accepted:
            time.sleep(0.01)
        started = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - started < 2
        hanging.close()


def test_a_reset_message_is_accepted_and_its_connection_reset() -> None:
    with SandboxThread(faults=Faults(reset_rate=1)) as sandbox:
        with pytest.raises(ConnectionResetError) as caught:
            send(sandbox.url, 1)
        # Closed in good order would be http.client's own RemoteDisconnected.
        assert type(caught.value) is ConnectionResetError
    assert sandbox.accepted == 1


@pytest.mark.parametrize(("status", "accepted"), [(200, 1), (202, 1), (204, 1), (302, 0), (404, 0), (503, 0)])
def test_a_status_is_answered_to_everything_and_accepts_only_if_it_is_2xx(status: int, accepted: int) -> None:
    with SandboxThread(faults=Faults(status=status, retry_after=3)) as sandbox:
        answered, headers, _ = send(sandbox.url, 1)
    assert answered == status
    assert headers.get("retry-after") == ("3" if status == 503 else None)
    assert sandbox.accepted == accepted


def test_latency_delays_each_answer_but_not_the_others() -> None:
    with SandboxThread(faults=Faults(latency=0.2)) as sandbox:
        started = time.monotonic()
        senders = [threading.Thread(target=send, args=(sandbox.url, number)) for number in range(1, 11)]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert 0.2 <= time.monotonic() - started < 1.5
    assert sandbox.accepted == 10


def test_the_same_seed_makes_the_same_faults() -> None:
    def series(seed: int) -> list[str]:
        faults = Faults(error_rate=0.3, garbage_rate=0.2, reset_rate=0.2, seed=seed)
        with SandboxThread(faults=faults) as sandbox:
            return [fate(sandbox.url, number) for number in range(1, 41)]

    first = series(5)
    assert first == series(5)
    assert first != series(6)
    assert len(set(first)) >= 6


def test_the_rates_are_kept_and_what_went_wrong_is_told() -> None:
    seen: list[Received] = []
    faults = Faults(error_rate=0.25, garbage_rate=0.25, seed=3)
    with SandboxThread(faults=faults, on_request=seen.append) as sandbox:
        for number in range(1, 401):
            send(sandbox.url, number)
    kinds = Counter(each.remark for each in seen)
    assert 70 <= kinds["an error on purpose"] <= 130
    assert 70 <= kinds["accepted, garbage answered"] <= 130
    assert sandbox.accepted == sum(each.accepted for each in seen) == 400 - kinds["an error on purpose"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"error_rate": -0.1},
        {"garbage_rate": 1.1},
        {"hang_rate": float("nan")},
        {"error_rate": 0.6, "reset_rate": 0.5},
        {"latency": -1.0},
        {"latency": float("inf")},
        {"status": 99},
        {"status": 600},
        {"retry_after": -1},
    ],
    ids=str,
)
def test_impossible_faults_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidValueError):
        Faults(**wrong)  # type: ignore[arg-type]  # that is the point


# -- the command ------------------------------------------------------------------------------------


@contextmanager
def running(tmp_path: Path, *options: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`mailer sandbox` in a process of its own, and the address it tells."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURED)}
    process = subprocess.Popen(
        [sys.executable, "-m", "mailer_cli", "sandbox", "--port", "0", *options],
        env=kept | {"HOME": str(tmp_path)} | env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        [url] = re.findall(r"MESSAGE_SERVICE_URL=(\S+)", process.stderr.readline())
        yield process, url
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for the end, and return what was printed that nobody has read yet."""
    process.wait(timeout=5)
    assert process.stdout is not None
    assert process.stderr is not None
    return process.stdout.read(), process.stderr.read()


def test_kill_9_leaves_every_answered_message_in_the_ledger(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    answered: list[int] = []

    def flood(first: int) -> None:
        for number in range(first, first + 10_000):
            try:
                send(url, number)
            except (OSError, http.client.HTTPException):
                return
            answered.append(number)

    with running(tmp_path, "--quiet", "--ledger", str(ledger)) as (process, url):
        senders = [threading.Thread(target=flood, args=(1 + 10_000 * sender,)) for sender in range(4)]
        for sender in senders:
            sender.start()
        while len(answered) < 200:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        for sender in senders:
            sender.join()
    assert set(answered) <= {entry["id"] for entry in read_ledger(ledger)}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_what_it_receives_and_stops_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as (process, url):
        assert process.stdout is not None
        post(url, "/send/5", message(5, text="a\x1b[31mred\n[bold]"))
        assert select.select([process.stdout], [], [], 5)[0]  # shown now, not when it stops
        assert process.stdout.readline() == f"5 {PHONE} 200 (accepted): a\\x1b[31mred\\x0a[bold]\n"
        process.send_signal(number)
        out, err = ended(process)
    assert (process.returncode, out) == (0, "")
    assert "any token is accepted" in err
    assert err.splitlines()[-1] == "stopped: 1 requests received, 1 messages accepted"


def test_the_token_of_the_environment_is_demanded(tmp_path: Path) -> None:
    with running(tmp_path, "--quiet", "--latency", "10ms", JWT_TOKEN="token") as (process, url):
        assert send(url, 1)[0] == 200
        assert send(url, 1, token="other")[0] == 401
        process.terminate()
        out, err = ended(process)
    assert out == ""
    assert "any token" not in err
    assert "2 requests received, 1 messages accepted" in err


def test_a_reader_who_has_seen_enough_ends_it(tmp_path: Path) -> None:
    with running(tmp_path) as (process, url):
        assert process.stdout is not None
        process.stdout.close()
        assert send(url, 1)[0] == 200
        assert process.wait(timeout=5) == 0


def test_a_port_in_use_is_named_with_the_way_out(run: Mailer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("sandbox", "--port", str(port))
    assert ended.code == UnavailableError.exit_code
    assert f"port {port}" in ended.err
    assert "--port" in ended.err


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--error-rate", "2"], 2),
        (["--error-rate", "0.7", "--hang-rate", "0.7"], 1),
        (["--latency", "soon"], 1),
        (["--status", "1000"], 2),
        (["--host", "no.such.host.invalid"], 75),
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_at_once(run: Mailer, options: list[str], code: int) -> None:
    ended = run("sandbox", "--port", "0", *options)
    assert (ended.code, ended.out) == (code, "")
    assert options[0] in ended.err or options[0].removeprefix("--") in ended.err


@pytest.mark.parametrize(
    ("text", "expected"), [("0.2", 0.2), ("200ms", 0.2), ("1s", 1), ("1.5 s", 1.5), ("0", 0)]
)
def test_latency_is_read_in_seconds_and_milliseconds(text: str, expected: float) -> None:
    from mailer_cli.cli.sandbox import seconds

    assert seconds(text) == expected
