"""Hosts with Debian's cron: a namespace each, with a name, a network, a spool and mail of its own.

Nothing of the machine is touched but for one user, who is removed again: what a host mounts, and the
wires between hosts, vanish with the process that holds its namespaces.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[2]
POSTGRES = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "a-password-that-must-never-show"
PROGRAM = "/opt/mailer/.venv/bin/mailer"
COPIED = ("src", "pyproject.toml", "README.md", "LICENSE", "crontab.example")
TOOLS = ("cron", "crontab", "unshare", "nsenter", "ip", "runuser", "useradd", "userdel", "mount")
# A host's /dev is made anew, so that its syslog can be listened to.
MOUNTS = """
set -e
mount --make-rprivate /
hostname {name}
mount -t tmpfs tmpfs /run
mount --bind {place}/spool /var/spool/cron
mount --bind {place}/home /home
mount --bind {place}/../opt /opt
mount -t overlay overlay -o lowerdir={place}/sbin:/usr/sbin /usr/sbin
mount -t tmpfs tmpfs {place}/dev
for device in null zero full random urandom tty; do cp -a /dev/$device {place}/dev/; done
ln -s /proc/self/fd {place}/dev/fd
ln -s {place}/log {place}/dev/log
mkdir {place}/dev/shm && chmod 1777 {place}/dev/shm
mount --bind {place}/dev /dev
ip link set lo up
"""
SENDMAIL = """#!/bin/sh
cat > "$(mktemp {place}/mails/XXXXXX)"
"""


def missing() -> str:
    """What keeps this machine from being such a world; empty if nothing does."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [tool for tool in TOOLS if shutil.which(tool, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    if absent:
        return f"needs {', '.join(absent)}"
    if not (POSTGRES / "postgres").exists():
        return "needs PostgreSQL 15 as Debian installs it"
    tried = subprocess.run(["unshare", "-mnu", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], check=False)
    return "" if tried.returncode == 0 else "may not make namespaces"


