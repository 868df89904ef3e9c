"""`python -m mailer_cli` is the same as `mailer`."""

from mailer_cli.cli import run

run()
