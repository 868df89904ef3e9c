"""mailer's own client in a loop, nothing else: bare_client.py SHARE SHARES CONCURRENCY."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from benchmarks.wire import TEXT, TOKEN, phones
from mailer_cli.service import Accepted, MessageService


async def worker(service: MessageService, messages: Iterator[tuple[int, int]]) -> None:
    """Send one message after the other."""
    for number, phone in messages:
        outcome = await service.send(number, str(phone), TEXT)
        if not isinstance(outcome, Accepted):
            raise TypeError(outcome)


async def main(share: int, shares: int, concurrency: int) -> None:
    """Send this process's share of the messages."""
    every = enumerate(phones(int(os.environ["MESSAGES"])), start=1)
    messages = (message for message in every if message[0] % shares == share)
    url = os.environ["MESSAGE_SERVICE_URL"]
    async with (
        MessageService(url, TOKEN, connections=concurrency, timeout=10.0) as service,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(concurrency):
            group.create_task(worker(service, messages))


if __name__ == "__main__":
    asyncio.run(main(*map(int, sys.argv[1:])))