def done(*words: str, **more: object) -> str:
    """Run a command to its good end; return what it said."""
    ended = subprocess.run(words, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    assert ended.returncode == 0, f"{words}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    told: str = ended.stdout
    return told


@contextmanager
def running(*words: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command until the block ends."""
    with log.open("ab") as file:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@contextmanager
def a_user() -> Iterator[str]:
    """An ordinary user, removed afterwards."""
    name = f"mailer-{os.getpid()}"
    done("useradd", "--no-create-home", "--home-dir", f"/home/{name}", "--shell", "/bin/sh", name)
    try:
        yield name
    finally:
        for _ in range(20):
            if subprocess.run(["userdel", name], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(1)  # something of theirs is still running


@dataclass
class Host:
    """A machine with a cron of its own."""

    name: str
    user: str
    place: Path
    syslog: list[str] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)
    pid: int = 0

    def __enter__(self) -> Self:
        for folder in ("spool/crontabs", "home", "sbin", "mails", "dev"):
            (self.place / folder).mkdir(parents=True)
        shutil.chown(self.place / "spool/crontabs", "root", "crontab")
        (self.place / "spool/crontabs").chmod(0o1730)
        (self.place / "mails").chmod(0o1777)
        (self.place / "sbin/sendmail").write_text(SENDMAIL.format(place=self.place))
        (self.place / "sbin/sendmail").chmod(0o755)
        self.home.mkdir()
        shutil.chown(self.home, self.user, self.user)
        self._listen()
        holder = running("unshare", "-mnu", "sleep", "infinity", log=self.place / "holder.log")
        self.pid = self._stack.enter_context(holder).pid
        time.sleep(0.5)  # until its namespaces are its own
        self.root("sh", "-c", MOUNTS.format(name=self.name, place=self.place))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def home(self) -> Path:
        """The user's home, as seen from outside."""
        return self.place / "home" / self.user

    @property
    def mails(self) -> list[str]:
        """The mails that cron handed to sendmail, in the order they came."""
        files = sorted((self.place / "mails").iterdir(), key=lambda file: file.stat().st_mtime)
        return [file.read_text() for file in files]

    def root(self, *words: str) -> str:
        """Run something here as root."""
        return done("nsenter", "-t", str(self.pid), "-m", "-n", "-u", *words)

    def type(self, *words: str) -> str:
        """Type a command as the user, from their home."""
        # A login shell's environment: nothing of the tests'.
        line = f"cd && exec {' '.join(words)}"
        return self.root("runuser", "-l", self.user, "-c", line)

    def configure(self, text: str) -> None:
        """Write the user's `~/.config/mailer/env`, for nobody else to read."""
        file = self.home / ".config" / "mailer" / "env"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o600)
        for path in (file, file.parent, file.parent.parent):
            shutil.chown(path, self.user, self.user)

    def start_cron(self) -> None:
        """Start Debian's cron, that logs the start and end of each job."""
        words = ("nsenter", "-t", str(self.pid), "-m", "-n", "-u", "/usr/sbin/cron", "-f", "-L", "15")
        self._stack.enter_context(running(*words, log=self.place / "cron.log"))

    def _listen(self) -> None:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        line.bind(str(self.place / "log"))
        (self.place / "log").chmod(0o666)

        def hear() -> None:
            while heard := line.recv(65536):
                self.syslog.append(heard.decode(errors="replace"))

        threading.Thread(target=hear, daemon=True, name=f"syslog of {self.name}").start()
        self._stack.callback(line.close)
        self._stack.callback(self._hang_up)

    def _hang_up(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.sendto(b"", str(self.place / "log"))


@dataclass
class Server:
    """Where PostgreSQL and the message service are: a network away from the hosts."""

    place: Path
    _stack: ExitStack = field(default_factory=ExitStack)
    _postgres: ExitStack = field(default_factory=ExitStack)
    _service: ExitStack = field(default_factory=ExitStack)
    pid: int = 0

    def __enter__(self) -> Self:
        holder = running("unshare", "-n", "sleep", "infinity", log=self.place / "server.log")
        self.pid = self._stack.enter_context(holder).pid
        time.sleep(0.5)
        self._here("ip", "link", "set", "lo", "up")
        data, words = self.place / "pg", self.place / "pg-password"
        data.mkdir()
        words.write_text(PASSWORD)
        for path in (data, words):
            shutil.chown(path, "postgres", "postgres")
        method = ("--auth=scram-sha-256", f"--pwfile={words}", "--username=mailer", "--locale=C.UTF-8")
        self._as_postgres("initdb", "-D", str(data), "-E", "UTF8", *method)
        with (data / "pg_hba.conf").open("a") as file:
            file.write("host all all 10.77.0.0/16 scram-sha-256\n")
        self.start_postgres()
        env = {"PGPASSWORD": PASSWORD, "PATH": os.environ["PATH"]}
        address = ("-h", "127.0.0.1", "-U", "mailer")
        self._here(str(POSTGRES / "createdb"), *address, "mailer", env=env)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop_service()
        self.stop_postgres()
        self._stack.close()

    @property
    def ledger(self) -> Path:
        """What the service has accepted."""
        return self.place / "ledger.jsonl"

    def wire(self, host: Host, number: int) -> str:
        """Lay a cable to a host; return this server's address at its other end."""
        here, there = f"10.77.{number}.1", f"10.77.{number}.2"
        ends = (f"s{number}", "netns", str(self.pid), "type", "veth", "peer", "name", "eth0", "netns")
        done("ip", "link", "add", *ends, str(host.pid))
        self._here("ip", "addr", "add", f"{here}/30", "dev", f"s{number}")
        self._here("ip", "link", "set", f"s{number}", "up")
        host.root("ip", "addr", "add", f"{there}/30", "dev", "eth0")
        host.root("ip", "link", "set", "eth0", "up")
        return here

    def start_postgres(self) -> None:
        """Start the database, and wait until it answers."""
        data = str(self.place / "pg")
        words = (str(POSTGRES / "postgres"), "-D", data, "-h", "*", "-k", data)
        self._postgres.enter_context(running(*self._enter, *_AS_POSTGRES, *words, log=self.place / "pg.log"))
        asked = [*self._enter, str(POSTGRES / "pg_isready"), "-q", "-h", "127.0.0.1"]
        for _ in range(100):
            if subprocess.run(asked, check=False).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError((self.place / "pg.log").read_text())

    def stop_postgres(self) -> None:
        """Stop the database."""
        self._postgres.close()

    def start_service(self, *options: str, token: str) -> None:
        """Start the message service, in the place of the one there is."""
        self.stop_service()
        words = (sys.executable, "-m", "mailer_cli", "sandbox", "-q", "--host", "0.0.0.0", "--token", token)  # noqa: S104 - a network of its own
        ledger = ("--ledger", str(self.ledger), *options)
        self._service.enter_context(running(*self._enter, *words, *ledger, log=self.place / "service.log"))

    def stop_service(self) -> None:
        """Stop the message service."""
        self._service.close()

    @property
    def _enter(self) -> tuple[str, ...]:
        return ("nsenter", "-t", str(self.pid), "-n")

    def _here(self, *words: str, **more: object) -> str:
        return done(*self._enter, *words, **more)

    def _as_postgres(self, program: str, *words: str) -> None:
        self._here(*_AS_POSTGRES, str(POSTGRES / program), *words)


_AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--")


@contextmanager
def a_place() -> Iterator[Path]:
    """A folder that other users can walk through."""
    place = Path(tempfile.mkdtemp(prefix="mailer-cron-"))
    place.chmod(0o755)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def install(host: Host) -> None:
    """Set mailer up in /opt/mailer, by the README's words; every host sees the same."""
    copy = host.place.parent / "opt" / "mailer"
    copy.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
        else:
            shutil.copy(source, copy / name)
    # Only its mounts: the network is the machine's, for pip. Root's own Python may be closed to the user.
    words = "cd /opt/mailer && PATH=/usr/bin:/bin && python3 -m venv .venv && .venv/bin/pip install -q ."
    done("nsenter", "-t", str(host.pid), "-m", "sh", "-c", words)
