"""The wire contract as the sandbox reads it: what a request must look like to be accepted."""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import dataclass

_PHONE = re.compile(r"7[0-9]{10}")


@dataclass(frozen=True, slots=True)
class Request:
    """One request, as far as it could be read; `wrong` says why it is not acceptable, if it is not."""

    id: int
    phone: int | None
    text: str
    authorised: bool
    wrong: str | None


@dataclass(frozen=True, slots=True)
class Received:
    """A request and what was done with it; `status` is None where no answer was given."""

    id: int
    phone: int | None
    text: str
    status: int | None
    authorised: bool
    accepted: bool
    remark: str


def read(path: str, body: bytes, *, authorised: bool) -> Request:
    """Read a request; its path ends in the message id."""
    last = path.rpartition("/")[2]
    number = int(last) if re.fullmatch(r"[0-9]{1,19}", last) else 0
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return Request(number, None, "", authorised, "the body is not JSON")
    if not isinstance(fields, dict):
        return Request(number, None, "", authorised, "the body is not a JSON object")
    phone, text = fields.get("phone"), fields.get("text")
    return Request(
        number,
        phone if type(phone) is int else None,
        text if isinstance(text, str) else "",
        authorised,
        _wrong(number, fields),
    )


def authorised(header: str, token: str | None) -> bool:
    """Tell whether an Authorization header bears the token; any token, if none is demanded."""
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "bearer" or not given.strip():
        return False
    return token is None or hmac.compare_digest(_bytes(given.strip()), _bytes(token))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _wrong(number: int, fields: dict[str, object]) -> str | None:
    phone, text = fields.get("phone"), fields.get("text")
    if not 0 < number < 2**63:
        return "the path does not end in a message id"
    if type(fields.get("id")) is not int or fields["id"] != number:
        return "id is not the message id of the path"
    if type(phone) is not int or not _PHONE.fullmatch(str(phone)):
        return "phone is not an integer of the form 7XXXXXXXXXX"
    if not isinstance(text, str) or not text:
        return "text is not a string, or empty"
    return None
