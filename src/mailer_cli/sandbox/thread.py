"""The sandbox in a thread of its own, beside whatever sends to it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from mailer_cli.sandbox.faults import Faults
from mailer_cli.sandbox.requests import Received
from mailer_cli.sandbox.server import Sandbox


class SandboxThread:
    """Runs a sandbox on a free port of 127.0.0.1 while the `with` block lasts."""

    def __init__(
        self,
        *,
        token: str | None = None,
        ledger: Path | None = None,
        faults: Faults | None = None,
        on_request: Callable[[Received], None] | None = None,
    ) -> None:
        self._sandbox = Sandbox(token=token, ledger=ledger, faults=faults, on_request=on_request)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name="sandbox", daemon=True)
        self._started = threading.Event()
        self._error: Exception | None = None
        self.url = ""

    @property
    def accepted(self) -> int:
        """How many messages were accepted."""
        return self._sandbox.accepted

    @property
    def received(self) -> int:
        """How many requests came in."""
        return self._sandbox.received

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            raise self._error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the sandbox and wait for its thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self.url = self._loop.run_until_complete(self._sandbox.start())
        except Exception as error:  # noqa: BLE001 - raised again where the block is entered
            self._error = error
        finally:
            self._started.set()
        if self._error is None:
            self._loop.run_forever()
            self._loop.run_until_complete(self._sandbox.stop())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()
