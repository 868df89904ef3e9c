"""`python -m benchmarks`: every subject in turn, several rounds, one table."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import broker, capacity, children, machine, peers_venv, postgres, report, service
from benchmarks.children import FailedError
from benchmarks.peers_venv import Peers
from benchmarks.report import Results
from benchmarks.runs import Bench, Run
from benchmarks.subjects import SUBJECTS, Subject

REFERENCE = 2_500  # messages a second: --messages is for a subject that does so many
FEWEST = 100
DOUBTFUL = 0.3  # cores
console = Console(stderr=True, highlight=False, soft_wrap=True)


def main() -> int:
    """Measure, show, and write down; 1 if a run did not count, 130 if it was stopped."""
    asked = _arguments()
    peers = peers_venv.prepare()
    subjects, skipped = _chosen(asked.only, peers)
    for reason in skipped:
        console.print(f"skipped: {reason}", style="yellow", markup=False)
    if not subjects:
        return 1
    results = Results(subjects, skipped)
    stopped = False
    try:
        _measure(asked, peers, results)
    except KeyboardInterrupt:
        stopped = True
        console.print("stopped: what was measured so far is shown, and not written down")
    _show(results)
    if stopped:
        return 130
    if asked.out is not None:
        asked.out.write_text(report.page(results), encoding="utf-8")
        console.print(f"written to {asked.out}", markup=False)
    return 1 if results.problems() else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = sorted({subject.name for subject in SUBJECTS} | {_family(subject) for subject in SUBJECTS})
    parser.add_argument(
        "--messages",
        type=_positive,
        default=20_000,
        metavar="N",
        help="for a subject that does 2,500/s; fewer for the slower (default 20000: about 8 s a run)",
    )
    parser.add_argument("--rounds", type=_positive, default=3, metavar="R")
    parser.add_argument("--latency", type=_latencies, default=[0, 20, 100], metavar="MS,MS")
    parser.add_argument("--only", nargs="+", choices=names, metavar="SUBJECT", help=", ".join(names))
    parser.add_argument(
        "--service",
        choices=["nginx", "small"],
        default="nginx",
        help="small: the one of our own, which is used anyway where nginx cannot be had",
    )
    parser.add_argument("--out", type=Path, default=None, help="write the results to this file, too")
    return parser.parse_args()


def _latencies(text: str) -> list[int]:
    return sorted({abs(int(part)) for part in text.split(",")})


def _positive(text: str) -> int:
    return max(1, int(text))


def _family(subject: Subject) -> str:
    return subject.name.rpartition("-")[0]


def _chosen(only: Sequence[str] | None, peers: Peers) -> tuple[list[Subject], list[str]]:
    wanted = [each for each in SUBJECTS if not only or {each.name, _family(each)} & set(only)]
    able, skipped = [], []
    for subject in wanted:
        lacking = [name for name in subject.requires if name not in peers.versions]
        if subject.broker and broker.version() is None:
            lacking.append("redis-server")
        if lacking:
            skipped.append(f"{subject.name}: cannot be had here: {', '.join(lacking)}")
        else:
            able.append(subject)
    return able, skipped


def _measure(asked: argparse.Namespace, peers: Peers, results: Results) -> None:
    nginx = service.find_nginx() if asked.service == "nginx" else None
    if nginx is None:
        console.print("without nginx: a small service of our own, which is slower")
    results.facts |= machine.described()
    with postgres.server() as server:
        results.facts |= _around(server, peers) | {"Service": service.kind(nginx)}
        bench = Bench(server, peers.python if peers.versions else sys.executable, nginx)
        for latency in asked.latency:
            rate = results.capacity[latency] = capacity.measured(bench, latency)
            console.print(f"the service alone, at {latency} ms: {rate:,.0f} answers/s to raw clients")
        for latency in asked.latency:
            for round_ in range(asked.rounds):
                _round(bench, asked.messages, latency, round_, results)


def _around(server: postgres.Server, peers: Peers) -> dict[str, str]:
    settings = server.settings()
    version = settings.pop("server_version")
    told = ", ".join(f"{name} {value}" for name, value in settings.items())
    return {
        "PostgreSQL": f"{version}, on a socket; {told}",
        "Redis": f"{broker.version() or 'none'}, over TCP, nothing kept on disk",
        "Peers": ", ".join(f"{name} {version}" for name, version in peers.versions.items()),
    }


def _round(bench: Bench, messages: int, latency: int, round_: int, results: Results) -> None:
    for subject in _turned(results.subjects, round_):
        if latency and not subject.posts:
            continue  # without requests there is nothing to wait for
        run = bench.run(subject, latency, size(subject, latency, messages))
        results.runs.append(run)
        _tell(run, round_)


def _turned(subjects: Sequence[Subject], round_: int) -> list[Subject]:
    """In each round somebody else begins, so that nobody always follows the same one."""
    first = round_ * 5 % len(subjects)
    return [*subjects[first:], *subjects[:first]]


def size(subject: Subject, latency: int, messages: int) -> int:
    """How many messages make a run about as long as everybody's."""
    rate = 1 / (1 / subject.rate + latency / 1000 / subject.connections)
    return max(FEWEST, round(messages * rate / REFERENCE / 100) * 100)


def _tell(run: Run, round_: int) -> None:
    where = f"round {round_ + 1}, {run.latency} ms, {run.subject}, {run.number:,} messages"
    if run.problem:
        console.print(f"{where}: does not count: {run.problem}", style="red", markup=False)
        return
    told = f"{run.rate:,.0f}/s, CPU {run.cpu_per_thousand:.3f} s/1,000, {run.memory / 1e6:,.0f} MB"
    others = f", {run.others:.1f} cores were used by others" if run.others > DOUBTFUL else ""
    console.print(f"{where}: {told}, {run.seconds:.1f} s{others}", markup=False)


def _show(results: Results) -> None:
    out = Console()
    for latency in results.latencies():
        out.print(f"service latency {latency} ms; messages a second, CPU seconds per 1,000 messages")
        out.print(report.table(results.rows(latency)))
        for ratio in results.ratios(latency):
            out.print(f"  {ratio}", markup=False)
    for problem in results.problems():
        out.print(f"does not count: {problem}", style="red", markup=False)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, children.interrupt)
    try:
        sys.exit(main())
    except FailedError as error:
        console.print(str(error), style="red", markup=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
