"""httpx's transport interface over aiohttp's connections, which are many times faster than httpx's own pool.

Of the ready-made adapter this needs a quarter of the work, and it passes aiohttp's errors on as they are: the
adapter calls every lost connection a connect timeout, and whether anything was written decides here whether
a message may be sent again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import aiohttp
import httpx
import yarl
from aiohttp.abc import AbstractStreamWriter


class StaleError(Exception):
    """Its time was over before anything of the request was written."""


class Body(httpx.AsyncByteStream):
    """A body that asks, right before its first byte and the headers are written, whether to be."""

    def __init__(self, content: bytes, still: Callable[[], bool]) -> None:
        self.content = content
        self.stale = False
        self._still = still

    async def __aiter__(self) -> AsyncIterator[bytes]:  # type: ignore[explicit-override]  # see Connector
        yield self.asked()

    def asked(self) -> bytes:
        """Return the content; raise StaleError if it must not be sent any more."""
        # We may have been asleep since the request was begun, or waited long for a connection.
        if not self._still():
            self.stale = True
            raise StaleError
        return self.content


class _Payload(aiohttp.BytesPayload):
    """The same to aiohttp, which writes headers and body at once."""

    def __init__(self, body: Body) -> None:
        super().__init__(body.content, content_type="application/json")
        self._body = body

    async def write_with_length(  # type: ignore[explicit-override]  # see Connector
        self, writer: AbstractStreamWriter, content_length: int | None
    ) -> None:
        await writer.write(self._body.asked()[:content_length])


class _Answer(httpx.AsyncByteStream):
    """The body of a response, as it comes."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:  # type: ignore[explicit-override]  # see Connector
        while chunk := await self._response.content.readany():
            yield chunk

    async def aclose(self) -> None:  # type: ignore[explicit-override]  # see Connector
        # What was read to its end is given back to the pool, what was not is closed.
        self._response.release()
        await self._response.wait_for_close()


class Transport(httpx.AsyncBaseTransport):
    """Posts a request with a `Body` to its URL, or to `target` below it, the extension httpx has for that.

    Headers and timeouts are the session's, the same for all requests.
    """

    def __init__(self, session: aiohttp.ClientSession, url: httpx.URL) -> None:
        self._session = session
        self._origin = str(url.copy_with(path="/"))[:-1]

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:  # type: ignore[explicit-override]  # see Connector
        """Return the response as soon as its headers are there; raise what aiohttp raises."""
        assert isinstance(request.stream, Body)  # noqa: S101 - a bug of the caller
        target = request.extensions["target"].decode("ascii")
        url = yarl.URL(self._origin + target, encoded=True)
        response = await self._session.post(url, data=_Payload(request.stream), allow_redirects=False)
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Answer(response))

    async def aclose(self) -> None:  # type: ignore[explicit-override]  # see Connector
        """Close all connections."""
        await self._session.close()
