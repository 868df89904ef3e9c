"""`mailer db`: the database itself."""

from __future__ import annotations

import sys
from typing import Any

import typer

from mailer_cli.cli import db_dumps, db_roles, output
from mailer_cli.cli.output import Format, OutputOption
from mailer_cli.errors import MailerError

app = typer.Typer(
    help="The database: where it is, its schema and roles, starting and stopping.", no_args_is_help=True
)


@app.command()
def upgrade() -> None:
    """Bring the database's schema up to date; run it after installing a new mailer."""
    from mailer_cli import settings
    from mailer_cli.cli import wiring
    from mailer_cli.database import connect, schema

    address = wiring.dsn(settings.load())
    with connect(address) as connection:
        schema.require_not_newer(connection)
    before, after = schema.upgrade(address, tell=output.say)
    if before == after:
        output.say(f"the schema is up to date ({after})")
    else:
        output.say(f"the schema was upgraded from {before or 'nothing'} to {after}")


@app.command()
def status(form: OutputOption = Format.TABLE) -> None:
    """Show which database is in use, whether it runs, and whether its schema is up to date."""
    from mailer_cli import settings
    from mailer_cli.cli import wiring

    configured = settings.load()
    if settings.server_address(configured) is None:
        output.item(_embedded_status(wiring.home(configured)), form)
    else:
        output.item(_server_status(wiring.dsn(configured)), form)


@app.command()
def stop() -> None:
    """Stop the embedded database; the next command that needs it starts it again."""
    from mailer_cli import settings
    from mailer_cli.cli import wiring
    from mailer_cli.database import embedded

    configured = settings.load()
    if settings.server_address(configured) is not None:
        raise MailerError(
            "a database server is configured, and mailer does not stop that; see `mailer db status`"
        )
    stopped = embedded.stop(wiring.home(configured))
    output.say("the embedded database was stopped" if stopped else "the embedded database was not running")


@app.command()
def url() -> None:
    """Print the libpq address in use, fit for `psql "$(mailer db url)"`.

    On a terminal a password in it is hidden; in a pipe or `$(…)` it is not.
    """
    from mailer_cli import settings
    from mailer_cli.cli import wiring

    configured = settings.load()
    address = wiring.dsn(configured).address
    if settings.server_address(configured) is None:
        with wiring.connected(configured):
            pass  # brings the embedded database's schema up to date, so that there is something to look at
    output.line(_without_password(address) if sys.stdout.isatty() else address)


app.command("roles")(db_roles.roles)
app.command("dump")(db_dumps.dump)
app.command("restore")(db_dumps.restore)


def _without_password(address: str) -> str:
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    parts = conninfo_to_dict(address)
    if not parts.get("password"):
        return address
    return make_conninfo("", **{**parts, "password": "***"})


def _schema(connection: Any) -> dict[str, Any]:
    from mailer_cli.database import schema, upgrading

    found = schema.state(connection)
    return {
        "schema": found and found.version,
        "schema_needed": schema.HEAD,
        "up_to_date": found is not None and found.version == schema.HEAD,
        "usable": found is not None and found.usable,
        "pending": [
            f"{each.revision} {each.about}{' (contracts: upgrade mailer everywhere first)' * each.contracts}"
            for each in upgrading.pending(connection)
        ],
    }


def _server_status(address: Any) -> dict[str, Any]:
    from mailer_cli.database import connect

    with connect(address) as connection:
        info = connection.info
        facts = {
            "kind": "server",
            "host": info.host,
            "port": info.port,
            "database": info.dbname,
            "user": info.user,
        }
        row = connection.execute("SELECT current_setting('server_version')").fetchone()
        return {**facts, "running": True, "server_version": row[0] if row else None, **_schema(connection)}


def _embedded_status(home: Any) -> dict[str, Any]:
    from mailer_cli.database import Dsn, connect, embedded

    found = embedded.status(home)
    facts: dict[str, Any] = {
        "kind": "embedded",
        "running": found.running,
        "home": str(found.home),
        "data": str(found.data),
        "log": str(found.log),
        "pid": found.pid,
        "server_version": found.server_version,
        "os_user": found.os_user,
        "size_bytes": found.size_bytes,
    }
    if found.running:
        with connect(Dsn(embedded.ensure(home), embedded=True)) as connection:
            facts |= _schema(connection)
    return facts
