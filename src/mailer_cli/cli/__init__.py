"""The command line: parse, call one function, print. `main` is the one error boundary."""

from __future__ import annotations

import errno
import io
import os
import resource
import sys
from collections.abc import Sequence

from mailer_cli.errors import ExitCode, MailerError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; whatever goes wrong is told on one or two lines."""
    from mailer_cli.cli.app import assemble

    words = list(sys.argv[1:] if argv is None else argv)
    try:
        assemble(words)(args=words, prog_name="mailer")
    except SystemExit as ending:
        return _ended(ending)
    except MailerError as error:
        return _told(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _told("interrupted", ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough (`| head`): nothing to tell, nowhere to tell it.
        _silence()
        return ExitCode.DONE
    except Exception as error:  # noqa: BLE001 - the one boundary: nothing may reach an operator as a traceback
        return _unexpected(error)
    return ExitCode.DONE


def run() -> None:
    """Be the `mailer` program."""
    # A core file would hold the token and the password.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a letter that the locale has not is no bug
    code = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
    except OSError as error:
        code = code or _unwritable(error)
        _silence()
    sys.exit(code)


def _silence() -> None:
    """Let what is still to be written go nowhere, without another word at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _unwritable(error: OSError) -> int:
    return _told(
        f"the output cannot be written: {error.strerror}; make room, or send it elsewhere", ExitCode.REFUSED
    )


def _ended(ending: SystemExit) -> int:
    # Typer meets a closed pipe first and calls it a failure; whoever read us has seen enough (`| head`).
    if isinstance(ending.__context__, BrokenPipeError):
        return ExitCode.DONE
    if ending.code == ExitCode.INTERRUPTED:
        return _told("interrupted; nothing was left half done", ExitCode.INTERRUPTED)
    return _code(ending.code)


def _unexpected(error: Exception) -> int:
    from mailer_cli.cli.meanings import meaning

    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return _unwritable(error)
    told = meaning(error)
    return _told(str(told), told.exit_code)


def _told(text: str, code: ExitCode) -> int:
    from mailer_cli.cli.output import say

    say(f"mailer: {text}")
    return code


def _code(code: object) -> int:
    if code is None:
        return ExitCode.DONE
    return code if isinstance(code, int) else ExitCode.REFUSED
