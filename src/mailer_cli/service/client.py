"""Posting messages over httpx's API and the aiohttp transport, which is the fast one.

The trap is that this transport calls every lost connection a connect timeout. So "not sent" is
believed only on evidence that no connection was made; anything else after the attempt began leaves
the message in doubt.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from mailer_cli.errors import ConfigurationError
from mailer_cli.service.answers import BODY_LIMIT, InDoubt, Later, Outcome, Refused, judge, printable

# No connection was made: refused, no such host, no TLS, no answer to the handshake.
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class MessageService:
    """Posts messages, one request each, never repeated by anything below.

    At most `connections` may be under way at once; one takes `timeout` seconds at the most, in all.
    """

    def __init__(
        self, url: str, token: str, *, connections: int, timeout: float, ca_file: Path | None = None
    ) -> None:
        self._url = _checked_url(url)
        self._headers = httpx.Headers(
            {
                "Authorization": f"Bearer {_checked_token(token)}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": "mailer",
            }
        )
        self._connections = connections
        self._timeout = timeout
        self._verify = _trust(ca_file)
        self._transport: AiohttpTransport | None = None
        # A connection that takes longer than this was certainly not made in time to send anything.
        self._extensions = {"timeout": {"connect": timeout / 2, "read": timeout, "pool": timeout / 2}}

    async def __aenter__(self) -> Self:
        self._transport = AiohttpTransport(verify=self._verify, client=self._session, trust_env=False)
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

    async def send(self, message_id: int, phone: str, text: str) -> Outcome:
        """Post one message and say what came of it; raises nothing but CancelledError."""
        content = json.dumps({"id": message_id, "phone": int(phone), "text": text}).encode()
        request = httpx.Request(
            "POST",
            f"{self._url}{message_id}",
            headers=self._headers,
            content=content,
            extensions=self._extensions,
        )
        try:
            async with asyncio.timeout(self._timeout):
                return await self._post(request)
        except TimeoutError:
            return InDoubt(None, f"no answer within {self._timeout:g} s")
        except Exception as error:  # noqa: BLE001 - whatever a transport may raise, the message has an outcome
            return _explain(error)

    async def _post(self, request: httpx.Request) -> Outcome:
        assert self._transport is not None  # noqa: S101 - used within `async with`
        response = await self._transport.handle_async_request(request)
        try:
            return judge(response.status_code, dict(response.headers), await _body(response))
        finally:
            await response.aclose()

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=self._connections, ssl=self._verify)
        # No cookies, no proxies and no passwords from the environment: the token goes to one place only.
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )


async def _body(response: httpx.Response) -> bytes | None:
    """Read an answer as it is on the wire, up to the limit; None if it is longer."""
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > BODY_LIMIT:
            return None
    return body


def _explain(error: BaseException) -> Outcome:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _NOT_SENT):
            return Later(None, printable(f"not sent: {_reason(cause)}"))
        if isinstance(cause, (httpx.UnsupportedProtocol, aiohttp.InvalidURL)):
            return Refused(None, "not sent: the address of the service cannot be used")
        cause = cause.__cause__
    root = error.__cause__ or error
    return InDoubt(None, printable(f"connection lost: {type(root).__name__}"))


def _reason(error: BaseException) -> str:
    os_error = getattr(error, "os_error", None)
    if os_error is not None and os_error.strerror:
        return str(os_error.strerror)
    return "timed out connecting" if isinstance(error, aiohttp.ConnectionTimeoutError) else str(error)


def _checked_url(text: str) -> str:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host or url.fragment or url.query:
        raise ConfigurationError(
            "MESSAGE_SERVICE_URL must be an address such as https://service.example/v1/send/"
        )
    if url.userinfo:
        raise ConfigurationError(
            "MESSAGE_SERVICE_URL must not hold a password; the token goes into JWT_TOKEN"
        )
    return text if text.endswith("/") else f"{text}/"


def _checked_token(token: str) -> str:
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(
            "JWT_TOKEN holds characters that a token cannot have (a line break, perhaps?); set it again"
        )
    return token


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError):
        raise ConfigurationError(
            f"MESSAGE_SERVICE_CA_FILE {ca_file} cannot be read as PEM certificates"
        ) from None
