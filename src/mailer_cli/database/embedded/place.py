"""Where the embedded server lives, and as which user of the operating system it runs.

PostgreSQL refuses to run as root. Started by root, it runs as `nobody` (or MAILER_PG_USER), in the
wanted directory if that user can get there, else in one of our own under /var/lib/mailer.
"""

from __future__ import annotations

import os
import pwd
import re
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from mailer_cli.database.embedded.account import Account, can_enter, for_server, name_of
from mailer_cli.errors import ConfigurationError

SYSTEM = Path("/var/lib/mailer")
SOCKET = ".s.PGSQL.5432"
LONGEST_SOCKET = 107  # bytes, a limit of the kernel


@dataclass(frozen=True, slots=True)
class Place:
    """The private directory, and what is where in it."""

    root: Path
    sockets: Path
    account: Account

    @property
    def lock(self) -> Path:
        """The file that is locked by whoever starts or stops the server."""
        return self.root / "lock"

    @property
    def log(self) -> Path:
        """What the server has to say."""
        return self.root / "postgres.log"

    @property
    def socket(self) -> Path:
        """The one address of the server."""
        return self.sockets / SOCKET

    @property
    def uri(self) -> str:
        """The address as libpq wants it; the port is given lest PGPORT changes it."""
        return f"postgresql://mailer@/mailer?host={quote(os.fsencode(self.sockets), safe='')}&port=5432"

    def clusters(self) -> list[Path]:
        """The data directories that exist, one for each major version of PostgreSQL."""
        try:
            names = os.listdir(self.root)  # noqa: PTH208 - Path.iterdir hides which error it was until 3.13
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return []
        return [self.root / name for name in sorted(names) if re.fullmatch(r"pg\d\d", name)]

    def cluster(self, version: str | None) -> Path:
        """The data directory that programs of that version have made, or would make."""
        wanted = self.root / f"pg{(version or '18').partition('.')[0]}"
        existing = self.clusters()
        return existing[-1] if existing and wanted not in existing else wanted

    def accepts(self) -> bool:
        """Tell whether our server listens on the socket; it costs some microseconds."""
        if not self._sockets_are_ours():
            return False
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(0)
            try:
                client.connect(str(self.socket))
            except BlockingIOError:
                return True  # so many callers that the queue is full
            except OSError:
                return False
        return True

    def _sockets_are_ours(self) -> bool:
        # Below /tmp anybody could have made a folder of that name, and listen in it.
        try:
            found = self.sockets.lstat()
        except OSError:
            return False
        return stat.S_ISDIR(found.st_mode) and found.st_uid == self.account.uid


def default_home(environ: Mapping[str, str]) -> Path:
    """Return the wanted home: MAILER_HOME, else $XDG_DATA_HOME/mailer, else ~/.local/share/mailer.

    Raise ConfigurationError if MAILER_HOME is relative, or if there is no home directory to go by.
    """
    if wanted := environ.get("MAILER_HOME"):
        home = Path(_home(environ), wanted[2:]) if wanted.startswith("~/") else Path(wanted)
        if not home.is_absolute():
            raise ConfigurationError(f"MAILER_HOME {wanted} is relative: give the whole path, from /")
        return home
    base = Path(environ.get("XDG_DATA_HOME", ""))
    if not base.is_absolute():  # the XDG specification: such a value is ignored
        base = Path(_home(environ), ".local", "share")
    return base / "mailer"


def _home(environ: Mapping[str, str]) -> str:
    if home := environ.get("HOME"):
        return home
    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        raise ConfigurationError("no home directory: set MAILER_HOME to a folder you can write") from None


def locate(home: Path) -> Place:
    """Decide which directory serves the wanted `home`; look only, create nothing.

    Raise ConfigurationError if a cluster that is there already belongs to somebody else.
    """
    wanted = Path(os.path.realpath(home))
    account = for_server()
    root = wanted / "postgres"
    _refuse_foreign(root)
    if account.other:
        apart = SYSTEM / _digest(wanted)
        if apart.is_dir() or not can_enter(wanted, account):
            _refuse_hidden(root, account)
            root = apart
    sockets = root / "socket"
    if len(os.fsencode(sockets / SOCKET)) > LONGEST_SOCKET or "," in str(sockets):  # libpq: a list of hosts
        sockets = Path(f"/tmp/mailer-{account.uid}-{_digest(root)}")  # noqa: S108 - owner and mode are checked before use
    return Place(root, sockets, account)


def _refuse_foreign(root: Path) -> None:
    """Whoever may enter could use the server of another user, but never start it again: use neither."""
    try:
        owner = root.lstat().st_uid
    except OSError:
        return
    if owner != os.geteuid():
        raise ConfigurationError(
            f"the embedded database in {root} belongs to user {name_of(owner)}\n"
            f"run mailer as {name_of(owner)}, or set MAILER_HOME or DATABASE_URL"
        )


def _refuse_hidden(root: Path, account: Account) -> None:
    """Rather refuse than work with a second, empty database while the first one is out of sight."""
    if not (root.is_dir() and any(root.glob("pg??"))):
        return
    raise ConfigurationError(
        f"{root} holds a database, but user {account.name}, who runs the server for root, cannot reach it\n"
        "make the folders above it passable (chmod o+x), or set MAILER_HOME to another directory"
    )


def _digest(path: Path) -> str:
    import hashlib

    return hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
