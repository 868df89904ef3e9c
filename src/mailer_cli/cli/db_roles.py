"""`mailer db roles`: who may do what in the database."""

from __future__ import annotations

from typing import Annotated

import typer

from mailer_cli.cli import output

PrefixOption = Annotated[
    str, typer.Option("--prefix", metavar="NAME", help="What the roles' names begin with.")
]
ApplyOption = Annotated[bool, typer.Option("--apply", help="Make them, instead of printing how.")]


def roles(prefix: PrefixOption = "mailer", apply: ApplyOption = False) -> None:
    """Print the SQL that makes four roles: owner, operator, dispatcher, reader; or make them.

    Do it again after each upgrade: it brings them up to date. Hosts and people log in by roles of their
    own, and are granted one of these.
    """
    from mailer_cli import roles as privileges
    from mailer_cli.cli import wiring

    with wiring.connected() as connection:
        script = privileges.script(connection, prefix)
        if apply:
            privileges.apply(connection, script)
            made = ", ".join(f"{prefix}_{role.value}" for role in reversed(privileges.Role))
            output.say(f"made, or brought up to date: {made}")
            output.say(f"let a host send: GRANT {prefix}_dispatcher TO its_login_role;")
            return
    for line in ("BEGIN", *script, "COMMIT"):
        output.line(f"{line};")
    output.line("-- Then let hosts and people in by roles of their own, for instance:")
    output.line(f"-- CREATE ROLE cron_host LOGIN PASSWORD '…'; GRANT {prefix}_dispatcher TO cron_host;")
    output.line(f"-- CREATE ROLE anna LOGIN PASSWORD '…'; GRANT {prefix}_operator TO anna;")
