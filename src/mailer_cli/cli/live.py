"""A screen that is redrawn, and the keys that are pressed meanwhile: with `output`, all that knows Rich."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mailer_cli.cli import output

if TYPE_CHECKING:
    from rich.live import Live

# One piece of a line, and how it is meant: "", "bold", "dim", "green", "yellow", "red".
Piece = tuple[str, str]
Line = Sequence[Piece]
Draw = Callable[[int, int], Sequence[Line]]  # from columns and lines of the terminal

_GLANCE = 0.2  # seconds between looks at the size of the terminal
_QUIT = {"q", "Q", "\x1b"}


class Screen:
    """What is drawn on a terminal, again whenever its size changes."""

    def __init__(self, live: Live) -> None:
        self._live = live
        self._draw: Draw | None = None
        self._size = live.console.size

    def show(self, draw: Draw) -> None:
        """Draw this from now on."""
        self._draw = draw
        self._redraw()

    def wait(self, seconds: float) -> bool:
        """Let a person look at it; False if they have seen enough. Any other key shows the next at once."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if key := _pressed(min(left, _GLANCE)):
                return key not in _QUIT
            if self._live.console.size != self._size:
                self._redraw()
        return True

    def _redraw(self) -> None:
        from rich.text import Text

        assert self._draw is not None  # noqa: S101 - `show` comes first
        self._size = self._live.console.size
        lines = self._draw(self._size.width, self._size.height)
        drawn = Text("\n", no_wrap=True, overflow="crop").join(
            Text.assemble(*((output.printable(text), style) for text, style in line)) for line in lines
        )
        self._live.update(drawn, refresh=True)


@contextmanager
def screen(*, alternate: bool) -> Iterator[Screen]:
    """Draw on stdout; `alternate` gives back what was on the terminal before."""
    from rich.live import Live

    shown = output.console()
    live = Live(
        console=shown,
        screen=alternate,
        auto_refresh=False,
        redirect_stdout=False,  # nothing else is written meanwhile, and bars ask what stdout can show
        redirect_stderr=False,
        vertical_overflow="crop",
    )
    with _unechoed(), live:
        yield Screen(live)


@contextmanager
def _unechoed() -> Iterator[None]:
    """Read keys as they are pressed, and do not show them."""
    if not sys.stdin.isatty():
        yield
        return
    import termios
    import tty

    handle = sys.stdin.fileno()
    before = termios.tcgetattr(handle)
    try:
        tty.setcbreak(handle)
        yield
    finally:
        termios.tcsetattr(handle, termios.TCSADRAIN, before)


def _pressed(seconds: float) -> str:
    """Return a key pressed within so many seconds; nothing without a keyboard."""
    if not sys.stdin.isatty():
        time.sleep(seconds)
        return ""
    if not select.select([sys.stdin], [], [], seconds)[0]:
        return ""
    return os.read(sys.stdin.fileno(), 1).decode(errors="replace")
