"""Every setting: flags > environment > `.env` in the working directory > `~/.config/mailer/env`.

The only reader of the environment. What is secret is asked for at the one place that needs it.
"""

from mailer_cli.settings.addresses import server_address, service_url
from mailer_cli.settings.model import REMIND, Settings, files, load, troubles_file, user_file
from mailer_cli.settings.places import cron_file, holds_secrets, origins, unknown, unseen_by_cron
from mailer_cli.settings.secrets import password, token

__all__ = [
    "REMIND",
    "Settings",
    "cron_file",
    "files",
    "holds_secrets",
    "load",
    "origins",
    "password",
    "server_address",
    "service_url",
    "token",
    "troubles_file",
    "unknown",
    "unseen_by_cron",
    "user_file",
]
