"""`mailer` for long shell scripts, started in milliseconds: a process with all imported, that forks.

    python -m forks SOCKET

`program` writes a `mailer` that hands its words, environment, directory and terminal over the socket, and
ends as the fork does.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from pathlib import Path

CLIENT = """#!{python} -ISE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    order = {{"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd()}}
    socket.send_fds(server, [json.dumps(order).encode() + b"\\n"], [0, 1, 2])
    sys.exit(int(server.recv(16)))
"""


def program(path: Path, address: Path) -> None:
    """Write a `mailer` that is run by the process that listens at `address`."""
    path.write_text(CLIENT.format(python=sys.executable, address=str(address)))
    path.chmod(0o755)


def serve(address: str) -> None:
    """Run what is asked for, each in a fork, until killed."""
    import mailer_cli.clients
    import mailer_cli.dispatch.engine
    import mailer_cli.overview
    import mailer_cli.service  # noqa: F401 - all imported before the fork
    from mailer_cli.cli.app import assemble

    assemble()

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(address)
        server.listen()
        os.write(1, b"listening\n")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
        while True:
            asking, _ = server.accept()
            with asking:
                if not os.fork():
                    os._exit(answer(asking))


def answer(asking: socket.socket) -> int:
    """Be the `mailer` that somebody typed."""
    from mailer_cli.cli import main

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    text, terminal, _, _ = socket.recv_fds(asking, 65536, 3)
    while not text.endswith(b"\n"):
        text += asking.recv(65536)
    order = json.loads(text)
    for number, target in enumerate(terminal):
        os.dup2(target, number)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    code = int(main(order["argv"]))
    sys.stdout.flush()
    sys.stderr.flush()
    asking.sendall(str(code).encode())
    return code


if __name__ == "__main__":
    serve(sys.argv[1])
