"""The sandbox's HTTP side."""

from __future__ import annotations

import asyncio
import hmac
import json
import random
import re
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from mailer_cli.errors import UnavailableError
from mailer_cli.sandbox.faults import Fault, Faults
from mailer_cli.sandbox.ledger import Ledger

_ERRORS = (500, 502, 503, 504, 429)
_GARBAGE = (b"<html><body>It works!</body></html>", b'{"code": 0, "mess', b"\xff\xfe\x00", b"", b"[]")
_PHONE = re.compile(r"7[0-9]{10}")
_WITH_RETRY_AFTER = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came in, and what was done with it; `status` is None where no answer was given."""

    id: int
    phone: int | None
    text: str
    status: int | None
    authorised: bool
    remark: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request asks for, and what is wrong with it, if anything."""

    id: int
    fields: dict[str, Any]
    authorised: bool
    wrong: str | None


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
        self._on_request = on_request or (lambda _: None)
        self._runner: web.AppRunner | None = None
        self.received = 0
        self.accepted = 0

    async def start(self) -> str:
        """Listen, and return the address to use as MESSAGE_SERVICE_URL."""
        app = web.Application(client_max_size=1024 * 1024)
        app.router.add_post(r"/{path:.*}", self._receive)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, backlog=1024)
        try:
            await site.start()
        except OSError as error:
            await self.stop()
            raise UnavailableError(
                f"the sandbox cannot listen on {self._host}:{self._port}: {error.strerror};"
                " try another --port"
            ) from None
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
        self.received += 1
        asked = _read(request.path, await request.read(), authorised=self._authorised(request))
        fault = self._faults.draw(self._chance)
        if self._faults.latency:
            await asyncio.sleep(self._faults.latency)
        if self._token is not None and not asked.authorised:
            return self._refuse(asked, 401, "the token is not accepted")
        if asked.wrong is not None:
            return self._refuse(asked, 400, asked.wrong)
        if self._faults.status is not None and not 200 <= self._faults.status <= 299:
            return self._refuse(asked, self._faults.status, "as told by --status")
        if fault is Fault.ERROR:
            return self._refuse(asked, self._chance.choice(_ERRORS), "an error on purpose")
        self.accepted += 1
        fields = asked.fields
        self._ledger.write(asked.id, fields["phone"], fields["text"], authorised=asked.authorised)
        return await self._accept(request, asked, fault)

    async def _accept(self, request: web.Request, asked: _Asked, fault: Fault | None) -> web.StreamResponse:
        if fault is Fault.GARBAGE:
            self._tell(asked, 200, "accepted, garbage answered")
            return web.Response(body=self._chance.choice(_GARBAGE), content_type="text/html")
        if fault is Fault.HANG:
            self._tell(asked, None, "accepted, never answered")
            await asyncio.sleep(3600)
        elif fault is Fault.RESET:
            self._tell(asked, None, "accepted, connection reset")
            _reset(request)
            return web.Response()
        status = self._faults.status or 200
        self._tell(asked, status, "accepted")
        return web.json_response({"code": 0, "message": "OK"}, status=status)

    def _refuse(self, asked: _Asked, status: int, reason: str) -> web.Response:
        self._tell(asked, status, reason)
        headers = {}
        if self._faults.retry_after is not None and status in _WITH_RETRY_AFTER:
            headers["Retry-After"] = str(self._faults.retry_after)
        return web.json_response({"code": status, "message": reason}, status=status, headers=headers)

    def _tell(self, asked: _Asked, status: int | None, remark: str) -> None:
        phone, text = asked.fields.get("phone"), asked.fields.get("text", "")
        self._on_request(Received(asked.id, phone, str(text), status, asked.authorised, remark))

    def _authorised(self, request: web.Request) -> bool:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not given:
            return False
        return self._token is None or hmac.compare_digest(given.strip().encode(), self._token.encode())


def _read(path: str, body: bytes, *, authorised: bool) -> _Asked:
    number = path.rpartition("/")[2]
    message_id = int(number) if number.isascii() and number.isdigit() and len(number) < 20 else 0
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return _Asked(message_id, {}, authorised, "the body is not JSON")
    if not isinstance(fields, dict):
        return _Asked(message_id, {}, authorised, "the body is not a JSON object")
    return _Asked(message_id, fields, authorised, _fault_of(message_id, fields))


def _fault_of(message_id: int, fields: dict[str, Any]) -> str | None:
    number, phone, text = fields.get("id"), fields.get("phone"), fields.get("text")
    if not 0 < message_id < 2**63:
        return "the path does not end in a message id"
    if type(number) is not int or number != message_id:
        return "id is not the message id of the path"
    if type(phone) is not int or not _PHONE.fullmatch(str(phone)):
        return "phone is not an integer of the form 7XXXXXXXXXX"
    if not isinstance(text, str) or not text:
        return "text is not a string, or empty"
    return None


def _reset(request: web.Request) -> None:
    """Close the connection with a reset instead of an orderly end."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
