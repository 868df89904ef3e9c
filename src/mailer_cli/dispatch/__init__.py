"""The engine behind `mailer dispatch`: one tick, safe beside any number of others."""

from mailer_cli.dispatch.options import Options, Summary
from mailer_cli.dispatch.tick import dispatch

__all__ = ["Options", "Summary", "dispatch"]
