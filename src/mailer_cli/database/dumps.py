"""Backups by PostgreSQL's own programs: of the server's release, or of the next newer one that is here."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mailer_cli.database import schema
from mailer_cli.database.connections import Dsn, connect
from mailer_cli.errors import ConfigurationError, InvalidStateError, MailerError

_SYSTEM = Path("/usr/lib/postgresql")


def dump(dsn: Dsn, file: Path) -> None:
    """Write the whole database to a new file in pg_dump's own format; it is there only if all is well."""
    if file.exists():
        raise ConfigurationError(f"{file} is there already; name another, or remove it")
    parts = file.with_name(f".{file.name}.part")
    try:
        parts.touch(mode=0o600)
        _run(dsn, "pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={parts}")
        parts.rename(file)
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}") from None
    finally:
        parts.unlink(missing_ok=True)


def restore(dsn: Dsn, file: Path) -> None:
    """Read a dump into a database that has nothing of mailer in it; all or nothing."""
    if not os.access(file, os.R_OK):
        raise ConfigurationError(f"{file} cannot be read")
    with connect(dsn) as connection:
        if schema.version(connection) is not None:
            raise InvalidStateError(
                "this database has mailer's tables already, and nothing is restored over them\n"
                "make a new one (createdb), name it in DATABASE_URL, and restore into that"
            )
    all_or_nothing = ("--exit-on-error", "--single-transaction")
    try:
        _run(dsn, "pg_restore", *all_or_nothing, "--no-owner", "--no-privileges", str(file))
    except MailerError as error:
        if "unsupported version" not in str(error):
            raise
        raise InvalidStateError(
            f"{file} was written by a newer PostgreSQL than this server's\n"
            "restore it into a server of that release, or of a newer one"
        ) from None


def _run(dsn: Dsn, program: str, *words: str) -> None:
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    parts = conninfo_to_dict(dsn.address)
    # Not among the words: everybody sees those.
    secret = {"PGPASSWORD": str(parts.pop("password"))} if parts.get("password") else {}
    with connect(dsn) as connection:
        major = connection.info.server_version // 10_000
    release, found = _program(program, major)
    command = [str(found), f"--dbname={make_conninfo('', **parts)}", *words]
    done = subprocess.run(  # noqa: S603 - PostgreSQL's program, found by us
        command, env={**os.environ, **secret}, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it did not say why"]
        newer = f"\nit is of PostgreSQL {release}; apt install postgresql-client-{major}"
        raise MailerError(f"{program} failed: {said[0][:300]}{newer if release > major else ''}")


def _program(name: str, major: int) -> tuple[int, Path]:
    """Return a program of the server's release or a newer one; that may say what the server does not know."""
    here = (folder / name for folder in _folders())
    found = [(release, program) for program in here if (release := _major(program)) >= major]
    if not found:
        raise ConfigurationError(
            f"there is no {name} of PostgreSQL {major} or newer here; apt install postgresql-client-{major}"
        )
    return min(found)


def _folders() -> Iterator[Path]:
    from mailer_cli.database.embedded import programs

    with suppress(MailerError):
        yield programs.find()
    yield from map(Path, os.environ.get("PATH", "").split(os.pathsep))
    yield from sorted(_SYSTEM.glob("*/bin"), reverse=True)


def _major(program: Path) -> int:
    if not os.access(program, os.X_OK):
        return 0
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - as above
    found = re.search(r"\) (\d+)", done.stdout)
    return int(found[1]) if found else 0
