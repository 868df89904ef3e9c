"""The figures, as a table for a terminal and as the page that is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from rich import box
from rich.table import Table

from benchmarks.runs import Run
from benchmarks.subjects import Subject

ORIGINAL = "original-4"
COLUMNS = {
    "subject": "subject",
    "what": "",
    "messages": "",
    "messages/s": "msgs/s",
    "from-to": "from-to",
    "CPU s/1,000": "CPU",
    "peak MB": "MB",
    "× original": "×orig",
    "prepared/s": "",
    "others' cores": "others",
}  # as they are called on the page, and on a terminal


@dataclass(frozen=True, slots=True)
class Figures:
    """What the good runs of one subject at one latency come to."""

    subject: Subject
    latency: int
    runs: list[Run]

    @property
    def rate(self) -> float:
        """The median."""
        return median(run.rate for run in self.runs)

    @property
    def spread(self) -> str:
        """The slowest and the fastest run."""
        rates = [run.rate for run in self.runs]
        return f"{min(rates):,.0f}-{max(rates):,.0f}"

    def row(self, original: float | None) -> tuple[str, ...]:
        """The cells of its line in the table."""
        runs = self.runs
        prepared = median(run.number / run.preparing for run in runs if run.preparing > 0)
        return (
            self.subject.name,
            self.subject.title,
            f"{runs[0].number:,}",
            f"{self.rate:,.0f}",
            self.spread,
            f"{median(run.cpu_per_thousand for run in runs):.3f}",
            f"{max(run.memory for run in runs) / 1e6:,.0f}",
            f"{self.rate / original:.1f}" if original else "",
            f"{prepared:,.0f}" if self.subject.prepares else "",
            f"{max(run.others for run in runs):.1f}",
        )


@dataclass(slots=True)
class Results:
    """All runs, and what they were done on."""

    subjects: Sequence[Subject]
    skipped: Sequence[str] = ()
    facts: dict[str, str] = field(default_factory=dict)
    capacity: dict[int, float] = field(default_factory=dict)  # of the service, by its latency
    runs: list[Run] = field(default_factory=list)

    def latencies(self) -> list[int]:
        """Those that were measured."""
        return sorted({run.latency for run in self.runs})

    def figures(self, latency: int) -> list[Figures]:
        """Of each subject that has a good run at this latency."""
        found = []
        for subject in self.subjects:
            mine = [run for run in self.runs if (run.subject, run.latency) == (subject.name, latency)]
            if good := [run for run in mine if run.problem is None]:
                found.append(Figures(subject, latency, good))
        return found

    def rows(self, latency: int) -> list[tuple[str, ...]]:
        """The lines of the table for one latency."""
        rates = {each.subject.name: each.rate for each in self.figures(latency)}
        return [each.row(rates.get(ORIGINAL)) for each in self.figures(latency)]

    def problems(self) -> list[str]:
        """The runs that do not count, and why."""
        bad = [run for run in self.runs if run.problem is not None]
        return [f"{run.subject} at {run.latency} ms, {run.number:,} messages: {run.problem}" for run in bad]

    def ratios(self, latency: int) -> list[str]:
        """What follows from the rates, in words."""
        rates = {each.subject.name: each.rate for each in self.figures(latency)}
        told = [
            f"mailer's {many} processes do {rates[many_name] / rates['mailer-1']:.2f} times what one does"
            for many in (2, 4)
            if (many_name := f"mailer-{many}") in rates and "mailer-1" in rates
        ]
        for number in (1, 2, 4):
            mine, bare, free = (rates.get(f"{name}-{number}") for name in ("mailer", "bare", "no-http"))
            if mine and bare:
                told.append(f"mailer-{number} reaches {mine / bare:.0%} of its bare client loop")
            if mine and free:
                told.append(f"mailer-{number}'s engine without HTTP is {free / mine:.1f} times as fast")
        return told + _against_peers(rates)


def _against_peers(rates: dict[str, float]) -> list[str]:
    told = []
    best = max((name for name in rates if name.startswith("mailer-")), key=rates.__getitem__, default="")
    for name, rate in rates.items():
        family, _, number = name.rpartition("-")
        # A peer with as many processes as there are cores is compared with mailer's best.
        mine = f"mailer-{number}" if number in {"1", "2", "4"} else best
        if mine in rates and family not in {"mailer", "bare", "no-http"}:
            told.append(f"{mine} does {rates[mine] / rate:.2f} times what {name} does")
    return told


def table(rows: Iterable[Sequence[str]]) -> Table:
    """The table of one latency, for a terminal."""
    drawn = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    columns = [each for each in zip(COLUMNS.values(), *rows, strict=True) if each[0] and any(each[1:])]
    for heading, *_ in columns:
        drawn.add_column(heading, justify="right" if drawn.columns else "left", no_wrap=True)
    for cells in list(zip(*columns, strict=True))[1:]:
        drawn.add_row(*cells)
    return drawn


def page(results: Results) -> str:
    """The page that is kept, in Markdown."""
    lines = ["# Throughput, measured", "", METHOD, "", "## On what", ""]
    lines += [f"- {name}: {value}" for name, value in results.facts.items()]
    lines += [
        f"- The service alone, at {latency} ms: {rate:,.0f} answers/s to raw clients"
        for latency, rate in results.capacity.items()
    ]
    for latency in results.latencies():
        lines += ["", f"## Service latency {latency} ms", "", line([*COLUMNS])]
        lines += [line([":--", ":--", *["--:"] * (len(COLUMNS) - 2)])]
        lines += [line(row) for row in results.rows(latency)]
        if ratios := results.ratios(latency):
            lines += ["", *(f"- {ratio}" for ratio in ratios)]
    for title, what in (("Skipped", results.skipped), ("Runs that do not count", results.problems())):
        if what:
            lines += ["", f"## {title}", "", *(f"- {each}" for each in what)]
    return "\n".join(lines) + "\n"


def line(cells: Sequence[str]) -> str:
    """A line of a table in Markdown."""
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


METHOD = """\
Written by `python -m benchmarks`. Client, database, broker and service share one machine; compare within a
table only. A run counts only if the service accepted every message exactly once, with the right phone,
text and token, and the database holds a committed record of each. The rate is the median of the rounds,
over the span from the first request that reached the service until the commit of the last record (by
PostgreSQL's own commit timestamps); what was prepared before (clients imported, jobs enqueued) is told
apart. CPU is that of the sending processes with their children in the same span, without the database's,
the broker's and the service's; memory is the most that their resident sets summed to, from their start to
their end, where pages shared by forked processes count for each. PostgreSQL is durable; Redis keeps nothing
on disk, as brokers usually do. Others' cores are what processes that had nothing to do with the benchmark
used meanwhile, in the worst round: where it is not near 0, measure again."""
