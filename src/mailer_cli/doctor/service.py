"""The message service: the token, and whether the service can be reached. Nothing is sent."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import SplitResult, urlsplit

from mailer_cli import settings, tokens
from mailer_cli.doctor.findings import Finding, Patient, fail, ok, warn
from mailer_cli.errors import ConfigurationError
from mailer_cli.service.configuration import checked_token, checked_url, trusted

TIMEOUT = 5.0  # seconds for a connection, and again for its handshake
_TOKEN_SOON = timedelta(days=7)
_CERTIFICATE_SOON = 14  # days
_NEW_TOKEN = "get a new one, and set JWT_TOKEN, JWT_TOKEN_FILE or JWT_TOKEN_COMMAND"  # noqa: S105 - advice


def token(patient: Patient) -> Iterator[Finding]:
    """Whether there is a token, and for how long it is good."""
    try:
        found = checked_token(settings.token(patient.settings))
    except ConfigurationError as error:
        yield fail("token", str(error), None)
        return
    expires_at = tokens.expires_at(found)
    if expires_at is None:
        yield ok("token", "there; it does not say when it ends")
        return
    left = expires_at - datetime.now(UTC)
    until = f"{expires_at:%Y-%m-%d %H:%MZ}"
    if left <= timedelta(0):
        yield fail("token", f"expired at {until}", _NEW_TOKEN)
    elif left < _TOKEN_SOON:
        yield warn("token", f"good for {left.days} days more, until {until}", _NEW_TOKEN)
    else:
        yield ok("token", f"good for {left.days} days, until {until}")


def reachable(patient: Patient) -> Iterator[Finding]:
    """Whether a connection can be made, and trusted."""
    address = urlsplit(checked_url(settings.service_url(patient.settings)))
    port = address.port or (443 if address.scheme == "https" else 80)
    where = f"{address.hostname}:{port}"
    try:
        with socket.create_connection((address.hostname, port), TIMEOUT) as plain:
            if address.scheme == "http":
                yield _unencrypted(where, address)
            else:
                yield from _secured(where, plain, address, trusted(patient.settings.message_service_ca_file))
    except ssl.SSLCertVerificationError as error:
        mend = "set MESSAGE_SERVICE_CA_FILE to the certificates of its authority"
        yield fail("service", f"{where}: its certificate is not trusted: {error.verify_message}", mend)
    except ssl.SSLError as error:
        yield fail("service", f"{where}: no TLS there: {error.reason}", "check MESSAGE_SERVICE_URL")
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        yield fail(
            "service", f"{where} cannot be reached: {reason}", "check MESSAGE_SERVICE_URL and the network"
        )


def _unencrypted(where: str, address: SplitResult) -> Finding:
    if address.hostname in {"localhost", "127.0.0.1", "::1"}:
        return ok("service", f"{where} takes connections")
    says = f"{where} takes connections without encryption: token and phones can be read on the way"
    return warn("service", says, "use https in MESSAGE_SERVICE_URL")


def _secured(
    where: str, plain: socket.socket, address: SplitResult, context: ssl.SSLContext
) -> Iterator[Finding]:
    with context.wrap_socket(plain, server_hostname=address.hostname) as secure:
        ends = (secure.getpeercert() or {}).get("notAfter")
    days = (
        9999 if not isinstance(ends, str) else int((ssl.cert_time_to_seconds(ends) - time.time()) // 86_400)
    )
    if days < _CERTIFICATE_SOON:
        yield warn(
            "service", f"{where}: its certificate is good for {days} days more", "tell who runs the service"
        )
    else:
        yield ok("service", f"{where} takes connections, and its certificate is good")
