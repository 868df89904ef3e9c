"""How sending stands as a whole, at a glance: what `mailer top` shows.

Reads no clients and no messages but where a table is small: what it costs does not grow with them.
"""

from mailer_cli.overview.glance import look, standings
from mailer_cli.overview.values import Failure, Finish, Late, Opening, Overview, Requests, Run, Standing

__all__ = [
    "Failure",
    "Finish",
    "Late",
    "Opening",
    "Overview",
    "Requests",
    "Run",
    "Standing",
    "look",
    "standings",
]
