"""What the service is good for without a subject: it must not be what bounds them."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks import children, service
from benchmarks.runs import Bench, folder_in
from benchmarks.wire import TOKEN

CLIENTS = 3
CONNECTIONS = 100  # of each
WAITING = 800  # the same where there is latency, of which only connections make up for
SECONDS = 3.0
SCRIPT = str(Path(__file__).parent / "scripts" / "raw_client.py")


def measured(bench: Bench, latency: int) -> float:
    """Answers a second to raw clients."""
    with folder_in(bench.server.scratch) as folder, service.running(folder, latency, bench.nginx) as serving:
        env = {"PATH": os.environ["PATH"], "MESSAGE_SERVICE_URL": serving.url, "JWT_TOKEN": TOKEN}
        command = [bench.python, SCRIPT, str(WAITING if latency else CONNECTIONS), str(SECONDS)]
        log = folder / "raw.log"
        started = [children.start(command, env, folder, log) for _ in range(CLIENTS)]
        try:
            codes = [child.wait(SECONDS + 20) for child in started]
        finally:
            for child in started:
                children.end(child)
        requests = serving.stop().requests
        if any(codes) or not requests:
            raise children.FailedError(f"the raw clients got no answers: {children.tail(log)}")
        span = max(each.ended for each in requests) - min(each.began for each in requests)
        return len(requests) / span
