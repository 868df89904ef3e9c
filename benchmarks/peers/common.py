"""What every peer is told, and the request that each of them makes."""

import json
import os

DATABASE = os.environ["DATABASE_URL"]
BROKER = os.environ.get("BROKER_URL", "")
URL = os.environ["MESSAGE_SERVICE_URL"]
MESSAGES = int(os.environ["MESSAGES"])
TIMEOUT = 10.0  # seconds that one request may take
HEADERS = {"Authorization": f"Bearer {os.environ['JWT_TOKEN']}", "Content-Type": "application/json"}

READ = "SELECT id, phone, text FROM message ORDER BY id"
RECORD = "UPDATE message SET status = %s, http_status = %s, sent_at = clock_timestamp() WHERE id = %s"


def body(number: int, phone: int, text: str) -> bytes:
    """The body of a request, as the service wants it."""
    return json.dumps({"id": number, "phone": phone, "text": text}).encode()


def status(code: int, answer: bytes) -> str:
    """What becomes of a message."""
    return "sent" if code == 200 and json.loads(answer)["code"] == 0 else "failed"
