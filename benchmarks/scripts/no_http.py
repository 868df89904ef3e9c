"""mailer's engine with a service that accepts at once: what the database and the bookkeeping cost."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType
from typing import Self

from mailer_cli.database import Dsn
from mailer_cli.dispatch import Options, dispatch
from mailer_cli.service import Accepted, MessageService, Outcome

ACCEPTED = Accepted(200)


class Yes(MessageService):
    """Accepts every message without looking at it."""

    def __init__(self) -> None:
        """It connects to nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing was opened."""

    async def send(self, message_id: int, phone: str, text: str, still: Callable[[], bool] = bool) -> Outcome:
        """Say yes."""
        del message_id, phone, text, still
        return ACCEPTED


if __name__ == "__main__":
    dispatch(Dsn(os.environ["DATABASE_URL"]), Yes, Options(max_seconds=300))
