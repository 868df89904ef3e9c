"""`mailer hold` and `mailer release`: stop and restart all sending, on every host."""

from __future__ import annotations

from typing import Annotated

import typer

from mailer_cli.cli import output
from mailer_cli.errors import InvalidValueError


def hold(
    reason: Annotated[str, typer.Option("--reason", help="Why, for everybody who wonders.")],
) -> None:
    """Stop all sending, on every host, within a second. What is under way is finished."""
    from mailer_cli import holding
    from mailer_cli.cli import wiring

    if not reason.strip():
        raise InvalidValueError("reason", "it is empty; say why, for everybody who wonders")
    with wiring.connected() as connection:
        holding.hold(connection, wiring.actor(), reason.strip())
    output.say("sending is held on every host; start it again with `mailer release`")


def release(
    new_home: Annotated[
        bool, typer.Option("--new-home", help="This restored or copied database sends from now on.")
    ] = False,
) -> None:
    """Start sending again; the next dispatch goes on where the last one stopped."""
    from mailer_cli import holding
    from mailer_cli.cli import wiring

    with wiring.connected() as connection:
        if new_home:
            holding.move_home(connection, wiring.actor())
            output.say("this database sends from now on; be sure that the other one never does")
        released = holding.release(connection, wiring.actor())
    output.say("sending is released" if released else "sending was not held")
