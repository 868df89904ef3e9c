"""Hosts of our own on this machine: a network namespace each, on one bridge, with a PostgreSQL beside it.

It needs root and `ip`. Nothing of it can be reached from outside, and all of it is gone at the end.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks.children import FailedError

_SERVER = "postgres"  # the user it runs as: it refuses to run as root
_WAIT = 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Host:
    """One namespace; `link` is the bridge's end of its cable."""

    name: str
    link: str

    def words(self, *command: str) -> list[str]:
        """What runs a command there."""
        return ["ip", "netns", "exec", self.name, *command]

    def cable(self, *, plugged: bool) -> None:
        """Pull its cable, or plug it in again."""
        _ip("link", "set", self.link, "up" if plugged else "down")


@dataclass(frozen=True, slots=True)
class Network:
    """Hosts, and the address at which they find this machine."""

    address: str
    subnet: str
    hosts: list[Host]


def lacking() -> str | None:
    """Why namespaces cannot be had here; None if they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "network namespaces need `ip` (iproute2)"
    if binaries() is None:
        return "no PostgreSQL in /usr/lib/postgresql"
    name = f"mailer-{secrets.token_hex(3)}"
    try:
        with ExitStack() as stack:
            _bridge(stack, name[:15])
            _namespace(stack, name)
    except FailedError as error:
        return f"network namespaces cannot be had: {error}"
    return None


def binaries() -> Path | None:
    """The newest PostgreSQL of the distribution."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def network(number: int) -> Iterator[Network]:
    """So many hosts while the block lasts."""
    mark, third = secrets.token_hex(3), secrets.randbelow(250) + 1
    around = f"10.231.{third}"
    with ExitStack() as stack:
        bridge = f"mb{mark}"
        _bridge(stack, bridge)
        _ip("addr", "add", f"{around}.1/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        hosts = []
        for index in range(number):
            host = Host(f"mailer-{mark}-{index}", f"mv{mark}{index}")
            _namespace(stack, host.name)
            _ip("link", "add", host.link, "type", "veth", "peer", "name", "eth0", "netns", host.name)
            _ip("link", "set", host.link, "master", bridge, "up")
            _ip("-n", host.name, "addr", "add", f"{around}.{index + 2}/24", "dev", "eth0")
            _ip("-n", host.name, "link", "set", "eth0", "up")
            _ip("-n", host.name, "link", "set", "lo", "up")
            hosts.append(host)
        yield Network(f"{around}.1", f"{around}.0/24", hosts)


@contextmanager
def postgres(net: Network) -> Iterator[str]:
    """The address of a durable PostgreSQL that the hosts reach; it is deleted after the block."""
    folder = binaries()
    if folder is None:
        raise FailedError("no PostgreSQL in /usr/lib/postgresql")
    place = Path(tempfile.mkdtemp(prefix="mailer-hosts-"))
    data, port = place / "data", "5432"
    try:
        shutil.chown(place, _SERVER)
        place.chmod(0o755)
        init = [
            str(folder / "initdb"),
            "-D",
            str(data),
            "-U",
            "mailer",
            "--auth=trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run(init, check=True, capture_output=True, user=_SERVER, group=_SERVER, cwd="/")
        with (data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {net.subnet} trust\n")
        settings = {"listen_addresses": net.address, "port": port, "unix_socket_directories": place}
        words = [f"-c{name}={value}" for name, value in settings.items()]
        with (place / "log").open("wb") as log:
            server = subprocess.Popen(
                [folder / "postgres", "-D", data, *words], stderr=log, user=_SERVER, group=_SERVER
            )
        try:
            address = f"postgresql://mailer@{net.address}:{port}/postgres"
            _reached(address, place / "log")
            yield address
        finally:
            server.send_signal(2)
            server.wait(_WAIT)
    finally:
        shutil.rmtree(place)


def _reached(address: str, log: Path) -> None:
    end = time.monotonic() + _WAIT
    while True:
        with suppress(psycopg.OperationalError), psycopg.connect(address, connect_timeout=5):
            return
        if time.monotonic() >= end:
            raise FailedError(log.read_text())
        time.sleep(0.05)


def _bridge(stack: ExitStack, name: str) -> None:
    _ip("link", "add", name, "type", "bridge")
    stack.callback(_ip, "link", "del", name)


def _namespace(stack: ExitStack, name: str) -> None:
    _ip("netns", "add", name)
    stack.callback(_ip, "netns", "del", name)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        raise FailedError(f"ip {' '.join(words)}: {done.stderr.strip()}")
