"""Claim a batch, send it with so many requests at once, record results in batches: nothing else.

Two connections: one claims, the other records, each in short transactions of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import psycopg
import uvloop

from common import DATABASE, body, status

Post = Callable[[str, bytes], Awaitable[tuple[int, bytes]]]
Client = Callable[[int], AbstractAsyncContextManager[Post]]

BATCH = 500
FLUSH_SECONDS = 0.2
# What lies before the last one claimed is claimed by us or by another: it is not looked at again.
CLAIM = """
WITH batch AS MATERIALIZED (
    SELECT id FROM message WHERE status = 'new' AND id > %s ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE message SET status = 'sending' FROM batch WHERE message.id = batch.id
RETURNING message.id, message.phone, message.text
"""
RECORD = """
UPDATE message SET status = result.status, http_status = result.code, sent_at = clock_timestamp()
FROM unnest(%s::bigint[], %s::text[], %s::smallint[]) AS result (id, status, code)
WHERE message.id = result.id
"""


async def connect() -> psycopg.AsyncConnection:
    """A connection on which every statement is a transaction."""
    return await psycopg.AsyncConnection.connect(DATABASE, autocommit=True)


class Pipeline:
    """One process's work."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._claimed: asyncio.Queue = asyncio.Queue(maxsize=BATCH)
        self._results: list[tuple[int, str, int]] = []
        self._sent = False

    async def run(self, concurrency: int) -> None:
        """Until nothing is to be claimed."""
        recording = asyncio.create_task(self._record())
        claiming = asyncio.create_task(self._claim(concurrency))
        await asyncio.gather(claiming, *(self._send() for _ in range(concurrency)))
        self._sent = True
        await recording

    async def _claim(self, concurrency: int) -> None:
        last = 0
        async with await connect() as connection:
            while rows := await (await connection.execute(CLAIM, (last, BATCH))).fetchall():
                last = max(row[0] for row in rows)
                for row in rows:
                    await self._claimed.put(row)
        for _ in range(concurrency):
            await self._claimed.put(None)

    async def _send(self) -> None:
        while (row := await self._claimed.get()) is not None:
            code, answer = await self._post(str(row[0]), body(*row))
            self._results.append((row[0], status(code, answer), code))

    async def _record(self) -> None:
        async with await connect() as connection:
            while not self._sent or self._results:
                await asyncio.sleep(0 if self._sent else FLUSH_SECONDS)
                results, self._results = self._results, []
                if results:
                    ids, statuses, codes = (list(column) for column in zip(*results, strict=True))
                    await connection.execute(RECORD, (ids, statuses, codes))


def main(client: Client, concurrency: int, loop: str) -> None:
    """Send everything with this client, on asyncio's own event loop or on `uvloop`."""

    async def send() -> None:
        async with client(concurrency) as post:
            await Pipeline(post).run(concurrency)

    factory = uvloop.new_event_loop if loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(send())
