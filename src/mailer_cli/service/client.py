"""Posting messages over httpx's API and aiohttp's connections.

"Not sent" is believed only on evidence that no connection was made; anything else after the attempt began
leaves the message in doubt.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import aclosing
from functools import lru_cache, partial
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import httpx

from mailer_cli.service.answers import judge
from mailer_cli.service.configuration import checked_token, checked_url, trusted
from mailer_cli.service.connector import Connector, SpokeFirstError
from mailer_cli.service.outcomes import InDoubt, Later, NotSent, Outcome, Refused
from mailer_cli.service.texts import Secrets, printable
from mailer_cli.service.transport import Body, Transport

BODY_LIMIT = 64 * 1024  # bytes of an answer that are read

# Nothing was written: refused, no such host, no TLS, no handshake in time, unusable before it was used.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, SpokeFirstError)


def _always() -> bool:
    return True


class MessageService:
    """Posts messages, one request each, never repeated by anything below.

    At most `connections` are to be under way at once; one takes `timeout` seconds at the most, in all.
    No proxy, password or cookie is taken from the environment: the token goes to one place only.
    """

    def __init__(
        self, url: str, token: str, *, connections: int, timeout: float, ca_file: Path | None = None
    ) -> None:
        self._url = httpx.URL(checked_url(url))
        self._target = self._url.raw_path
        self._token = checked_token(token)
        self._headers = httpx.Headers(  # which never show the token
            {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": "mailer",
            }
        )
        self._connections = connections
        self._timeout = timeout
        self._ca_file = ca_file
        self._trusted = trusted(ca_file)
        self._transport: Transport | None = None

    def __reduce__(self) -> tuple[Callable[..., MessageService], tuple[str, str]]:  # type: ignore[explicit-override]  # see Connector
        """Be made anew in another process, which is handed the token by a pipe."""
        made = partial(
            MessageService, connections=self._connections, timeout=self._timeout, ca_file=self._ca_file
        )
        return made, (str(self._url), self._token)

    async def __aenter__(self) -> Self:
        # Half the time is for connecting, so that a connection made too late is known not to have been made.
        half = self._timeout / 2
        session = aiohttp.ClientSession(
            connector=Connector(limit=self._connections, ssl=self._trusted),
            timeout=aiohttp.ClientTimeout(connect=half, sock_connect=half, sock_read=self._timeout),
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )
        self._transport = Transport(session, self._url)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._transport is not None  # noqa: S101 - set on entering
        await self._transport.aclose()
        self._transport = None

    async def send(
        self, message_id: int, phone: str, text: str, still: Callable[[], bool] = _always
    ) -> Outcome:
        """Post one message and say what came of it; raises nothing but CancelledError.

        `still` is asked right before the first byte is written: if it says no, nothing is.
        """
        assert self._transport is not None, "used outside `async with`"  # noqa: S101 - a bug of the caller
        try:
            body = Body(_content(message_id, phone, text), still)
        except ValueError:
            return Refused(None, "not sent: the phone is not a number")
        response = answer = None
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._transport.handle_async_request(self._request(message_id, body))
                answer = await _read(response)
        except Exception as error:  # noqa: BLE001 - whatever a transport may raise, the message has an outcome
            if response is None:
                return NotSent() if body.stale else self._explain(error)
        # The status alone decides most cases: it is not forgotten if the rest is cut off.
        return judge(response.status_code, response.headers, answer, Secrets(self._token, phone))

    def _explain(self, error: Exception) -> Outcome:
        """Say what it means that there was no answer at all."""
        if isinstance(error, _NOT_SENT):
            return Later(None, printable(f"not sent: {_reason(error)}"))
        if isinstance(error, TimeoutError):
            return InDoubt(None, f"no answer within {self._timeout:g} s")
        return InDoubt(None, f"no readable answer: {type(error).__name__}")

    def _request(self, message_id: int, body: Body) -> httpx.Request:
        target = b"%b%d" % (self._target, message_id)
        return httpx.Request("POST", self._url, stream=body, extensions={"target": target})


def _content(message_id: int, phone: str, text: str) -> bytes:
    return b'{"id": %d, "phone": %d, "text": %b}' % (message_id, int(phone), _quoted(text))


@lru_cache(maxsize=64)  # of a mailing, all messages have the same
def _quoted(text: str) -> bytes:
    return json.dumps(text).encode()


async def _read(response: httpx.Response) -> bytes | None:
    """Read an answer as it is on the wire; None if it is too long."""
    assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - a transport's answer is one
    body = b""
    async with aclosing(response.stream):
        async for chunk in response.stream:
            body += chunk
            if len(body) > BODY_LIMIT:
                return None
    return body


def _reason(error: BaseException) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no connection in time"
    if isinstance(error, SpokeFirstError):
        return "the service spoke before it was asked"
    found = getattr(error, "os_error", None)
    if isinstance(found, OSError) and found.errno and not isinstance(found, (ssl.SSLError, socket.gaierror)):
        return os.strerror(found.errno)  # the text at hand is asyncio's, and holds the address
    return str(getattr(found, "strerror", None) or found or type(error).__name__)
