"""The log: whole lines from any number of processes, put aside when it is large, and no line lost."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mailer_cli import runlog

WRITER = """
import sys
from mailer_cli import runlog
runlog.MOST, runlog.KEPT = 20_000, 50
for number in range(300):
    runlog.write(sys.argv[1], f"writer {sys.argv[2]} line {number}", trouble=False)
"""


def test_a_line_says_when_where_and_who(tmp_path: Path) -> None:
    log = tmp_path / "mailer.log"
    runlog.write(str(log), "run 7: 3 sent;\ndone", trouble=False)
    runlog.write(str(log), "the database is away", trouble=True)
    first, second = log.read_text().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \S+ mailer\[\d+\]: run 7: 3 sent; done", first)
    assert second.endswith("]: trouble: the database is away")


def test_it_is_put_aside_when_it_is_large_and_the_oldest_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runlog, "MOST", 100)
    monkeypatch.setattr(runlog, "KEPT", 2)
    for number in range(5):
        runlog.write(str(tmp_path / "log"), f"{number}" * 60, trouble=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    kept = [(tmp_path / name).read_text().rsplit(" ", 1)[1].strip() for name in ("log.2", "log.1", "log")]
    assert kept == ["2" * 60, "3" * 60, "4" * 60]


def test_four_processes_write_and_rotate_at_once_and_no_line_is_lost_or_torn(tmp_path: Path) -> None:
    log = tmp_path / "log"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(log), str(number)]) for number in range(4)]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    lines = [line for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    said = [re.sub(r"^\S+ \S+ mailer\[\d+\]: ", "", line) for line in lines]
    assert sorted(said) == sorted(f"writer {w} line {n}" for w in range(4) for n in range(300))
    assert all(path.stat().st_size <= 20_000 for path in tmp_path.iterdir())


def test_another_programs_rotation_is_followed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    runlog.write(str(log), "before", trouble=False)
    log.rename(tmp_path / "log.old")
    runlog.write(str(log), "after", trouble=False)
    assert log.read_text().endswith("after\n")


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        runlog.write(str(tmp_path / "absent" / "log"), "x", trouble=False)


def test_without_a_syslog_nothing_happens() -> None:
    runlog.write(runlog.SYSLOG, "mailer's tests say hello", trouble=False)
