"""`mailer db dump` and `mailer db restore`: a backup, and coming back from it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mailer_cli.cli import output

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The dump, in pg_dump's own format.")]


def dump(file: FileArgument) -> None:
    """Write the whole database to a new file, for `mailer db restore` or pg_restore; sending may go on.

    It holds phones and texts, and is readable by its owner only.
    """
    from mailer_cli.cli import wiring
    from mailer_cli.database import dumps

    with wiring.ready() as (address, _):
        dumps.dump(address, file)
    output.say(f"written to {file}: {file.stat().st_size:,} bytes")


def restore(file: FileArgument) -> None:
    """Read a dump into an empty database; it sends nothing until it is told who is in doubt.

    The program that reads must be of the release that wrote, or newer.
    """
    from mailer_cli import settings
    from mailer_cli.cli import wiring
    from mailer_cli.database import dumps

    dumps.restore(wiring.dsn(settings.load()), file)
    output.say("restored; mark who may have been sent to since: `mailer recover --since TIME`")
    output.say("or, if nobody was: `mailer release --new-home`")
