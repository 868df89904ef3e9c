"""Settings of the message service, checked before anything is sent; what is secret is never shown."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import yarl

from mailer_cli.errors import ConfigurationError


def checked_url(text: str) -> str:
    """Return where messages are posted, with a slash at the end; raise ConfigurationError."""
    text = text.strip()
    try:
        url = httpx.URL("" if " " in text else text)
        yarl.URL(str(url))  # aiohttp's reading, which is the stricter one
    except (httpx.InvalidURL, ValueError):
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host or url.fragment or url.query:
        raise ConfigurationError(
            "MESSAGE_SERVICE_URL must be an address such as https://service.example/v1/send/"
        )
    if url.userinfo:
        raise ConfigurationError(
            "MESSAGE_SERVICE_URL must not hold a user or a password; the token goes into JWT_TOKEN"
        )
    return f"{str(url).rstrip('/')}/"


def checked_token(token: str) -> str:
    """Return a token that fits into a header; raise ConfigurationError that does not show it."""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(
            "JWT_TOKEN is empty or holds characters that a token cannot have (a line break, perhaps?);"
            " set it again"
        )
    return token


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Return whom to trust: the certificates of the file alone, else the system's, else those of certifi."""
    if ca_file is None:
        paths = ssl.get_default_verify_paths()
        if not paths.cafile and not (paths.capath and any(Path(paths.capath).iterdir())):
            return httpx.create_ssl_context(trust_env=False)  # a slim container: httpx brings certifi's
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError):
        raise ConfigurationError(
            f"MESSAGE_SERVICE_CA_FILE {ca_file} cannot be read as PEM certificates"
        ) from None
