"""All pages: the program takes what they have people type, their links lead somewhere, stories are played."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg
import pytest

import forks
from conftest import CONFIGURED
from documentation import ROOT, SHELL, Block, Page, all_options, complaint, mailers, read
from mailer_cli import localtime, metrics, roles, tables
from mailer_cli.database import Connection, Dsn
from mailer_cli.settings import Settings

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "src/mailer_cli/topics/*.md")
    for path in ROOT.glob(pattern)
)
OTHERS_OPTIONS = {"--passive", "--profile", "--scale"}  # of listmonk, and of docker compose
MADE_BY_US = {"benchmarks/.venv"}  # named, and not in the repository
SETTING = re.compile(r"\b(?:MAILER|MESSAGE_SERVICE|JWT|DB|POSTGRES|DATABASE)_[A-Z][A-Z_]*[A-Z]\b")
RUN_BY_TESTS = ("README.md", "docs/operating.md")


@pytest.fixture(params=PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Page:
    return read(request.param)


def test_every_command_is_one_that_the_program_takes(page: Page) -> None:
    said = [f"line {line}: {complaint(words)}" for line, words in page.commands() if complaint(words)]
    assert said == []


def test_every_command_and_option_in_a_sentence_exists(page: Page) -> None:
    wrong = []
    known = all_options() | OTHERS_OPTIONS
    if page.path.parent.name == "benchmarks":
        sources = ROOT.glob("benchmarks/*.py")
        known |= {name for path in sources for name in re.findall(r'"(--[a-z-]+)"', path.read_text())}
    for span in page.code:
        if span.text.startswith("mailer "):
            text = re.sub(r"[\[\]…]", "", span.text)
            said = [complaint(words, whole=False) for words in mailers(text)]
            wrong += [f"line {span.line}: {each}" for each in said if each]
        elif (option := span.text.split()[0].split("=")[0] if span.text.strip() else "").startswith("--"):
            wrong += [f"line {span.line}: {option}"] if option not in known else []
    assert wrong == []


def test_every_setting_that_is_named_exists(page: Page) -> None:
    known = {name.upper() for name in Settings.model_fields} | read_from_the_environment()
    texts = [span.text for span in page.code] + [block.text for block in page.blocks]
    assert sorted({name for text in texts for name in SETTING.findall(text)} - known) == []


def read_from_the_environment() -> set[str]:
    """What is no setting, but read by the code, the tests or the compose file."""
    sources = [*ROOT.glob("src/**/*.py"), *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/**/*.py")]
    found = {
        name
        for path in sources
        for name in re.findall(r"[\"']((?:MAILER|DB)_[A-Z_]+)[\"']", path.read_text())
    }
    return found | set(re.findall(r"^ +([A-Z_]+):", (ROOT / "docker-compose.yml").read_text(), re.MULTILINE))


def test_every_link_leads_somewhere(page: Page) -> None:
    lost = []
    for link in page.links:
        if re.match(r"[a-z]+:", link.text):
            continue
        address, _, anchor = link.text.partition("#")
        target = (page.path.parent / address).resolve() if address else page.path
        if not target.exists() or (anchor and anchor not in read(target).anchors):
            lost.append(f"line {link.line}: {link.text}")
    assert lost == []


def test_every_file_that_is_named_exists(page: Page) -> None:
    top = {path.name for path in ROOT.iterdir()}
    lost = []
    for span in page.code:
        named = span.text.rstrip("/")
        if not re.fullmatch(r"[\w.*-]+(/[\w.*-]+)+", named) or named.split("/")[0] not in top:
            continue
        if not any(ROOT.glob(named)) and named not in MADE_BY_US:
            lost.append(f"line {span.line}: {span.text}")
    assert lost == []


def test_every_metric_and_every_role_that_is_named_exists(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO run (host, pid, started_at, heartbeat_at) VALUES ('a-host', 1, now(), now())"
    )
    known = set(re.findall(r"^# TYPE (\w+)", metrics.text(connection).decode(), re.MULTILINE))
    known |= {f"mailer_{role.value}" for role in roles.Role}
    for page in map(read, PAGES):
        texts = [block.text for block in page.blocks if block.language == "yaml"]
        texts += [span.text for span in page.code if span.text.startswith("mailer_")]
        named = {name for text in texts for name in re.findall(r"\bmailer_[a-z]+(?:_[a-z]+)*", text)}
        assert named - known - {"mailer_cli"} == set(), page.path


def test_every_table_that_is_queried_exists(page: Page) -> None:
    known = set(tables.Client.metadata.tables)
    for block in page.blocks:
        if block.language == "sql":
            named = set(re.findall(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+([a-z_]+)", block.text))
            assert {name for name in named if not name.startswith("pg_")} <= known, block.line


def test_the_example_of_local_time_is_worked_out_rightly() -> None:
    page = (ROOT / "docs" / "concepts.md").read_text()
    rows = re.findall(r"^\| (\w+/\w+) \(UTC.*?\) \| (.+?)Z \| (.+?)Z \|$", page, re.MULTILINE)
    assert len(rows) == 4
    for zone, opens, closes in rows:
        day = opens.split()[0]
        start, end = datetime(2026, 12, 1, 10), datetime(2026, 12, 1, 20)
        (found,) = localtime.window(start, end, localtime.find_zone(zone))
        assert f"{found.opens_at:%Y-%m-%d %H:%M}" == opens
        assert f"{found.closes_at:%Y-%m-%d %H:%M}" == (closes if " " in closes else f"{day} {closes}")


def test_every_page_in_docs_is_found_from_the_readme() -> None:
    linked = {link.text.partition("#")[0] for link in read(ROOT / "README.md").links}
    pages = {str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")}
    assert pages - linked == set()


def test_both_readmes_tell_people_to_type_the_same() -> None:
    english, russian = read(ROOT / "README.md"), read(ROOT / "README.ru.md")
    assert typed(english) == typed(russian)
    assert [link.text for link in english.links if link.text.endswith((".svg", ".dist", ".example"))] == [
        link.text for link in russian.links if link.text.endswith((".svg", ".dist", ".example"))
    ]


def typed(page: Page) -> list[str]:
    """The shell blocks in order, and the commands in sentences and tables."""
    sentences = sorted(span.text for span in page.code if span.text.startswith("mailer "))
    return [block.text for block in page.blocks if block.language in SHELL] + sentences


def test_the_readmes_know_of_each_other() -> None:
    assert "README.ru.md" in [link.text for link in read(ROOT / "README.md").links]
    assert "README.md" in [link.text for link in read(ROOT / "README.ru.md").links]


@pytest.fixture(scope="module")
def typist() -> Iterator[Path]:
    """A directory with a `mailer` that starts quickly, for a shell's path."""
    with tempfile.TemporaryDirectory(prefix="mailer-typist-") as place:
        address = Path(place) / "socket"
        forks.program(Path(place) / "mailer", address)
        server = subprocess.Popen(
            [sys.executable, "-m", "forks", str(address)],
            cwd=ROOT / "tests",
            stdout=subprocess.PIPE,
        )
        with server:
            assert server.stdout is not None
            assert server.stdout.readline() == b"listening\n"
            yield Path(place)
            server.kill()


