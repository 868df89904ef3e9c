"""Posting messages over httpx's API and the aiohttp transport, which is the fast one.

The trap is that this transport calls every lost connection a connect timeout. So "not sent" is
believed only on evidence that no connection was made; anything else after the attempt began leaves
the message in doubt.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from mailer_cli.service.answers import judge
from mailer_cli.service.configuration import checked_token, checked_url, trusted
from mailer_cli.service.connector import Connector, SpokeFirstError
from mailer_cli.service.outcomes import InDoubt, Later, NotSent, Outcome, Refused
from mailer_cli.service.texts import Secrets, printable

BODY_LIMIT = 64 * 1024  # bytes of an answer that are read

# Nothing was written: refused, no such host, no TLS, no handshake in time, unusable before it was used.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, SpokeFirstError)


class _StaleError(Exception):
    """Its time was over before anything of the request was written."""


class _Body(httpx.AsyncByteStream):
    """A body that is asked for at the last moment, together with which the headers are written."""

    def __init__(self, content: bytes, still: Callable[[], bool]) -> None:
        self._content = content
        self._still = still
        self.stale = False

    @property
    def length(self) -> int:
        """How many bytes it has."""
        return len(self._content)

    async def __aiter__(self) -> AsyncIterator[bytes]:  # type: ignore[explicit-override]  # see Connector
        # We may have been asleep since the request was begun, or waited long for a connection.
        if not self._still():
            self.stale = True
            raise _StaleError
        yield self._content


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
        self._url = checked_url(url)
        self._token = checked_token(token)
        self._headers = httpx.Headers(
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
        self._trusted = trusted(ca_file)
        # Half the time is for connecting, so that a connection made too late is known not to have been made.
        self._extensions = {"timeout": {"pool": timeout / 2, "connect": timeout / 2, "read": timeout}}
        self._transport: AiohttpTransport | None = None

    async def __aenter__(self) -> Self:
        session = aiohttp.ClientSession(
            connector=Connector(limit=self._connections, ssl=self._trusted),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        self._transport = AiohttpTransport(verify=self._trusted, client=session, trust_env=False)
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
            body = _Body(_content(message_id, phone, text), still)
        except ValueError:
            return Refused(None, "not sent: the phone is not a number")
        deadline = asyncio.get_running_loop().time() + self._timeout
        try:
            async with asyncio.timeout_at(deadline):
                response = await self._transport.handle_async_request(self._request(message_id, body))
        except TimeoutError:
            return NotSent() if body.stale else InDoubt(None, f"no answer within {self._timeout:g} s")
        except Exception as error:  # noqa: BLE001 - whatever a transport may raise, the message has an outcome
            return NotSent() if body.stale else _explain(error)
        # The status alone decides most cases: it is not forgotten if the rest is cut off.
        answer = await _read(response, deadline)
        return judge(response.status_code, response.headers, answer, Secrets(self._token, phone))

    def _request(self, message_id: int, body: _Body) -> httpx.Request:
        return httpx.Request(
            "POST",
            f"{self._url}{message_id}",
            headers={**self._headers, "Content-Length": str(body.length)},
            stream=body,
            extensions=self._extensions,
        )


def _content(message_id: int, phone: str, text: str) -> bytes:
    return json.dumps({"id": message_id, "phone": int(phone), "text": text}).encode()


async def _read(response: httpx.Response, deadline: float) -> bytes | None:
    """Read an answer as it is on the wire; None if it is too long, is cut off, or does not end in time."""
    body = bytearray()
    with suppress(Exception):
        async with asyncio.timeout_at(deadline), aclosing(response):
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > BODY_LIMIT:
                    return None
            return bytes(body)
    return None


def _explain(error: Exception) -> Outcome:
    """Say what it means that there was no answer at all."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _NOT_SENT):
            return Later(None, printable(f"not sent: {_reason(cause)}"))
        cause = cause.__cause__
    root = error.__cause__ or error
    return InDoubt(None, f"no readable answer: {type(root).__name__}")


def _reason(error: BaseException) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no connection in time"
    if isinstance(error, SpokeFirstError):
        return "the service spoke before it was asked"
    found = getattr(error, "os_error", None)
    if isinstance(found, OSError) and found.errno and not isinstance(found, (ssl.SSLError, socket.gaierror)):
        return os.strerror(found.errno)  # the text at hand is asyncio's, and holds the address
    return str(getattr(found, "strerror", None) or found or type(error).__name__)
