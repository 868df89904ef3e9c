"""Procrastinate: on_procrastinate.py enqueue | work CONCURRENCY DATABASE_CONNECTIONS."""

import asyncio
import sys

import aiohttp
import psycopg
from procrastinate import App, PsycopgConnector
from psycopg_pool import AsyncConnectionPool

from common import DATABASE, HEADERS, READ, RECORD, TIMEOUT, URL, body, status

CHUNK = 1000
CONNECTIONS = int(sys.argv[3]) // 2 if len(sys.argv) > 3 else 1  # for the queue; as many for the results

app = App(connector=PsycopgConnector(conninfo=DATABASE, min_size=CONNECTIONS, max_size=CONNECTIONS))
session: aiohttp.ClientSession
results: AsyncConnectionPool


@app.task(name="send")
async def send(number: int, phone: int, text: str) -> None:
    """Post one message and write down what came of it."""
    async with session.post(f"{URL}{number}", data=body(number, phone, text)) as response:
        outcome = status(response.status, await response.read())
    async with results.connection() as connection:
        await connection.execute(RECORD, (outcome, response.status, number))


async def enqueue() -> None:
    """A job for each message, with all it takes to send it."""
    with psycopg.connect(DATABASE) as connection:
        rows = connection.execute(READ).fetchall()
    names = ("number", "phone", "text")
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        for first in range(0, len(rows), CHUNK):
            jobs = [dict(zip(names, row, strict=True)) for row in rows[first : first + CHUNK]]
            await send.batch_defer_async(*jobs)


async def work(concurrency: int) -> None:
    """Send until SIGTERM."""
    global session, results
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with (
        AsyncConnectionPool(
            DATABASE, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs={"autocommit": True}
        ) as results,
        aiohttp.ClientSession(headers=HEADERS, timeout=timeout, connector=connector) as session,
        app.open_async(),
    ):
        await app.run_worker_async(concurrency=concurrency, fetch_job_polling_interval=0.5)


if __name__ == "__main__":
    asyncio.run(enqueue() if sys.argv[1] == "enqueue" else work(int(sys.argv[2])))
