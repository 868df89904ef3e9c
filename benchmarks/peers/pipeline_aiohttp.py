"""The plain pipeline with aiohttp: pipeline_aiohttp.py CONCURRENCY LOOP."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from common import HEADERS, TIMEOUT, URL
from pipeline import Post, main


@asynccontextmanager
async def client(concurrency: int) -> AsyncIterator[Post]:
    """One session with as many connections."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(headers=HEADERS, timeout=timeout, connector=connector) as session:

        async def post(path: str, content: bytes) -> tuple[int, bytes]:
            async with session.post(URL + path, data=content) as response:
                return response.status, await response.read()

        yield post


if __name__ == "__main__":
    main(client, int(sys.argv[1]), sys.argv[2])
