"""A proxy before a database that goes silent, slows down and cuts connections, also around COMMIT."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from contextlib import suppress
from enum import StrEnum
from types import TracebackType
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Cut(StrEnum):
    """Where a connection is cut."""

    BEFORE_COMMIT = "commit lost"  # the server never sees it, and rolls back
    AFTER_COMMIT = "reply to COMMIT lost"  # the server has committed, the client cannot know
    AFTER_REQUEST = "reply lost"  # likewise, of any statement


class _Pair:
    """One client's connection and ours to the server."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self._both = (client, server)
        self.deaf = False  # the server's next reply is lost, and the connection with it

    def cut(self) -> None:
        for writer in self._both:
            writer.transport.abort()


class Proxy:
    """Listens on 127.0.0.1 while the `with` block lasts, and forwards to the server at a libpq address."""

    def __init__(self, address: str) -> None:
        self._server_address = address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._pairs: set[_Pair] = set()
        self._silent_until = 0.0
        self._cuts: deque[Cut] = deque()
        self.delay = 0.0  # seconds that each piece is held back
        self.made: list[Cut] = []
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def address(self) -> str:
        """The libpq address that goes through the proxy."""
        return make_conninfo(self._server_address, host="127.0.0.1", port=self.port, hostaddr="127.0.0.1")

    def silence(self, seconds: float) -> None:
        """Forward nothing for so long: the other side hangs, and nothing is refused or closed."""
        self._silent_until = time.monotonic() + seconds

    def cut_all(self) -> int:
        """Cut every connection; return how many there were."""

        async def cut() -> int:
            pairs = list(self._pairs)
            for pair in pairs:
                pair.cut()
            return len(pairs)

        return asyncio.run_coroutine_threadsafe(cut(), self._loop).result(10)

    def cut_next(self, where: Cut) -> None:
        """Cut the connection of the next that commits, or asks."""
        self._cuts.append(where)

    def behave(self) -> None:
        """Forward everything at once from now on."""
        self._cuts.clear()
        self._silent_until = self.delay = 0.0

    async def _listen(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _stop(self) -> None:
        self._server.close()
        for pair in list(self._pairs):
            pair.cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answers, server = await self._connect()
        except OSError:  # the server is down
            writer.transport.abort()
            return
        pair = _Pair(writer, server)
        self._pairs.add(pair)
        try:
            await asyncio.gather(self._ask(pair, reader, server), self._answer(pair, answers, writer))
        finally:
            self._pairs.discard(pair)
            pair.cut()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = conninfo_to_dict(self._server_address)
        host, port = str(parts["host"]), str(parts.get("port", 5432))
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _ask(self, pair: _Pair, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65536):
                await self._hold_back()
                if not self._cut_here(pair, piece):
                    server.write(piece)
                    await server.drain()
        pair.cut()

    async def _answer(self, pair: _Pair, answers: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await answers.read(65536):
                if pair.deaf:
                    break
                await self._hold_back()
                client.write(piece)
                await client.drain()
        pair.cut()

    async def _hold_back(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        while (left := self._silent_until - time.monotonic()) > 0:
            await asyncio.sleep(left)

    def _cut_here(self, pair: _Pair, piece: bytes) -> bool:
        """Cut if it is time to; true if the piece must not reach the server."""
        if not self._cuts or (self._cuts[0] is not Cut.AFTER_REQUEST and b"COMMIT" not in piece):
            return False
        where = self._cuts.popleft()
        self.made.append(where)
        if where is Cut.BEFORE_COMMIT:
            pair.cut()
            return True
        pair.deaf = True
        return False
