"""PgQueuer: on_pgqueuer.py enqueue | work CONCURRENCY DATABASE_CONNECTIONS."""

import asyncio
import json
import signal
import sys

import aiohttp
import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from common import DATABASE, HEADERS, READ, TIMEOUT, URL, body, status

CHUNK = 1000
BATCH = 50  # jobs picked at once; PgQueuer wants at least two batches within the concurrency
RECORD = "UPDATE message SET status = $1, http_status = $2, sent_at = clock_timestamp() WHERE id = $3"


async def enqueue() -> None:
    """A job for each message, with all it takes to send it."""
    connection = await asyncpg.connect(DATABASE)
    queries = Queries.from_asyncpg_connection(connection)
    await queries.install()
    rows = [tuple(row) for row in await connection.fetch(READ)]
    for first in range(0, len(rows), CHUNK):
        payloads = [json.dumps(row).encode() for row in rows[first : first + CHUNK]]
        await queries.enqueue(["send"] * len(payloads), payloads, [0] * len(payloads))
    await connection.close()


async def work(concurrency: int, connections: int) -> None:
    """Send until SIGTERM."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with (
        asyncpg.create_pool(DATABASE, min_size=connections, max_size=connections) as pool,
        aiohttp.ClientSession(headers=HEADERS, timeout=timeout, connector=connector) as session,
    ):
        queuer = PgQueuer.from_asyncpg_pool(pool)

        @queuer.entrypoint("send")
        async def send(job: Job) -> None:
            number, phone, text = json.loads(job.payload or b"")
            async with session.post(f"{URL}{number}", data=body(number, phone, text)) as response:
                outcome = status(response.status, await response.read())
            await pool.execute(RECORD, outcome, response.status, number)

        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, queuer.shutdown.set)
        await queuer.run(batch_size=BATCH, max_concurrent_tasks=concurrency)


if __name__ == "__main__":
    asyncio.run(enqueue() if sys.argv[1] == "enqueue" else work(*map(int, sys.argv[2:])))
