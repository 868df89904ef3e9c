"""Commands typed by a person: stdout is a terminal of 80 columns, without colours."""

from __future__ import annotations

import sys
from unittest.mock import patch

from conftest import Ended, Mailer


def on_a_terminal(mailer: Mailer, *, columns: int = 80) -> Mailer:
    """The same commands, with a terminal for stdout."""

    def type_command(*argv: str) -> Ended:
        with (
            patch.dict("os.environ", {"COLUMNS": str(columns), "TERM": "dumb"}),
            patch.object(sys.stdout, "isatty", lambda: True),
        ):
            return mailer(*argv)

    return type_command
