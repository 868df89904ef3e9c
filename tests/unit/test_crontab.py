"""The marked block in a crontab: put in once, taken out whole, and nothing else is touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailer_cli import crontab
from mailer_cli.errors import ConflictError, InvalidValueError

MAILER = "/opt/mailer/.venv/bin/mailer"
THEIRS = (
    "MAILTO=ops@example.org\n\n# backups\n17 3 * * 1-5 /usr/bin/backup --all % input\n@reboot\t/bin/true\n"
)
lines = st.lists(st.text(st.characters(exclude_characters="\n")))
crontabs = lines.map(lambda each: "".join(f"{line}\n" for line in each if "mailer" not in line))


@given(crontabs)
def test_what_was_installed_and_removed_leaves_everything_else_as_it_was(text: str) -> None:
    assert crontab.remove(crontab.install(text, MAILER)) == text


@given(crontabs, crontabs)
def test_to_install_twice_is_to_install_once(before: str, after: str) -> None:
    once = crontab.install(before, MAILER) + after
    assert crontab.install(once, MAILER) == once


def test_another_path_takes_the_place_of_the_old_one() -> None:
    moved = crontab.install(crontab.install(THEIRS, "/old/mailer") + "# after\n", MAILER)
    assert moved == THEIRS + crontab.block(MAILER) + "# after\n"


def test_of_two_blocks_the_first_is_kept_up_to_date_and_the_second_goes() -> None:
    twice = "# a\n" + crontab.block("/old/mailer") + "# b\n" + crontab.block("/older/mailer") + "# c\n"
    assert crontab.install(twice, MAILER) == "# a\n" + crontab.block(MAILER) + "# b\n# c\n"
    assert crontab.remove(twice) == "# a\n# b\n# c\n"


def test_a_last_line_without_an_end_gets_one() -> None:
    assert crontab.install("# a", MAILER) == "# a\n" + crontab.block(MAILER)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# a\n# >>> mailer >>>\n* * * * * x\n", 2),
        ("# <<< mailer <<<\n", 1),
        ("# >>> mailer >>>\n# >>> mailer >>>\n# <<< mailer <<<\n", 1),
    ],
)
def test_half_a_block_is_refused_with_its_line(text: str, line: int) -> None:
    for edit in (crontab.remove, lambda text: crontab.install(text, MAILER)):
        with pytest.raises(ConflictError, match=rf"line {line} of the crontab.*crontab -e"):
            edit(text)


def test_somebody_elses_line_in_the_block_is_not_lost() -> None:
    text = crontab.block(MAILER).replace("* * * * * ", "@daily /usr/bin/backup\n* * * * * ")
    for edit in (crontab.remove, lambda text: crontab.install(text, MAILER)):
        with pytest.raises(ConflictError, match="line 5 of the crontab stands in mailer's block"):
            edit(text)


def test_what_cron_and_the_shell_would_read_otherwise_is_quoted() -> None:
    [entry] = crontab.dispatches(crontab.block("/srv/50% of it/it's/mailer"))
    assert entry.command == "'/srv/50% of it/it'\"'\"'s/mailer' dispatch"
    assert r"\%" in crontab.block("/srv/50% of it/mailer")


def test_a_path_with_a_line_break_is_refused() -> None:
    with pytest.raises(InvalidValueError):
        crontab.block("/srv/a\nb/mailer")


def test_every_line_that_runs_dispatch_is_found() -> None:
    text = (
        "MAILER_HOME=/srv/mailer dispatch\n"
        "# * * * * * mailer dispatch\n"
        "*/5 * * * * cd /srv && ./mailer dispatch --concurrency 5 >/dev/null\n"
        "@hourly mailer report --daily\n"
        "@hourly mailer dispatch%stdin\n" + crontab.block(MAILER)
    )
    assert [(entry.line, entry.command, entry.ours) for entry in crontab.dispatches(text)] == [
        (3, "cd /srv && ./mailer dispatch --concurrency 5 >/dev/null", False),
        (5, "mailer dispatch", False),
        (10, f"{MAILER} dispatch", True),
    ]
