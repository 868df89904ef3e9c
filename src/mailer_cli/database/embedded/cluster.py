"""The data directory: made beside its place, complete with our database, then given its name."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

from mailer_cli.database.embedded import directories, journal
from mailer_cli.database.embedded.account import Account, check_name
from mailer_cli.database.embedded.place import Place
from mailer_cli.database.embedded.programs import Programs
from mailer_cli.errors import ConfigurationError, UnavailableError

# Nothing of the caller's environment: an uninstalled LC_ALL or a PGDATA of another server must not matter.
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/local/bin:/usr/bin:/bin"}
BUILTIN_LOCALE = 17  # the first major version that has what is named here
INITDB_SETTINGS = 16


def find(place: Place, programs: Programs) -> Path | None:
    """Return the data directory, None if it is yet to be made.

    Raise ConfigurationError if there is one that these programs, or this user, cannot read.
    """
    wanted = place.root / f"pg{programs.major}"
    existing = place.clusters()
    if wanted in existing:
        _check_owner(wanted, place.account)
        return wanted
    if existing:
        raise ConfigurationError(
            f"{existing[-1]} is not of PostgreSQL {programs.major}, the version of {programs.folder}\n"
            "set MAILER_PG_BIN to programs of its version; to move on, dump with those and restore with these"
        )
    return None


def create(place: Place, programs: Programs, *, durable: bool, deadline: float, lock: int) -> Path:
    """Make the data directory with the role and the database `mailer` in it, and return its path.

    The programs inherit `lock`, so that even if we are killed nobody else begins before they end.
    """
    check_name(place.account)
    fresh = place.root / f"init-{os.urandom(4).hex()}"
    directories.entrust(fresh, place.account)

    def run(program: str, *arguments: str, say: str = "") -> None:
        _run([str(programs.folder / program), *arguments], place, say=say, deadline=deadline, lock=lock)

    run("initdb", "-D", str(fresh), *_initdb_options(programs.major))
    run("postgres", "--single", "-F", "-D", str(fresh), *_STANDALONE, "template1", say=_DATABASE)
    if durable:
        run("initdb", "-D", str(fresh), "--sync-only")
    final = place.root / f"pg{programs.major}"
    directories.publish(fresh, final)
    return final


_STANDALONE = ("-c", "exit_on_error=on", "-c", "dynamic_shared_memory_type=mmap")
_DATABASE = "CREATE DATABASE mailer;\n"


def _initdb_options(major: int) -> list[str]:
    options = ["--username=mailer", "--auth=trust", "--no-locale", "--encoding=UTF8"]
    options += ["--wal-segsize=4", "--no-sync"]  # synced as a whole when it is complete
    if major >= BUILTIN_LOCALE:  # the same order of text on every system, for ever
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if major >= INITDB_SETTINGS:  # works with a tiny /dev/shm, as containers have it
        options += ["--set=dynamic_shared_memory_type=mmap"]
    return options


def as_account(account: Account) -> dict[str, Any]:
    """Return the arguments by which `subprocess` starts a program as the server's user."""
    if not account.other:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def _run(command: list[str], place: Place, *, say: str, deadline: float, lock: int) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the program was found by us or named by the operator
            command,
            input=say.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=ENVIRONMENT,
            pass_fds=(lock,),
            timeout=max(deadline - time.monotonic(), 1.0),
            check=False,
            **as_account(place.account),
        )
    except subprocess.TimeoutExpired:
        raise UnavailableError(f"{command[0]} did not end in time\ntry again in a minute") from None
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace")
        journal.append(place, said)
        raise journal.failure(place, said)


def _check_owner(data: Path, account: Account) -> None:
    found = data.lstat()
    if found.st_uid != account.uid:
        raise ConfigurationError(
            f"{data} belongs to user id {found.st_uid}, and the server would run as {account.name}\n"
            "run mailer as the user who made it; as root, set MAILER_PG_USER to that user"
        )
