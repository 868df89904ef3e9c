"""`python -m benchmarks.limits`: what an operator waits for, and what the database and the memory must bear.

Each figure stands beside something measured in the same run. With --out they are written down, too.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks import children, machine, postgres, service
from benchmarks.subjects.mailer import MAILER
from benchmarks.wire import TEXT, TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

PYTHON = str(Path(sys.executable))
REPEATS = 15
PREPARED = 600.0  # seconds that making things ready may take
ZONES = ("Europe/Moscow", "Asia/Omsk", "Asia/Yekaterinburg", "Europe/Samara", "Asia/Vladivostok")
CLIENTS = """
INSERT INTO client (phone, operator_code, timezone)
SELECT '79' || lpad(n::text, 9, '0'), '9' || lpad((n / 10000000)::text, 2, '0'), 'UTC'
FROM generate_series(1, %(number)s) AS n
"""
DUE = """
INSERT INTO mailing (text, starts_at, ends_at)
VALUES (%(text)s, now() - interval '2 h', now() + interval '9 h')
"""
LAST_RUN = """
SELECT extract(epoch FROM started_at)::float8, sent, extract(epoch FROM ended_at - started_at)::float8
FROM run ORDER BY id DESC LIMIT 1
"""
FINISHED = """
INSERT INTO mailing (text, starts_at, ends_at, state, finished_at)
SELECT 'old', now() - interval '9 d', now() - interval '8 d', 'finished', now() FROM generate_series(1, 100)
"""
# What an import meets: the same table, checks and indexes.
TWIN = "CREATE TABLE twin (LIKE client INCLUDING ALL)"
BARE = "import os, psycopg; psycopg.connect(os.environ['DATABASE_URL']).execute('SELECT 1').fetchall()"


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured, beside what it is compared with."""

    what: str
    figure: str
    beside: str
    ratio: str
    target: str
    met: bool


@dataclass(frozen=True, slots=True)
class Bench:
    """Where it is measured."""

    server: postgres.Server
    nginx: str | None
    clients: int
    seconds: int

    def env(self, database: str, url: str = "http://127.0.0.1:9/") -> dict[str, str]:
        """An operator's environment, and nothing of the caller's."""
        kept = {"PATH": os.environ["PATH"], "HOME": str(self.server.scratch), "LC_ALL": "C.UTF-8"}
        return kept | {"DATABASE_URL": database, "MESSAGE_SERVICE_URL": url, "JWT_TOKEN": TOKEN}


@dataclass(frozen=True, slots=True)
class Spent:
    """What a command cost."""

    seconds: float
    cpu: float
    memory: int  # bytes, at the peak
    out: str


def spent(words: Sequence[str], env: dict[str, str], folder: Path) -> Spent:
    """Run a command; raise FailedError if it fails."""
    began = time.perf_counter()
    pipe = subprocess.PIPE
    with subprocess.Popen(words, env=env, cwd=folder, stdout=pipe, stderr=pipe, text=True) as process:
        out = process.stdout.read() if process.stdout else ""
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise children.FailedError(f"{' '.join(words)} ended with {process.returncode}")
    return Spent(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, out)


def start_up(bench: Bench) -> list[Figure]:
    """How long the commands that are typed most take to begin."""
    with bench.server.fresh(migrated=True) as database:
        env = bench.env(database)
        commands = {"pass": [PYTHON, "-c", "pass"], "help": [MAILER, "--help"]}
        commands["report"] = [MAILER, "report", "-o", "json"]
        took: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(REPEATS):
            for name, words in commands.items():
                took[name].append(spent(words, env, bench.server.scratch).seconds)
    base, help_, report = (median(took[name]) for name in ("pass", "help", "report"))
    beside = f"`python -c pass` {base * 1000:.0f} ms"
    return [
        _at_most("`mailer --help`", f"{help_ * 1000:.0f} ms", beside, help_ / base, 13),
        _at_most("`mailer report -o json`", f"{report * 1000:.0f} ms", beside, report / base, 55),
    ]


