"""aiohttp's pool of connections, with what it lacks for messages that must not be sent twice or lost."""

from __future__ import annotations

import ssl

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

# Less than servers commonly keep an idle connection (gunicorn: 2 s), so that we do not write
# into one that is just being closed: that would leave an innocent message in doubt.
KEEPALIVE_SECONDS = 1.5


class SpokeFirstError(aiohttp.ClientError):
    """The service wrote before it was asked; nothing was sent."""


class Connector(aiohttp.TCPConnector):
    """Never lets a belated or repeated answer to one message pass for the answer to the next."""

    def __init__(self, *, limit: int, ssl: ssl.SSLContext) -> None:
        super().__init__(limit=limit, ssl=ssl, keepalive_timeout=KEEPALIVE_SECONDS)

    async def connect(  # type: ignore[explicit-override]  # typing.override came after Python 3.11
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """Return a connection on which nothing was said yet; raise SpokeFirstError if it was."""
        connection = await super().connect(req, traces, timeout)
        if connection.protocol is not None and connection.protocol.should_close:
            connection.close()
            raise SpokeFirstError
        return connection
