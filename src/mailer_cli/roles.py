"""Four group roles of a database, each with what its work needs and nothing more.

Each holds what the one below it holds: owner > operator > dispatcher > reader. Hosts and people log in by
roles of their own, and are made members of one of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from mailer_cli import database
from mailer_cli.database import Connection
from mailer_cli.errors import ConfigurationError, InvalidValueError


class Role(Enum):
    """Who may do what, the least first."""

    READER = "reader"  # reports, lists, why
    DISPATCHER = "dispatcher"  # sends: changes no client and no mailing, and deletes nothing that is history
    OPERATOR = "operator"  # clients, mailings, decisions, purge
    OWNER = "owner"  # migrations


@dataclass(frozen=True, slots=True)
class Grants:
    """What two roles may do with a table, beside reading it; an operator may do what a dispatcher may."""

    dispatcher: str
    operator: str = ""


# A dispatcher deletes nothing but its own work: claims, and retries that are over. It may finish a mailing.
# It may not write into the log of who changed what: without that, none of an operator's changes can be made.
TABLES = {
    "alembic_version": Grants(""),
    "client": Grants("", "INSERT, UPDATE"),
    "mailing": Grants("UPDATE (finished_at, state)", "INSERT, UPDATE"),
    "mailing_window": Grants("INSERT, UPDATE"),
    "message": Grants("INSERT, UPDATE", "DELETE"),
    "claim": Grants("INSERT, UPDATE, DELETE"),
    "retry": Grants("INSERT, UPDATE, DELETE"),
    "counter": Grants("INSERT, UPDATE"),
    "pace": Grants("INSERT, UPDATE"),
    "summary": Grants("INSERT, UPDATE"),
    "run": Grants("INSERT, UPDATE", "DELETE"),
    "attempt": Grants("INSERT", "UPDATE, DELETE"),
    "event": Grants("", "INSERT, UPDATE"),
    "service": Grants("UPDATE"),
}
_PRIVILEGE = re.compile("[A-Z]+")
_PREFIX = re.compile(r"[a-z_][a-z0-9_]{0,39}")


def checked_prefix(text: str) -> str:
    """Return what the names of roles may begin with; raise InvalidValueError."""
    if not _PREFIX.fullmatch(text):
        raise InvalidValueError("prefix", f"{text[:40]!r} cannot begin a role's name; write it as mailer")
    return text


def script(connection: Connection, prefix: str) -> list[str]:
    """Return the statements that make the roles of this database, or bring them up to date."""
    names = {role: f"{checked_prefix(prefix)}_{role.value}" for role in Role}
    where = database.fetch_one(connection, "roles_place", _Place, owner=names[Role.OWNER], tables=[*TABLES])
    assert where is not None  # noqa: S101 - it has one row, always
    return [*_made(names), *_reaching(names, where), *_owned(names, where), *_granted(names, where)]


def held(connection: Connection) -> Role | None:
    """Return the highest role whose work this user may do, by whatever right; None if it may not read."""
    wanted = [
        (role.value, table, privilege)
        for role in Role
        for table, grants in TABLES.items()
        for privilege in _privileges(role, grants)
    ]
    names, tables, privileges = zip(*wanted, strict=True)
    rows = database.execute(
        connection, "roles_held", roles=[*names], tables=[*tables], privileges=[*privileges]
    )
    may = dict(rows.fetchall())
    found = None
    for role in Role:
        if not may[role.value]:
            break
        found = role
    return found


def _privileges(role: Role, grants: Grants) -> list[str]:
    match role:
        case Role.READER:
            return ["SELECT"]
        case Role.DISPATCHER:
            return _PRIVILEGE.findall(grants.dispatcher)
        case Role.OPERATOR:
            return _PRIVILEGE.findall(grants.operator)
        case Role.OWNER:
            return ["OWNER"]


def apply(connection: Connection, statements: list[str]) -> None:
    """Carry them out, all or none; raise ConfigurationError that says who may."""
    from psycopg.errors import InsufficientPrivilege

    try:
        with connection.transaction():
            for each in statements:
                connection.execute(each.encode())
    except InsufficientPrivilege as error:
        reason = error.diag.message_primary or "a right is missing"
        raise ConfigurationError(
            f"the roles were not made: {reason}\n"
            "let a superuser run it, or whoever owns the tables and has CREATEROLE: mailer db roles | psql …"
        ) from None


@dataclass(frozen=True, slots=True)
class _Place:
    database: str  # quoted
    schema: str  # quoted
    others: list[str]  # tables that are not the owner's


def _made(names: dict[Role, str]) -> Iterator[str]:
    for name in names.values():
        yield (
            f"DO $$ BEGIN CREATE ROLE {name} NOLOGIN;"
            " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
    lower = names[Role.READER]
    for role in (Role.DISPATCHER, Role.OPERATOR, Role.OWNER):
        yield f"GRANT {lower} TO {names[role]}"
        lower = names[role]
    yield _joined(names[Role.OWNER])


def _joined(owner: str) -> str:
    """Let whoever is no superuser, as on a rented server, be an owner: only so may tables be handed to it."""
    return (
        f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = current_user AND rolname <> '{owner}'"
        f" AND NOT rolsuper) THEN GRANT {owner} TO CURRENT_USER; END IF;"
        " EXCEPTION WHEN insufficient_privilege THEN NULL; END $$"  # a member already, or told of below
    )


def _reaching(names: dict[Role, str], where: _Place) -> Iterator[str]:
    reader, operator, owner = names[Role.READER], names[Role.OPERATOR], names[Role.OWNER]
    yield f"GRANT CONNECT ON DATABASE {where.database} TO {reader}"
    yield f"GRANT TEMPORARY ON DATABASE {where.database} TO {operator}"  # an import is staged
    yield f"REVOKE CREATE ON SCHEMA {where.schema} FROM PUBLIC"
    yield f"GRANT USAGE ON SCHEMA {where.schema} TO {reader}"
    yield f"GRANT CREATE ON SCHEMA {where.schema} TO {owner}"


def _owned(names: dict[Role, str], where: _Place) -> Iterator[str]:
    """Let everybody in the role migrate, not only who began; a table changes hands once, for it is locked."""
    for table in where.others:
        yield f"ALTER TABLE {where.schema}.{table} OWNER TO {names[Role.OWNER]}"


def _granted(names: dict[Role, str], where: _Place) -> Iterator[str]:
    lower = ", ".join(names[role] for role in (Role.READER, Role.DISPATCHER, Role.OPERATOR))
    yield f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA {where.schema} TO {names[Role.READER]}"  # for dumps
    for table, grants in TABLES.items():
        place = f"{where.schema}.{table}"
        yield f"REVOKE ALL ON {place} FROM PUBLIC, {lower}"
        yield f"GRANT SELECT ON {place} TO {names[Role.READER]}"
        for role, wanted in ((Role.DISPATCHER, grants.dispatcher), (Role.OPERATOR, grants.operator)):
            if wanted:
                yield f"GRANT {wanted} ON {place} TO {names[role]}"
