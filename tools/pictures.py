"""Make the pictures of the README: real commands on a real terminal, drawn by Rich.

python tools/pictures.py [DIRECTORY]
"""

from __future__ import annotations

import base64
import json
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import tempfile
import time
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
MAILER = str(Path(sys.executable).parent / "mailer")
COLUMNS, LINES = 100, 40
# What is drawn, of what the demonstration has made.
COMMANDS = {
    "report": ["report"],
    "top": ["top", "-n", "1"],
    "doctor": ["doctor"],
    "why": ["why", "1", "--mailing", "2"],
}
COLOURS = {"brown": "yellow", "default": None}  # as a terminal of old called them


def on_a_terminal(words: list[str], env: dict[str, str], home: Path) -> str:
    """Type a command on a terminal of its own, and return what it wrote there."""
    master, slave = pty.openpty()
    ioctl(slave, TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    with subprocess.Popen(
        [MAILER, *words],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=env,
        cwd=home,
    ) as typed:
        os.close(slave)
        written = b""
        while select.select([master], [], [], 60)[0]:
            try:
                written += os.read(master, 65536)
            except OSError:  # the other side is gone
                break
        typed.wait(10)
    os.close(master)
    return written.decode()


def a_token(days: int) -> str:
    """A token that ends in so many days, for the doctor to find."""
    claims = json.dumps({"exp": time.time() + days * 86_400 + 3600}).encode()
    return f"eyJhbGciOiJIUzI1NiJ9.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2lnbmF0dXJl"


def seen(written: str) -> Text:
    """What is to be seen when all of it is written: bars have moved, and screens been redrawn."""
    screen = pyte.Screen(COLUMNS, 400)
    pyte.Stream(screen).feed(written.replace("\x1b[?1049", "\x1b[?9"))  # the other screen is looked at, too
    lines = [line(screen, number) for number in range(screen.lines)]
    while lines and not lines[-1].plain.strip():
        lines.pop()
    return Text("\n").join(lines)


def line(screen: pyte.Screen, number: int) -> Text:
    """One line of a terminal as Rich's text."""
    text = Text()
    for column in range(screen.columns):
        char = screen.buffer[number][column]
        text.append(char.data, Style(color=colour(char.fg), bold=char.bold, italic=char.italics))
    text.rstrip()
    return text


def colour(name: str) -> str | None:
    """A terminal's colour as Rich calls it."""
    if name in COLOURS:
        return COLOURS[name]
    return (
        f"#{name}"
        if len(name) == 6 and set(name) <= set("0123456789abcdef")
        else name.replace("bright", "bright_")
    )


def draw(name: str, words: list[str], written: str, directory: Path) -> None:
    """Draw what a command wrote."""
    with Path(os.devnull).open("w") as nobody:
        canvas = Console(record=True, width=COLUMNS, file=nobody, force_terminal=True)
        canvas.print(Text("$ mailer " + " ".join(words), "bold"))
        canvas.print(seen(written))
        canvas.save_svg(str(directory / f"{name}.svg"), title="mailer", unique_id=f"mailer-{name}")


def main(directory: Path) -> None:
    """Make all pictures."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mailer-pictures-") as place:
        home = Path(place)
        home.chmod(0o711)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": place,
            "MAILER_HOME": place,
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
            "LC_ALL": "C.UTF-8",
        }
        draw("demo", ["demo"], on_a_terminal(["demo"], env, home), directory)
        env["MAILER_HOME"] = str(home / "demo")  # from now on, the demonstration's database
        with socket.create_server(("127.0.0.1", 0)) as service:
            env["MESSAGE_SERVICE_URL"] = f"http://127.0.0.1:{service.getsockname()[1]}/send/"
            env["JWT_TOKEN"] = a_token(days=5)
            for name, words in COMMANDS.items():
                draw(name, words, on_a_terminal(words, env, home), directory)
        subprocess.run([MAILER, "db", "stop"], env=env, cwd=home, check=True, capture_output=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES)
