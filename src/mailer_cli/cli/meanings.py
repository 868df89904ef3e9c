"""What an error means to an operator, whatever it is; nothing may reach one as a traceback."""

from __future__ import annotations

import os

from mailer_cli.errors import ExitCode, MailerError


class BugError(MailerError):
    """Ours to mend."""

    exit_code = ExitCode.BUG


def meaning(error: Exception) -> MailerError:
    """Return the error as it is told; with MAILER_DEBUG a bug is raised as it is."""
    from mailer_cli.database.explain import explain

    if isinstance(error, MailerError):
        return error
    if known := explain(error):
        return known
    if os.environ.get("MAILER_DEBUG"):
        raise error
    return BugError(
        f"this is a bug in mailer: {type(error).__name__} at {_origin(error)}\n"
        "please report it; MAILER_DEBUG=1 shows where it comes from"
    )


def _origin(error: Exception) -> str:
    """Name the place a bug surfaced; its message is left out, for it may quote what is secret."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return "an unknown place"
    name = frame.tb_frame.f_code.co_filename.rpartition("/")[2]
    return f"{name}:{frame.tb_lineno}"