def idle_tick(bench: Bench) -> list[Figure]:
    """What a minute costs in which nothing is due, among few clients and many."""
    found = []
    for clients in (10_000, bench.clients):
        with bench.server.fresh(migrated=True) as database:
            _fill(database, clients)
            env = bench.env(database)
            spent([MAILER, "dispatch"], env, bench.server.scratch)
            ours, bare = [], []
            for _ in range(REPEATS):
                ours.append(spent([MAILER, "dispatch"], env, bench.server.scratch).cpu)
                bare.append(spent([PYTHON, "-c", BARE], env, bench.server.scratch).cpu)
        tick, base = median(ours), median(bare)
        beside = f"connect and SELECT 1 {base * 1000:.0f} ms"
        what = f"CPU of an idle tick, {clients:,} clients"
        found.append(_at_most(what, f"{tick * 1000:.0f} ms", beside, tick / base, 2))
    return found


def importing(bench: Bench) -> list[Figure]:
    """An import beside what PostgreSQL's own COPY makes of the same rows and indexes."""
    rows = bench.server.scratch / "clients.csv"
    with rows.open("w") as file:
        file.write("phone,timezone,tag,operator_code\n")
        for number in range(bench.clients):
            zone = ZONES[number % len(ZONES)]
            file.write(f"79{number:09d},{zone},tag {number % 7},9{number // 10_000_000:02d}\n")
    with bench.server.fresh(migrated=True) as database:
        done = spent([MAILER, "client", "import", str(rows)], bench.env(database), bench.server.scratch)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(TWIN)
            began = time.perf_counter()
            copy = "COPY twin (phone, timezone, tag, operator_code) FROM STDIN WITH (FORMAT csv, HEADER)"
            with rows.open("rb") as file, connection.cursor().copy(copy) as target:
                while piece := file.read(1 << 20):
                    target.write(piece)
            copied = time.perf_counter() - began
    rows.unlink()
    rate, plain = bench.clients / done.seconds, bench.clients / copied
    what = f"import of {bench.clients:,}"
    return [
        _at_least(what, f"{rate:,.0f}/s", f"COPY {plain:,.0f}/s", rate / plain, 0.4),
        _bytes("its memory at the peak", done.memory, 130),
    ]


def reporting(bench: Bench) -> list[Figure]:
    """A report of a giant beside counting its messages."""
    count = "SELECT status, count(*) FROM message WHERE mailing_id = 1 GROUP BY status"
    with bench.server.fresh(migrated=True) as database:
        _fill(database, bench.clients, finished=False)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(DUE, {"text": TEXT})
            connection.execute(
                "INSERT INTO message (shard, mailing_id, client_id, phone, status, attempts, sent_at)"
                " SELECT shard, 1, id, phone, CASE WHEN id % 50 = 0 THEN 'failed' ELSE 'sent' END, 1, now()"
                " FROM client"
            )
            connection.execute(
                "INSERT INTO counter (shard, mailing_id, sent, failed)"
                " SELECT shard, 1, count(*) FILTER (WHERE status = 'sent'),"
                " count(*) FILTER (WHERE status = 'failed') FROM message GROUP BY 1"
            )
            connection.execute("VACUUM ANALYZE")
            counted, summed = [], []
            for _ in range(5):
                began = time.perf_counter()
                expected: dict[str, int] = dict(connection.execute(count).fetchall())
                counted.append(time.perf_counter() - began)
                summed.append(_report(connection, expected))
    slow, quick = median(counted), median(summed)
    what = f"report of {bench.clients:,} messages"
    return [_at_least(what, f"{quick * 1000:.1f} ms", f"count(*) {slow * 1000:,.0f} ms", slow / quick, 100)]


def _report(connection: psycopg.Connection, expected: dict[str, int]) -> float:
    from mailer_cli import reports

    began = time.perf_counter()
    [total] = reports.counted(connection, mailing=1)
    took = time.perf_counter() - began
    if {name: number for name, number in total.by_status().items() if number} != expected:
        raise children.FailedError("the report is not exact")
    return took


