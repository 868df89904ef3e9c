"""The sandbox's HTTP side."""

from __future__ import annotations

import asyncio
import errno
import json
import random
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from mailer_cli.errors import UnavailableError
from mailer_cli.sandbox.faults import Draw, Fault, Faults
from mailer_cli.sandbox.ledger import Ledger
from mailer_cli.sandbox.requests import Received, Request, authorised, read

_ERRORS = (500, 502, 503, 504, 429)
_OK = b'{"code": 0, "message": "OK"}'
_HTML = b"<html><body>It works!</body></html>"
_GARBAGE = (_HTML, b'{"code": 0, "mess', b'{"code": 0, "message": "\xff\xfe"}')
_WITH_RETRY_AFTER = frozenset({429, 503})


class Sandbox:
    """A message service: `await start()` gives its address, `await stop()` ends it."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str | None = None,
        ledger: Path | None = None,
        faults: Faults | None = None,
        on_request: Callable[[Received], None] | None = None,
    ) -> None:
        self._host, self._port, self._token = host, port, token
        self._faults = faults or Faults()
        self._chance = random.Random(self._faults.seed)  # noqa: S311 - makes faults, protects nothing
        self._ledger = Ledger(ledger)
        self._on_request = on_request
        self._runner: web.AppRunner | None = None
        self.received = 0
        self.accepted = 0

    async def start(self) -> str:
        """Listen, and return the address to use as MESSAGE_SERVICE_URL."""
        app = web.Application(client_max_size=1024 * 1024)
        app.router.add_post(r"/{path:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port, backlog=1024).start()
        except OSError as error:
            await self.stop()
            raise _cannot_listen(self._host, self._port, error) from None
        port = self._runner.addresses[0][1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{port}/send/"

    async def stop(self) -> None:
        """Stop listening, drop what hangs, and close the ledger."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._ledger.close()

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        bearer = authorised(request.headers.get("Authorization", ""), self._token)
        asked = read(request.path, body, authorised=bearer)
        self.received += 1
        draw = self._faults.draw(self._chance)  # before any waiting: the n-th request gets the n-th draw
        if self._faults.latency:
            await asyncio.sleep(self._faults.latency)
        if refusal := self._refusal(asked, draw):
            return self._refuse(asked, *refusal)
        try:
            self._ledger.write(asked)
        except OSError as error:
            return self._refuse(asked, 500, f"the ledger cannot be written: {error.strerror}")
        self.accepted += 1
        return await self._accept(request, asked, draw)

    def _refusal(self, asked: Request, draw: Draw) -> tuple[int, str] | None:
        forced = self._faults.status
        if forced is not None and not 200 <= forced <= 299:
            return forced, "as told by --status"
        if self._token is not None and not asked.authorised:
            return 401, "the token is not accepted"
        if asked.wrong is not None:
            return 400, asked.wrong
        if draw.fault is Fault.ERROR:
            return draw.one_of(_ERRORS), "an error on purpose"
        return None

    def _refuse(self, asked: Request, status: int, reason: str) -> web.Response:
        self._tell(asked, status, reason)
        headers = {}
        if self._faults.retry_after is not None and status in _WITH_RETRY_AFTER:
            headers["Retry-After"] = str(self._faults.retry_after)
        body = json.dumps({"code": status, "message": reason}).encode()
        return web.Response(body=body, status=status, headers=headers, content_type="application/json")

    async def _accept(self, request: web.Request, asked: Request, draw: Draw) -> web.StreamResponse:
        if draw.fault is Fault.GARBAGE:
            garbage = draw.one_of(_GARBAGE)
            self._tell(asked, 200, "accepted, garbage answered", accepted=True)
            kind = "text/html" if garbage is _HTML else "application/json"
            return web.Response(body=garbage, content_type=kind)
        if draw.fault is Fault.HANG:
            self._tell(asked, None, "accepted, never answered", accepted=True)
            while request.transport is not None:  # until the client gives up
                await asyncio.sleep(0.05)
            return web.Response()
        if draw.fault is Fault.RESET:
            self._tell(asked, None, "accepted, connection reset", accepted=True)
            _reset(request)
            return web.Response()
        status = self._faults.status or 200
        self._tell(asked, status, "accepted", accepted=True)
        return web.Response(body=_OK, status=status, content_type="application/json")

    def _tell(self, asked: Request, status: int | None, remark: str, *, accepted: bool = False) -> None:
        if self._on_request is not None:
            self._on_request(
                Received(asked.id, asked.phone, asked.text, status, asked.authorised, accepted, remark)
            )


def _reset(request: web.Request) -> None:
    """Close the connection with a reset instead of an orderly end."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _cannot_listen(host: str, port: int, error: OSError) -> UnavailableError:
    if error.errno == errno.EADDRINUSE:
        return UnavailableError(f"port {port} of {host} is in use; choose another with --port, or 0 for any")
    if error.errno == errno.EACCES:
        return UnavailableError(f"port {port} needs privileges; choose one above 1023 with --port")
    return UnavailableError(f"the sandbox cannot listen on {host}, port {port}: {error.strerror}; see --host")
