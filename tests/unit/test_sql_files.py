"""What every statement in `sql/` must keep to, so that the schema can be spread over several servers."""

from __future__ import annotations

import re
from importlib import resources

import pytest

SHARDED = ("mailing_window", "message", "claim", "retry", "counter", "attempt")
FILES = sorted(
    (path for path in (resources.files("mailer_cli") / "sql").iterdir() if path.name.endswith(".sql")),
    key=lambda path: path.name,
)
WRITES = re.compile(rf"\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+({'|'.join(SHARDED)})\b")
NAMES_ONE_SHARD = re.compile(
    r"\bshard\s*=\s*%\(shard\)s|\(\s*shard\b|SELECT\s+%\(shard\)s|c\.shard = %\(shard\)s"
)


def code(text: str) -> str:
    return re.sub(r"--[^\n]*", "", text)


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def text(request: pytest.FixtureRequest) -> str:
    content: str = request.param.read_text(encoding="utf-8")
    return content


def test_it_opens_with_a_comment_that_says_why(text: str) -> None:
    assert text.startswith("-- ")


def test_it_is_one_statement(text: str) -> None:
    assert ";" not in code(text)


def test_no_placeholder_stands_inside_quotes(text: str) -> None:
    assert not re.search(r"'[^'\n]*%\(\w+\)s[^'\n]*'", code(text))


def test_what_writes_or_locks_a_sharded_table_names_one_shard(text: str) -> None:
    statement = code(text)
    locks = "FOR UPDATE" in statement and re.search(
        rf"\b(?:FROM|JOIN)\s+(?:{'|'.join(SHARDED)})\b", statement
    )
    if WRITES.search(statement) or locks:
        assert "%(shard)s" in statement
        assert NAMES_ONE_SHARD.search(statement)


def test_no_update_of_a_sharded_table_uses_what_a_cluster_cannot_run(text: str) -> None:
    statement = code(text)
    if not re.search(rf"\bUPDATE\s+(?:{'|'.join(SHARDED)})\b|DO UPDATE", statement):
        return
    assert not re.search(r"clock_timestamp|random\(|gen_random_uuid", statement)
    assert not re.search(r"\w\s*[+-]\s*interval\b", statement, re.IGNORECASE)
    assert not re.search(r"AT TIME ZONE", statement, re.IGNORECASE)
    for case in re.findall(r"\bCASE\b.*?\bEND\b", statement, re.DOTALL):
        assert "now()" not in case


def test_postgresql_never_converts_local_time(text: str) -> None:
    assert "AT TIME ZONE" not in code(text).upper()
