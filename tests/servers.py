"""PostgreSQL servers of Debian's packages, for what the embedded one cannot do: TLS, passwords, standbys."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
UTF8 = ("--encoding=UTF8", "--locale=C")
needs_postgresql = pytest.mark.skipif(
    not PROGRAMS, reason="needs a PostgreSQL of the system: apt install postgresql"
)


@contextmanager
def a_place() -> Iterator[Path]:
    """A directory in which whoever runs servers may make clusters."""
    place = Path(tempfile.mkdtemp(prefix="mailer-servers-"))
    place.chmod(0o711)
    try:
        if os.getuid() == 0:
            shutil.chown(place, "nobody", "nogroup")
        yield place
    finally:
        shutil.rmtree(place)


class Cluster:
    """One cluster on a port of its own, run by an ordinary user."""

    def __init__(self, place: Path) -> None:
        self.data = place
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def make(self, *options: str) -> None:
        """Make it, with a superuser `mailer`."""
        self._run("initdb", "-D", self.data, "-U", "mailer", "--no-sync", *UTF8, *options)

    def copy(self, primary: Cluster, name: str) -> None:
        """Make it a standby of another."""
        source = f"host=127.0.0.1 port={primary.port} user=mailer application_name={name}"
        self._run("pg_basebackup", "-D", self.data, "-d", source, "-R", "-X", "stream", "-c", "fast")

    def start(self, **settings: str) -> None:
        """Start it on loopback; fsync is off unless it is asked for."""
        wanted = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"} | settings
        options = " ".join(f"-c {name}='{value}'" for name, value in wanted.items())
        self.control("start", "-w", "-l", f"{self.data}.log", "-o", f"-p {self.port} {options}")

    def control(self, *words: str) -> None:
        """Run pg_ctl."""
        self._run("pg_ctl", words[0], "-D", self.data, *words[1:])

    @property
    def pid(self) -> int:
        """The server's process."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def address(self, database: str = "postgres") -> str:
        """Return the libpq address of one of its databases."""
        return f"postgresql://mailer@127.0.0.1:{self.port}/{database}"

    @staticmethod
    def _run(program: str, *words: object) -> None:
        command = [str(PROGRAMS[-1] / program), *map(str, words)]
        if os.getuid() == 0:
            command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
        output = subprocess.DEVNULL  # a pipe would be held open by the server
        subprocess.run(command, check=True, cwd="/", stdout=output, stderr=output)
