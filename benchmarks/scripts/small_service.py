"""A message service without dependencies, where there is no nginx: slower, and measured before it is used.

small_service.py PORT LATENCY_MS PROCESSES RECORD: until SIGTERM; the record is written at the end.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

BODY = b'{"code":0,"message":"OK"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(BODY),
    BODY,
)


class Connection(asyncio.Protocol):
    """One client; its requests come one after the other."""

    def __init__(self, latency: float, seen: list[dict[str, Any]]) -> None:
        self._latency = latency
        self._seen = seen
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer whatever requests are complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            first, _, rest = self._buffer[:end].decode("latin-1").partition("\r\n")
            pairs = (line.partition(":") for line in rest.split("\r\n"))
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            length = int(headers.get("content-length", 0))
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length].decode()
            self._buffer = self._buffer[end + 4 + length :]
            self._note(first, headers, body)

    def _note(self, first: str, headers: dict[str, str], body: str) -> None:
        request = {
            "t": time.time() + self._latency,
            "d": self._latency,
            "s": 200,
            "a": headers.get("authorization", ""),
            "c": headers.get("content-type", ""),
            "p": first.rpartition(" ")[0],
            "b": body,
        }
        asyncio.get_running_loop().call_later(self._latency, self._answer, request)

    def _answer(self, request: dict[str, Any]) -> None:
        self._seen.append(request)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(ANSWER)


async def serve(port: int, latency: float, record: Path) -> None:
    """Answer until SIGTERM, then write the record."""
    seen: list[dict[str, Any]] = []
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port))
    async with await loop.create_server(lambda: Connection(latency, seen), sock=listener, backlog=4096):
        await over.wait()
    with record.open("a", encoding="utf-8") as lines:
        lines.write("".join(f"{json.dumps(request)}\n" for request in seen))


def main(port: int, latency: float, processes: int, record: Path) -> None:
    """Serve in several processes; SIGTERM to the first ends all."""
    others: list[int] = []
    for _ in range(processes - 1):
        pid = os.fork()
        if not pid:
            others.clear()
            break
        others.append(pid)
    asyncio.run(serve(port, latency, record))
    for pid in others:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) / 1000, int(sys.argv[3]), Path(sys.argv[4]))
