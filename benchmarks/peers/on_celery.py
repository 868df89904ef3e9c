"""The original design in small: the module for Celery's command, and a script that enqueues.

The row is read and saved as Django's models do it: all of its columns, each statement a transaction.
"""

import psycopg
import requests
from celery import Celery

from common import BROKER, DATABASE, HEADERS, READ, TIMEOUT, URL, body, status

GET = "SELECT id, phone, text, status, http_status, sent_at FROM message WHERE id = %s"
SAVE = """
UPDATE message SET phone = %s, text = %s, status = %s, http_status = %s, sent_at = clock_timestamp()
WHERE id = %s
"""

app = Celery("on_celery", broker=BROKER)
app.conf.task_ignore_result = True
own: dict[str, psycopg.Connection] = {}  # this process's connection


@app.task
def send(number: int) -> None:
    """Post one message and write down what came of it."""
    if "connection" not in own:
        own["connection"] = psycopg.connect(DATABASE, autocommit=True)
    connection = own["connection"]
    row = connection.execute(GET, (number,)).fetchone()
    assert row is not None
    number, phone, text = row[:3]
    response = requests.post(
        f"{URL}{number}", data=body(number, phone, text), headers=HEADERS, timeout=TIMEOUT
    )
    outcome = status(response.status_code, response.content)
    connection.execute(SAVE, (phone, text, outcome, response.status_code, number))


def enqueue() -> None:
    """A task for each message."""
    with psycopg.connect(DATABASE) as connection:
        for number, *_ in connection.execute(READ):
            send.delay(number)


if __name__ == "__main__":
    enqueue()
