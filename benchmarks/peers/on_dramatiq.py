"""Dramatiq: the module for its command, and a script that enqueues."""

import threading

import dramatiq
import psycopg
import requests
from dramatiq.brokers.redis import RedisBroker

from common import BROKER, DATABASE, HEADERS, READ, RECORD, TIMEOUT, URL, body, status

dramatiq.set_broker(RedisBroker(url=BROKER))
own = threading.local()  # a session and a connection for each thread


@dramatiq.actor(max_retries=0)
def send(number: int, phone: int, text: str) -> None:
    """Post one message and write down what came of it."""
    if not hasattr(own, "session"):
        own.session = requests.Session()
        own.connection = psycopg.connect(DATABASE, autocommit=True)
    response = own.session.post(
        f"{URL}{number}", data=body(number, phone, text), headers=HEADERS, timeout=TIMEOUT
    )
    outcome = status(response.status_code, response.content)
    own.connection.execute(RECORD, (outcome, response.status_code, number))


def enqueue() -> None:
    """A task for each message, with all it takes to send it."""
    with psycopg.connect(DATABASE) as connection:
        for row in connection.execute(READ):
            send.send(*row)


if __name__ == "__main__":
    enqueue()
