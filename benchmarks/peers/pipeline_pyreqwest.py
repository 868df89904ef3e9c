"""The plain pipeline with pyreqwest: pipeline_pyreqwest.py CONCURRENCY LOOP."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from pyreqwest.client import ClientBuilder

from common import HEADERS, TIMEOUT, URL
from pipeline import Post, main


@asynccontextmanager
async def client(concurrency: int) -> AsyncIterator[Post]:
    """One client with as many connections."""
    builder = ClientBuilder().default_headers(HEADERS).timeout(timedelta(seconds=TIMEOUT))
    async with builder.max_connections(concurrency).build() as session:

        async def post(path: str, content: bytes) -> tuple[int, bytes]:
            response = await session.post(URL + path).body_bytes(content).build().send()
            return response.status, bytes(await response.bytes())

        yield post


if __name__ == "__main__":
    main(client, int(sys.argv[1]), sys.argv[2])