def giant(bench: Bench) -> list[Figure]:
    """How soon a giant's first message leaves, what it costs in memory and WAL, and under an old snapshot."""
    with bench.server.fresh(migrated=True) as database:
        _fill(database, bench.clients, finished=False)
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(DUE, {"text": TEXT})
            before = _wal(connection)
            first, memory, clean = _dispatched(bench, database)
            wal = (_wal(connection) - before) / max(1, _sent(connection))
        with psycopg.connect(database) as holder:
            holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            holder.execute("SELECT count(*) FROM mailing")
            _, _, held = _dispatched(bench, database)
    what = f"first request of a mailing to {bench.clients:,}"
    figures = [
        Figure(what, f"{first:.2f} s", "the run's start", "", "<= 1 s", first <= 1),
        _bytes("a dispatcher's memory at the peak", memory, 130),
        Figure("WAL of a message", f"{wal:,.0f} bytes", "", "", "<= 450 bytes", wal <= 450),
    ]
    what = f"under a snapshot held for {bench.seconds} s"
    figures.append(_at_least(what, f"{held:,.0f}/s", f"without {clean:,.0f}/s", held / clean, 0.65))
    return figures


def _dispatched(bench: Bench, database: str) -> tuple[float, int, float]:
    """Dispatch for a while; return when the first request came, the peak of memory, and the rate."""
    folder = bench.server.scratch
    with service.running(folder, 0, bench.nginx) as running:
        words = [MAILER, "dispatch", "--max-seconds", str(bench.seconds)]
        done = spent(words, bench.env(database, running.url), folder)
        record = running.stop()
    with psycopg.connect(database) as connection:
        row = connection.execute(LAST_RUN).fetchone()
    assert row is not None  # noqa: S101 - it has just ended
    first = min(request.began for request in record.requests) - row[0]
    return first, done.memory, row[1] / row[2]


def _fill(database: str, clients: int, *, finished: bool = True) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(CLIENTS, {"number": clients})
        if finished:
            connection.execute(FINISHED)
        connection.execute("VACUUM ANALYZE")


def _wal(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").fetchone()
    return int(row[0]) if row else 0


def _sent(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT sum(sent)::bigint FROM counter").fetchone()
    return int(row[0]) if row else 0


def _at_most(what: str, figure: str, beside: str, ratio: float, most: float) -> Figure:
    return Figure(what, figure, beside, f"{ratio:.2f}", f"<= {most:g}", ratio <= most)


def _at_least(what: str, figure: str, beside: str, ratio: float, least: float) -> Figure:
    return Figure(what, figure, beside, f"{ratio:.2f}", f">= {least:g}", ratio >= least)


def _bytes(what: str, number: int, most: int) -> Figure:
    return Figure(what, f"{number / 1e6:.0f} MB", "", "", f"<= {most} MB", number / 1e6 <= most)


MEASURES: dict[str, Callable[[Bench], list[Figure]]] = {
    "start-up": start_up,
    "idle": idle_tick,
    "import": importing,
    "report": reporting,
    "giant": giant,
}


def page(facts: dict[str, str], figures: Sequence[Figure]) -> str:
    """All of it in Markdown."""
    lines = ["# What an operator waits for", "", "Written by `python -m benchmarks.limits`.", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", "| what | figure | beside | ratio | target | |", "|---|--:|---|--:|--:|---|"]
    lines += [
        f"| {f.what} | {f.figure} | {f.beside} | {f.ratio} | {f.target} | {'met' if f.met else 'missed'} |"
        for f in figures
    ]
    return "\n".join(lines) + "\n"


@contextmanager
def _compiled() -> Iterator[None]:
    """Let .pyc files be used: without them every start takes three times as long."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    yield


def main() -> int:
    """Measure, show, and write down; 1 if a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("--clients", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=30, help="of sending, clean and under an old snapshot")
    parser.add_argument("--only", nargs="+", choices=list(MEASURES), default=list(MEASURES))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    facts, figures = machine.described(), list[Figure]()
    with _compiled(), postgres.server() as server, tempfile.TemporaryDirectory():
        settings = ", ".join(f"{name} {value}" for name, value in server.settings().items())
        facts["PostgreSQL"] = settings
        bench = Bench(server, service.find_nginx(), asked.clients, asked.seconds)
        for name in asked.only:
            figures += MEASURES[name](bench)
    table = Table("what", "figure", "beside", "ratio", "target", "")
    for each in figures:
        met = "met" if each.met else "missed"
        table.add_row(each.what, each.figure, each.beside, each.ratio, each.target, met)
    Console().print(table)
    if asked.out is not None:
        asked.out.write_text(page(facts, figures), encoding="utf-8")
    return 0 if all(each.met for each in figures) else 1


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, children.interrupt)
    try:
        sys.exit(main())
    except children.FailedError as error:
        Console(stderr=True).print(str(error), style="red", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
