"""Starting and stopping the server. Everything here happens under the lock."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

from mailer_cli.database.embedded import cluster, directories, journal, pidfile, programs
from mailer_cli.database.embedded.place import Place
from mailer_cli.database.embedded.programs import Programs
from mailer_cli.errors import UnavailableError

PAUSE = 0.1  # seconds between two tries to start
TRIES = 3  # after that many the reason will not pass by itself
MAJOR_18 = 18

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "dynamic_shared_memory_type": "mmap",  # containers have a tiny /dev/shm, or none
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
FROM_18 = {"io_method": "sync"}  # no worker processes that wait for nothing
NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def start(place: Place, *, durable: bool, deadline: float, lock: int) -> None:
    """Start the server, make its data directory before if there is none, and wait until it serves."""
    directories.sweep(place)
    directories.prepare_sockets(place)
    found = programs.for_server(place, durable=durable)
    data = cluster.find(place, found)
    if data is None:
        data = cluster.create(place, found, durable=durable, deadline=deadline, lock=lock)
    starting = _Starting(place, found, data, durable)
    try:
        starting.until_it_serves(deadline)
    finally:
        starting.leave()


def stop(place: Place, deadline: float) -> bool:
    """Stop the server; return whether it was running, raise UnavailableError if it still is."""
    found = pidfile.running(place)
    if found is None:
        return False
    data, pid = found
    _interrupt(pid)
    while pidfile.serves(pid, data, place.account.uid):
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"the embedded database (process {pid}) is still stopping\nsee {place.log}"
            )
        time.sleep(directories.POLL)
    return True


class _Starting:
    """One attempt to get the server to serve, however often it has to be started for that."""

    def __init__(self, place: Place, found: Programs, data: Path, durable: bool) -> None:  # noqa: FBT001 - private
        self._place = place
        self._data = data
        self._command = [
            str(found.folder / "postgres"),
            "-D",
            str(data),
            *_options(place, found.major, durable),
        ]
        self._child: subprocess.Popen[bytes] | None = None
        self._tries = 0
        self._said_from = journal.length(place)  # where in the log the latest try begins

    def until_it_serves(self, deadline: float) -> None:
        while not self._serves():
            if time.monotonic() > deadline:
                said = journal.since(self._place, self._said_from)
                raise journal.failure(self._place, said or "it is not ready yet")
            if self._child is None or self._child.poll() is not None:
                self._start_unless_running()
            time.sleep(directories.POLL)

    def leave(self) -> None:
        """Let the server run on; whenever it ends, its process is reaped."""
        if self._child is not None and self._child.poll() is None:
            threading.Thread(target=self._child.wait, daemon=True, name="mailer-postgres").start()

    def _serves(self) -> bool:
        if pidfile.state(self._data) != pidfile.READY or not self._place.accepts():
            return False
        return _connects(self._place.uri)

    def _start_unless_running(self) -> None:
        uid = self._place.account.uid
        pid = pidfile.living(self._data, uid) or pidfile.unregistered(self._data, uid)
        if pid is not None:
            if pidfile.state(self._data) == pidfile.READY and not self._place.socket.exists():
                _interrupt(pid)  # somebody tidied its socket away: nobody can ever reach it again
            return
        if self._place.accepts():
            return  # it runs where its process cannot be seen: in another container
        if self._child is not None:
            self._consider_failure(self._child.returncode)
        pidfile.repair(self._data, uid)
        Path(f"{self._place.socket}.lock").unlink(missing_ok=True)
        self._launch()

    def _consider_failure(self, returncode: int) -> None:
        said = journal.since(self._place, self._said_from)
        # Somebody killed it, or the processes of a killed server need a while to end: that will pass.
        passes = returncode == -signal.SIGKILL or "still in use" in said
        self._tries += not passes
        if self._tries >= TRIES:
            raise journal.failure(self._place, said)
        time.sleep(PAUSE)

    def _launch(self) -> None:
        log = journal.open_for_server(self._place)
        self._said_from = os.fstat(log).st_size
        try:
            self._child = subprocess.Popen(  # noqa: S603 - the program was found by us or named by the operator
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=cluster.ENVIRONMENT,
                close_fds=True,  # the lock of a caller such as flock(1) must not live on in the server
                start_new_session=True,
                **cluster.as_account(self._place.account),
            )
        finally:
            os.close(log)
        import psycopg  # noqa: F401 - takes longer than the server takes to start: done meanwhile


def _options(place: Place, major: int, durable: bool) -> list[str]:  # noqa: FBT001 - private
    settings = SETTINGS | {"unix_socket_directories": _quoted(place.sockets)}
    if major >= MAJOR_18:
        settings |= FROM_18
    if not durable:
        settings |= NOT_DURABLE
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _quoted(directory: Path) -> str:
    # The setting is a list: commas, spaces and quotes in a path need PostgreSQL's double quotes.
    return '"' + str(directory).replace('"', '""') + '"'


def _connects(uri: str) -> bool:
    """Tell whether a real connection can be had; also if it is refused for a reason that will not pass."""
    import psycopg

    try:
        psycopg.connect(uri, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        said = str(error)
        return "FATAL" in said and "the database system is" not in said
    return True


def _interrupt(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended just now
        os.kill(pid, signal.SIGINT)  # "fast": clients are disconnected, nothing is lost
