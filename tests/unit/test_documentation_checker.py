"""The checker of the documentation finds what is wrong, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from documentation import complaint, mailers, read


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("mailer report", [["report"]]),
        ("cd /x && .venv/bin/mailer report -o csv > out.csv 2>&1", [["report", "-o", "csv"]]),
        ('mailer client add "+7 (916)" \\\n  --tag vip', [["client", "add", "+7 (916)", "--tag", "vip"]]),
        ('psql "$(mailer db url)" -c "SELECT 1"', [["db", "url"]]),
        ("JWT_TOKEN=x mailer dispatch | tee log", [["dispatch"]]),
        ("sudo -u mailer /opt/mailer/.venv/bin/mailer doctor", [["doctor"]]),
        ("docker compose run --rm mailer report 1", [["report", "1"]]),
        ("useradd --create-home mailer && chown mailer: /etc/x", []),
        ("cat > clients.csv <<'END'\nmailer nonsense\nEND\nmailer report", [["report"]]),
        ("* * * * * /opt/mailer/.venv/bin/mailer dispatch", [["dispatch"]]),
        ("# mailer nonsense", []),
    ],
)  # fmt: skip
def test_commands_are_found_as_a_shell_would(typed: str, found: list[list[str]]) -> None:
    assert list(mailers(typed)) == found


@pytest.mark.parametrize(
    "typed",
    [
        ["dispatch", "--processes", "auto"],
        ["mailing", "create", "Hello", "--start", "2026-12-01 10:00", "--end", "2026-12-02 10:00"],
        ["mailing", "retry", "ID", "--only", "unknown"],
        ["client", "mute", "PHONE", "--reason", "$REASON"],
        ["report", "--help"],
        ["--version"],
        [],
    ],
)
def test_what_the_program_takes_is_fine(typed: list[str]) -> None:
    assert complaint(typed) is None


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["dispatch", "--proceses", "2"], "No such option: --proceses"),
        (["raport"], "mailer: no command 'raport'"),
        (["mailing", "sent", "ID"], "mailer mailing: no command 'sent'"),
        (["mailing", "retry", "ID", "--only", "lost"], "'lost' is not one of"),
        (["mailing", "pause", "first"], "should be a valid integer"),
        (["mailing", "pause", "1", "2"], "unexpected extra argument"),
        (["client", "show"], "Missing argument"),
        (["dispatch", "--rate"], "requires an argument"),
        (["mailing"], "which command?"),
    ],
)
def test_a_planted_mistake_is_found(typed: list[str], said: str) -> None:
    assert said in (complaint(typed) or "")


def test_prose_may_leave_out_what_a_command_needs_and_nothing_else() -> None:
    assert complaint(["client", "show"], whole=False) is None
    assert complaint(["dispatch", "--processes"], whole=False) is None
    assert complaint(["mailing"], whole=False) is None
    assert complaint(["client", "shown"], whole=False) is not None
    assert complaint(["client", "show", "--colour"], whole=False) is not None


def test_a_page_is_taken_apart(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# The *first* `one`, 2\n\nSee [there](other.md#x), `mailer db url`.\n\n"
        "| a | b |\n|---|---|\n| `mailer help --man \\| man -l -` | ![p](p.svg) |\n\n"
        "<!-- not run: it needs root -->\n```sh\nmailer doctor\n```\n\n```\nmailer nonsense\n```\n"
    )
    taken = read(page)
    assert [(block.language, block.unrun) for block in taken.blocks] == [("sh", "it needs root"), ("", None)]
    assert list(taken.commands()) == [(10, ["doctor"])]
    assert [span.text for span in taken.code] == ["one", "mailer db url", "mailer help --man | man -l -"]
    assert [link.text for link in taken.links] == ["other.md#x", "p.svg"]
    assert taken.anchors == {"the-first-one-2"}
