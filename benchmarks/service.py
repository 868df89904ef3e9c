"""The message service that all subjects post to: nginx, else a small one of our own.

It answers after the asked latency and keeps a record of every request, in memory if there is a
file system in memory: what was posted, when it came, whether header and body were as they must be.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

from benchmarks import children
from benchmarks.wire import TEXT, TOKEN

WORKERS = 2
ECHO = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")  # Debian's nginx-light brings it: it can wait
CONFIGURATION = Template("""\
daemon off;
$user
worker_processes $workers;
worker_rlimit_nofile 65536;
pid $folder/nginx.pid;
error_log $folder/nginx.log warn;
load_module $echo;
events { worker_connections 8192; }
http {
  log_format record escape=json
    '{"t":$$msec,"d":$$request_time,"s":$$status,"a":"$$http_authorization",'
    '"c":"$$content_type","p":"$$request_method $$request_uri","b":"$$request_body"}';
  access_log $record record buffer=256k flush=1s;
  client_body_temp_path $folder/body;
  proxy_temp_path $folder/proxy;
  fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi;
  scgi_temp_path $folder/scgi;
  client_body_buffer_size 16k;
  keepalive_requests 100000000;
  keepalive_timeout 75s;
  tcp_nodelay on;
  default_type application/json;
  server {
    listen 127.0.0.1:$port reuseport backlog=4096;
    location /send/ { echo_read_request_body; $sleep echo_exec /accepted; }
    location = /accepted { internal; return 200 '{"code":0,"message":"OK"}'; }
  }
}
""")


@dataclass(frozen=True, slots=True)
class Request:
    """One request as the service saw it."""

    message: int
    phone: int
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that was posted: what was well-formed, and how much was not."""

    requests: list[Request]
    malformed: int


@dataclass(frozen=True, slots=True)
class Service:
    """A running service."""

    url: str
    record: Path
    process: subprocess.Popen[bytes]

    def stop(self) -> Record:
        """Stop the service and return its record."""
        children.end(self.process)
        return read(self.record)


def kind(nginx: str | None) -> str:
    """Which service is used."""
    if nginx is None:
        return f"benchmarks/scripts/small_service.py, {WORKERS} processes"
    said = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=False).stderr
    return f"nginx {said.rpartition('/')[2].strip()}, {WORKERS} worker processes"


def find_nginx() -> str | None:
    """An nginx that can wait; None if there is none."""
    if not ECHO.exists():
        return None
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def running(folder: Path, latency: int, nginx: str | None) -> Iterator[Service]:
    """Run the service on a port of its own; `latency` is in milliseconds."""
    record, log, port = folder / "requests.jsonl", folder / "service.log", children.free_port()
    record.write_bytes(b"")
    if nginx is None:
        script = Path(__file__).parent / "scripts" / "small_service.py"
        command = [sys.executable, str(script), str(port), str(latency), str(WORKERS), str(record)]
    else:
        (folder / "nginx.conf").write_text(_configuration(folder, record, port, latency))
        command = [nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")]
    process = children.start(command, {"PATH": os.environ["PATH"]}, folder, log)
    try:
        children.wait_until_listening(port, process, log)
        yield Service(f"http://127.0.0.1:{port}/send/", record, process)
    finally:
        children.end(process)
        with suppress(FileNotFoundError):
            record.unlink()


def _configuration(folder: Path, record: Path, port: int, latency: int) -> str:
    return CONFIGURATION.substitute(
        user="user root;" if os.geteuid() == 0 else "",
        workers=WORKERS,
        folder=folder,
        echo=ECHO,
        record=record,
        port=port,
        sleep=f"echo_sleep {latency / 1000};" if latency else "",
    )


def read(record: Path) -> Record:
    """Read what the service wrote down."""
    requests, malformed = [], 0
    with record.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            request = _request(line)
            if request is None:
                malformed += 1
            else:
                requests.append(request)
    return Record(requests, malformed)


def _request(line: str) -> Request | None:
    """One line of the record; None unless the request was what a subject has to send."""
    try:
        seen: dict[str, Any] = json.loads(line)
        body = json.loads(seen["b"])
        right = (
            seen["s"] == 200
            and seen["a"] == f"Bearer {TOKEN}"
            and seen["c"].startswith("application/json")
            and seen["p"] == f"POST /send/{body['id']}"
            and body["text"] == TEXT
        )
        return Request(body["id"], body["phone"], seen["t"] - seen["d"], seen["t"]) if right else None
    except (ValueError, KeyError, TypeError):
        return None
