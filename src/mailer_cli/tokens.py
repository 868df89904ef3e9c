"""What a bearer token says of itself, read without checking its signature: that is the service's to do."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, datetime


def expires_at(token: str) -> datetime | None:
    """Return when a JWT expires, by its claim `exp` (RFC 7519, 4.1.4); None if it does not say."""
    parts = token.strip().split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(float(claims["exp"]), UTC)
    except (binascii.Error, ValueError, TypeError, KeyError, OverflowError, OSError):
        return None
