"""`python -m benchmarks.hosts`: one, two and four dispatching hosts on one PostgreSQL.

Each host is a network namespace of its own; the service takes 100 ms for an answer, so that a host is as
quick as its concurrency lets it be. The judge is the service's ledger.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks import children, machine, namespaces, report
from benchmarks.subjects.mailer import MAILER
from mailer_cli.database import Dsn, schema
from mailer_cli.sandbox import read_ledger

TARGETS = {2: 1.8, 4: 3.4}
LATENCY = "100ms"
EDGE = 3.0  # seconds at both ends that are not counted: the hosts do not begin at the same instant
CLIENTS = """
INSERT INTO client (phone, operator_code, timezone)
SELECT '79' || lpad(n::text, 9, '0'), '9' || lpad((n / 10000000)::text, 2, '0'), 'UTC'
FROM generate_series(1, %s) AS n
"""
DUE = """
INSERT INTO mailing (text, starts_at, ends_at)
VALUES ('Hello', now() - interval '2 h', now() + interval '9 h')
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """What so many hosts did together."""

    hosts: int
    accepted: int
    twice: int
    per_second: float


@contextmanager
def service(net: namespaces.Network, ledger: Path) -> Iterator[str]:
    """A message service that all hosts reach."""
    words = [MAILER, "sandbox", "--host", net.address, "--port", "8080", "--latency", LATENCY, "--quiet"]
    with subprocess.Popen([*words, "--ledger", str(ledger)], stdout=subprocess.DEVNULL) as process:
        try:
            time.sleep(2)
            yield f"http://{net.address}:8080/send/"
        finally:
            process.terminate()


def measure(number: int, seconds: int, concurrency: int, scratch: Path) -> Measured:
    """Let so many hosts send side by side for so long."""
    ledger = scratch / f"ledger-{number}.jsonl"
    with namespaces.network(number) as net, namespaces.postgres(net) as address:
        schema.upgrade(Dsn(address))
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(CLIENTS, (number * concurrency * 10 * (seconds + 5),))
            connection.execute(DUE)
            connection.execute("VACUUM ANALYZE")
        with service(net, ledger) as url:
            env = {"PATH": os.environ["PATH"], "HOME": str(scratch), "LC_ALL": "C.UTF-8"}
            env |= {"DATABASE_URL": address, "MESSAGE_SERVICE_URL": url, "JWT_TOKEN": "token"}
            env |= {"MAILER_CONCURRENCY": str(concurrency)}
            words = (MAILER, "dispatch", "--max-seconds", str(seconds))
            runs = [subprocess.Popen(host.words(*words), env=env, cwd=scratch) for host in net.hosts]
            codes = [run.wait() for run in runs]
    if any(codes):
        raise children.FailedError(f"dispatch ended with {codes}")
    return _counted(number, ledger)


def _counted(number: int, ledger: Path) -> Measured:
    entries = read_ledger(ledger)
    times = sorted(datetime.fromisoformat(entry["time"]).timestamp() for entry in entries)
    if not times or times[-1] - times[0] < 3 * EDGE:
        raise children.FailedError("too few messages to measure anything by; give it more --seconds")
    first, last = times[0] + EDGE, times[-1] - EDGE
    within = sum(first <= at < last for at in times)
    twice = len(entries) - len({entry["id"] for entry in entries})
    return Measured(number, len(entries), twice, within / (last - first))


COLUMNS = ("hosts", "messages/s", "beside one", "target", "accepted", "twice")


def rows(found: Sequence[Measured]) -> Iterator[tuple[str, ...]]:
    """What an operator reads of each."""
    for each in found:
        ratio = each.per_second / found[0].per_second
        target = TARGETS.get(each.hosts)
        wanted = f"{target} ×" if target else "-"
        values = (f"{each.per_second:,.0f}", f"{ratio:.2f} ×", wanted, f"{each.accepted:,}", str(each.twice))
        yield str(each.hosts), *values


def page(facts: dict[str, str], how: str, found: Sequence[Measured]) -> str:
    """All of it in Markdown."""
    lines = ["# Several hosts", "", "Written by `python -m benchmarks.hosts`.", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += [f"- How: {how}", "", *map(report.line, (COLUMNS, ["--:"] * len(COLUMNS), *rows(found)))]
    return "\n".join(lines) + "\n"


def met(found: Sequence[Measured]) -> bool:
    """Whether it grew as it should, and nobody was sent to twice."""
    one = found[0].per_second
    grew = all(each.per_second >= TARGETS.get(each.hosts, 0) * one for each in found)
    return grew and not any(each.twice for each in found)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, and say by the exit code whether the targets were met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hosts", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="how long each lasts (20)")
    parser.add_argument("--concurrency", type=int, default=30, help="requests under way, per host (30)")
    parser.add_argument("--out", type=Path, help="write the page that is kept")
    asked = parser.parse_args(words)
    if reason := namespaces.lacking():
        raise children.FailedError(reason)
    facts = machine.described()
    with tempfile.TemporaryDirectory(prefix="mailer-hosts-") as scratch:
        found = [measure(n, asked.seconds, asked.concurrency, Path(scratch)) for n in (1, 2, 4)]
    how = f"{LATENCY} for an answer, {asked.concurrency} requests at once per host, {asked.seconds} s each"
    shown = Table(*COLUMNS, title=how)
    for row in rows(found):
        shown.add_row(*row)
    Console().print(shown)
    if asked.out is not None:
        asked.out.write_text(page(facts, how, found), encoding="utf-8")
    return 0 if met(found) else 1


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, children.interrupt)
    try:
        sys.exit(main())
    except children.FailedError as error:
        Console(stderr=True).print(str(error), style="red", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
