"""As which user of the operating system the server runs. PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from mailer_cli.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Account:
    """The user of the operating system that the server runs as."""

    uid: int
    gid: int
    other: bool  # than the caller: who is root then

    @property
    def name(self) -> str:
        """What the system calls it; its number if it has no name."""
        return name_of(self.uid)


def for_server() -> Account:
    """Return whom the server runs as if we start it; raise ConfigurationError if that cannot be."""
    uid = os.geteuid()
    if uid != 0:
        return Account(uid, os.getegid(), other=False)
    wanted = os.environ.get("MAILER_PG_USER") or "nobody"
    try:
        entry = pwd.getpwuid(int(wanted)) if wanted.isdecimal() else pwd.getpwnam(wanted)
    except KeyError:
        raise ConfigurationError(
            f"PostgreSQL does not run as root, and there is no user {wanted} to run it as\n"
            "set MAILER_PG_USER to an unprivileged user, or DATABASE_URL to a PostgreSQL of yours"
        ) from None
    if entry.pw_uid == 0:
        raise ConfigurationError("MAILER_PG_USER must not be root: PostgreSQL refuses to run as root")
    return Account(entry.pw_uid, entry.pw_gid, other=True)


def check_name(account: Account) -> None:
    """Raise ConfigurationError for a user without a name, as containers like them: initdb refuses it."""
    if account.name == str(account.uid):
        raise ConfigurationError(
            f"user id {account.uid} has no name here, and PostgreSQL makes no database without one\n"
            "give it a line in /etc/passwd, or set DATABASE_URL to a PostgreSQL of your own"
        )


def can_enter(directory: Path, account: Account) -> bool:
    """Tell whether the account may pass through `directory` and all above it, as far as they exist."""
    for folder in (directory, *directory.parents):
        try:
            found = folder.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue  # we shall make it, passable, or say why that cannot be done
        except OSError:
            return False
        if not stat.S_ISDIR(found.st_mode):
            continue
        who = stat.S_IXUSR if found.st_uid == account.uid else stat.S_IXOTH
        if found.st_gid == account.gid and found.st_uid != account.uid:
            who = stat.S_IXGRP
        if not found.st_mode & who:
            return False
    return True


def name_of(uid: int) -> str:
    """Return what the system calls that user; the number if it has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
