"""A server of raw sockets: it does to each request what its script says, and counts what it has seen.

No HTTP library stands between a test and the bytes, so nothing is tidied up on the way.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Self

OK = b'{"code": 0, "message": "OK"}'
PATIENCE = 10.0  # seconds after which a stuck test fails instead of hanging


@dataclass(frozen=True, slots=True)
class Seen:
    """One request, read to its end."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request that waits for what the script does to it."""

    peer: socket.socket
    stopped: threading.Event

    def gone(self, within: float) -> bool:
        """Wait for the client to hang up or the test to end; false if neither comes in time."""
        end = time.monotonic() + within
        while (left := end - time.monotonic()) > 0:
            self.peer.settimeout(min(left, 0.05))
            with suppress(TimeoutError):
                if not self.peer.recv(1, socket.MSG_PEEK):
                    return True
            if self.stopped.wait(min(left, 0.005)):
                return True
        return False


# What is done to a request; true if the connection is kept for the next one.
Act = Callable[[Exchange], bool]


def answer(status: str = "200 OK", body: bytes = OK, *headers: str, keep: bool = True) -> Act:
    """Answer in good order; `keep=False` closes afterwards without having said so."""
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers])
    return raw(f"{head}\r\n\r\n".encode() + body, keep=keep)


def raw(*pieces: bytes, keep: bool = False, pause: float = 0.0) -> Act:
    """Write these bytes, whatever they are, piece by piece."""

    def act(exchange: Exchange) -> bool:
        for number, piece in enumerate(pieces):
            if number and exchange.gone(pause):
                return False
            exchange.peer.settimeout(PATIENCE)
            exchange.peer.sendall(piece)
        return keep

    return act


def endless(piece: bytes, pause: float, opening: bytes) -> Act:
    """Write the same piece again and again until the client has had enough."""

    def act(exchange: Exchange) -> bool:
        exchange.peer.sendall(opening)
        while not exchange.stopped.wait(pause):
            exchange.peer.sendall(piece)
        return False

    return act


def close(_: Exchange) -> bool:
    """Close the connection without a word."""
    return False


def reset(exchange: Exchange) -> bool:
    """Reset the connection."""
    exchange.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def hang(exchange: Exchange) -> bool:
    """Say nothing until the client goes away."""
    exchange.gone(PATIENCE)
    return False


class Wire:
    """Listens on 127.0.0.1 while the `with` block lasts.

    The first act is done to the first request, and so on; `then` to those after the script's end.
    `greeting` is written as soon as somebody connects; None hangs up instead.
    """

    def __init__(
        self,
        *script: Act,
        then: Act | None = None,
        tls: ssl.SSLContext | None = None,
        greeting: bytes | None = b"",
    ) -> None:
        self._script = list(script)
        self._then = then or answer()
        self._tls = tls
        self._greeting = greeting
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.connections = 0
        self.requests: list[Seen] = []

    @property
    def url(self) -> str:
        """Where messages are posted."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._listener.getsockname()[1]}/send/"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:  # the first accepts, and adds to the others until it ends
            thread.join(PATIENCE * 2)
            assert not thread.is_alive()
        self._listener.close()

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=work, args=arguments))
        self._threads[-1].start()

    def _accept(self) -> None:
        # Whoever has connected is heard to the end: a request that nobody counted would prove nothing.
        self._listener.settimeout(0.02)
        while True:
            try:
                peer, _ = self._listener.accept()
            except TimeoutError:
                if self._stopped.is_set():
                    return
                continue
            self.connections += 1
            self._start(self._serve, peer)

    def _serve(self, peer: socket.socket) -> None:
        # A client that hangs up is what most of these tests are about: OSError is its goodbye.
        with ExitStack() as stack, suppress(OSError):
            stack.enter_context(peer)
            peer.settimeout(PATIENCE)
            if self._tls is not None:
                peer = stack.enter_context(self._tls.wrap_socket(peer, server_side=True))
            if self._greeting is None:
                return
            peer.sendall(self._greeting)
            while (seen := self._read(peer)) and self._act(seen)(Exchange(peer, self._stopped)):
                peer.settimeout(PATIENCE)

    def _act(self, seen: Seen) -> Act:
        with self._lock:
            self.requests.append(seen)
            return self._script.pop(0) if self._script else self._then

    def _read(self, peer: socket.socket) -> Seen | None:
        """Read one request to its end; None if the client hangs up first."""
        received = b""
        while b"\r\n\r\n" not in received or len(received) < _length(received):
            if not (chunk := peer.recv(65536)):
                return None
            received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        request, *fields = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in fields)}
        return Seen(request.split(" ")[1], headers, body)


def _length(received: bytes) -> int:
    head, separator, _ = received.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return len(head) + len(separator) + int(line.partition(b":")[2])
    return 0