@dataclass(frozen=True, slots=True)
class Shell:
    """An operator's shell with nothing configured but the database, in an empty directory of their own."""

    home: Path
    path: Path
    database: Dsn

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURED)}
        own = {"HOME": str(self.home), "PATH": f"{self.path}:{os.environ['PATH']}"}
        return subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", script],
            env=kept | own | {"DATABASE_URL": self.database.address},
            cwd=self.home,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def shell(tmp_path: Path, typist: Path, dsn: Dsn) -> Shell:
    return Shell(tmp_path, typist, dsn)


@pytest.mark.parametrize("name", RUN_BY_TESTS)
def test_the_story_goes_as_it_is_written(name: str, shell: Shell) -> None:
    ended = shell.run(story([block for block in read(ROOT / name).blocks if block.language == "sh"]))
    assert ended.returncode == 0, ended.stderr
    with psycopg.connect(shell.database.address) as connection:
        sent = connection.execute("SELECT count(*) FROM message WHERE status = 'sent'").fetchone()
    assert sent is not None
    assert sent[0] > 0


def test_a_story_with_a_wrong_option_ends_there(shell: Shell) -> None:
    planted = Block(1, "sh", "mailer db status\nmailer report --colour\nmailer db status\n", None)
    ended = shell.run(story([planted]))
    assert ended.returncode == 2
    assert ended.stdout.count("schema needed") == 1


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def story(blocks: list[Block]) -> str:
    """One script of what the blocks say, in order; the sandbox of another terminal runs beside it."""
    port = a_free_port()
    parts = ["sandbox=; trap 'kill $sandbox 2>/dev/null || :' EXIT"]
    for block in blocks:
        if block.unrun or block.text.startswith("python3 -m venv"):  # .ci/run itself sets up
            continue
        text = block.text.replace("8025", str(port))
        parts.append(f"echo 'block at line {block.line}' >&2")
        parts.append(beside(text, port) if text.startswith("mailer sandbox") else text)
    return "\n".join(parts)


def beside(text: str, port: int) -> str:
    """Start a sandbox in the background, in place of the one before, and wait until it listens."""
    words = [sys.executable, "-m", "mailer_cli", *shlex.split(text)[1:], "--port", str(port), "--quiet"]
    return (
        '[ -z "$sandbox" ] || { kill $sandbox; wait $sandbox || :; }\n'
        f"{shlex.join(words)} >/dev/null & sandbox=$!\n"
        f"until (: </dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.1; done"
    )


def blocks() -> Iterator[tuple[str, Block]]:
    for name in RUN_BY_TESTS:
        yield from ((name, block) for block in read(ROOT / name).blocks if block.language == "sh")


def test_most_of_the_stories_is_played() -> None:
    played = [block for _, block in blocks() if not block.unrun]
    assert sum(len(list(mailers(block.text))) for block in played) >= 40
