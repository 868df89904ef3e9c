"""As fast as Python can post: what the service itself is good for. raw_client.py CONNECTIONS SECONDS.

One request under way on each connection, written beforehand; answers are counted, not read.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from benchmarks.wire import FIRST_PHONE, TEXT, TOKEN

BODY = json.dumps({"id": 1, "phone": FIRST_PHONE, "text": TEXT})


class Client(asyncio.Protocol):
    """Posts the same message until it is told to stop."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """An answer is small: it comes in one piece."""
        del data
        if self._transport is not None:
            self._transport.write(self._request)


async def main(connections: int, seconds: float) -> None:
    """Post for some seconds."""
    address = urlsplit(os.environ["MESSAGE_SERVICE_URL"])
    head = (
        f"POST {address.path}1 HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    )
    request = (head + BODY).encode()
    loop = asyncio.get_running_loop()
    for _ in range(connections):
        await loop.create_connection(lambda: Client(request), address.hostname or "", address.port or 80)
    await asyncio.sleep(seconds)


if __name__ == "__main__":
    factory = None
    with suppress(ImportError):
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main(int(sys.argv[1]), float(sys.argv[2])))
