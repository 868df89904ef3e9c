"""The concepts can be read in the terminal, in a pipe and as a manual page; shells complete what there is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import factories
from conftest import Mailer
from mailer_cli.cli.help_topics import Topic, text
from mailer_cli.database import Connection, Dsn
from mailer_cli.errors import ExitCode
from mailer_cli.statuses import MailingState, Status
from terminal import on_a_terminal


@pytest.mark.parametrize("topic", Topic)
def test_each_topic_is_plain_text_in_a_pipe(run: Mailer, topic: Topic) -> None:
    told = run("help", topic)
    assert (told.code, told.out, told.err) == (0, text(topic), "")


def test_topics_are_listed(run: Mailer) -> None:
    told = run("help")
    assert all(topic in told.out for topic in Topic)
    assert max(map(len, told.out.splitlines())) <= 80


def test_an_unknown_topic_names_those_there_are(run: Mailer) -> None:
    told = run("help", "love")
    assert told.code == 2
    assert all(topic in told.err for topic in Topic)


@pytest.mark.parametrize("topic", Topic)
def test_each_topic_fits_a_terminal_of_80_columns(run: Mailer, topic: Topic) -> None:
    ended = on_a_terminal(run, columns=80)("help", topic)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", ended.out)
    assert ended.code == 0
    assert max(len(line.rstrip()) for line in plain.splitlines()) <= 80


def test_the_topics_name_every_status_and_every_exit_code() -> None:
    statuses, codes = text(Topic.STATUSES), text(Topic.EXIT_CODES)
    assert all(f"`{status}`" in statuses for status in Status)
    assert all(f"`{state}`" in statuses for state in MailingState)
    assert all(re.search(rf"\b{code.value}\b", codes) for code in ExitCode)


def test_the_manual_page_has_every_command_and_every_topic(run: Mailer) -> None:
    page = run("help", "--man").out
    assert page.startswith(".TH MAILER 1")
    for words in (r"mailer mailing create", r"mailer dispatch", r"mailer client import", r"EXIT CODES"):
        assert words.replace("-", r"\-") in page
    assert r"\-\-max\-seconds" in page
    assert r".B retrying" in page


@pytest.mark.skipif(shutil.which("man") is None, reason="no man: apt-get install man-db")
def test_man_reads_the_manual_page_without_a_complaint(run: Mailer, tmp_path: Path) -> None:
    page = tmp_path / "mailer.1"
    page.write_text(run("help", "--man").out)
    shown = subprocess.run(
        ["man", "--warnings", "-l", str(page)],
        env=os.environ | {"MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "EXIT CODES" in shown.stdout
    assert shown.stderr == ""


def complete(shell: str, dsn: Dsn | None, home: Path, *words: str) -> list[str]:
    """What Tab offers after these words."""
    line = "mailer " + " ".join(words)
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "MAILER_HOME": str(home / "none"),
        "_MAILER_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words)),
        "_TYPER_COMPLETE_ARGS": line,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        **({"DATABASE_URL": dsn.address} if dsn else {}),
    }
    ended = subprocess.run(
        [str(Path(sys.executable).parent / "mailer")],
        env=env,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    return ended.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_ids_zones_tags_and_operators(
    dsn: Dsn, connection: Connection, tmp_path: Path, shell: str
) -> None:
    factories.a_client(connection, tag="vip", operator_code="916")
    mailing = factories.a_mailing(connection, text="Sale until Sunday")

    def offered(*words: str) -> str:
        return " ".join(complete(shell, dsn, tmp_path, *words))

    assert "Europe/Moscow" in offered("client", "add", "--timezone", "Europe/Mo")
    assert "vip" in offered("client", "count", "--tag", "v")
    assert "916" in offered("client", "count", "--operator", "9")
    assert str(mailing) in offered("report", str(mailing)[0])


def test_completion_without_a_database_is_empty_and_starts_none(tmp_path: Path) -> None:
    assert complete("bash", None, tmp_path, "client", "count", "--tag", "v") == []
    assert not (tmp_path / "none").exists()


def test_completion_with_a_database_that_is_gone_is_empty(tmp_path: Path) -> None:
    gone = Dsn("postgresql://nobody@127.0.0.1:1/none")
    assert complete("bash", gone, tmp_path, "client", "count", "--tag", "v") == []
