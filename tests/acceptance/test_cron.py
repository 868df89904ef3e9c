"""`mailer cron`: the crontab gets one line and keeps all others, and the line works as cron runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Ended, Mailer
from mailer_cli import crontab
from mailer_cli.database import Connection, Dsn

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("mailer")
THEIRS = "MAILTO=ops@example.org\n17 3 * * 1-5 /usr/bin/backup\n"
FAKE = """#!/bin/sh
spool={spool}
case "$1" in
-l) [ -f "$spool" ] || {{ echo "no crontab for $(id -un)" >&2; exit 1; }}; cat "$spool" ;;
-) cat > "$spool" ;;
esac
"""


@pytest.fixture
def spool(bare: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: ARG001 - first the shell is made bare
    """A crontab program of the test's own, so that nobody's crontab is touched."""
    spool, folder = tmp_path / "spool", tmp_path / "bin"
    folder.mkdir()
    a_program(folder / "crontab", FAKE.format(spool=spool))
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return spool


def a_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def test_the_line_is_put_in_once_and_taken_out_whole(run: Mailer, spool: Path) -> None:
    spool.write_text(THEIRS)
    told = run("cron", "install")
    assert (told.code, told.out) == (0, "")
    assert "is in the crontab now" in told.err
    assert spool.read_text() == THEIRS + crontab.block(str(PROGRAM))
    assert "is there already" in run("cron", "install").err
    assert spool.read_text() == THEIRS + crontab.block(str(PROGRAM))
    assert run("cron", "remove").code == 0
    assert spool.read_text() == THEIRS
    assert "was not in the crontab" in run("cron", "remove").err


def test_who_has_no_crontab_yet_gets_one(run: Mailer, spool: Path) -> None:
    assert run("cron", "install").code == 0
    assert spool.read_text() == crontab.block(str(PROGRAM))


def test_a_dry_run_shows_the_crontab_and_changes_nothing(run: Mailer, spool: Path) -> None:
    spool.write_text(THEIRS)
    assert run("cron", "install", "--dry-run").out == THEIRS + crontab.block(str(PROGRAM))
    assert run("cron", "remove", "--dry-run").out == THEIRS
    assert spool.read_text() == THEIRS


def test_another_line_that_dispatches_is_named(run: Mailer, spool: Path) -> None:
    spool.write_text("# mine\n*/5 * * * * /srv/mailer dispatch\n")
    assert "line 2 of the crontab runs mailer dispatch, too" in run("cron", "install").err


def test_half_a_block_is_left_alone(run: Mailer, spool: Path) -> None:
    spool.write_text(crontab.BEGIN + "\n")
    for command in ("install", "remove"):
        told = run("cron", command)
        assert (told.code, "line 1 of the crontab" in told.err) == (1, True)
    assert spool.read_text() == crontab.BEGIN + "\n"


def test_without_a_crontab_program_the_way_out_is_said(
    run: Mailer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    told = run("cron", "install")
    assert (told.code, told.out) == (1, "")
    assert "apt install cron" in told.err
    assert run("cron", "show").out == crontab.block(str(PROGRAM))


def test_who_may_not_have_a_crontab_is_told_why(run: Mailer, spool: Path) -> None:
    a_program(spool.parent / "bin" / "crontab", "#!/bin/sh\necho 'You are not allowed\x1b[31m' >&2\nexit 1\n")
    told = run("cron", "install")
    assert (told.code, told.out) == (1, "")
    assert "the crontab cannot be read: You are not allowed\\x1b[31m" in told.err


def test_a_crontab_that_cannot_be_written_is_said_to_be_unchanged(run: Mailer, spool: Path) -> None:
    a_program(spool.parent / "bin" / "crontab", '#!/bin/sh\n[ "$1" = -l ] || { echo full >&2; exit 1; }\n')
    assert "the crontab was not changed: full" in run("cron", "install").err


def test_bytes_that_are_no_text_are_kept(run: Mailer, spool: Path) -> None:
    spool.write_bytes(b"# caf\xe9\n")
    assert run("cron", "install").code == 0
    assert spool.read_bytes() == b"# caf\xe9\n" + crontab.block(str(PROGRAM)).encode()


def test_settings_that_cron_would_not_see_are_named_and_not_shown(
    run: Mailer, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not spool.exists()
    monkeypatch.setenv("JWT_TOKEN", "a-token-that-must-never-show")
    Path(".env").write_text("MESSAGE_SERVICE_URL=http://127.0.0.1:8025/send/\n")
    told = run("cron", "install")
    assert "cron does not know these settings of this shell: MESSAGE_SERVICE_URL, JWT_TOKEN" in told.err
    assert "a-token" not in told.err


def test_the_example_is_what_show_prints_for_opt_mailer() -> None:
    assert (ROOT / "crontab.example").read_text() == crontab.block("/opt/mailer/.venv/bin/mailer")


# -- Debian's cron -------------------------------------------------------------------------------------


@pytest.fixture
def my_crontab() -> Iterator[None]:
    """The real crontab of whoever runs the tests, as it was before, whatever happens."""
    if os.geteuid() != 0 or shutil.which("crontab") is None or not Path("/var/spool/cron/crontabs").is_dir():
        pytest.skip("needs root and Debian's cron: apt install cron")
    spool = Path("/var/spool/cron/crontabs/root")
    before = spool.read_bytes() if spool.exists() else None
    try:
        yield
    finally:
        if before is None:
            subprocess.run(["crontab", "-r"], capture_output=True, check=False)
        else:
            subprocess.run(["crontab", "-"], input=before, check=True)


@pytest.mark.usefixtures("my_crontab", "bare")
def test_debians_cron_takes_the_crontab(run: Mailer) -> None:
    before = subprocess.run(["crontab", "-l"], capture_output=True, check=False).stdout
    assert run("cron", "install").code == 0
    installed = subprocess.run(["crontab", "-l"], capture_output=True, check=True).stdout
    assert installed == before + crontab.block(str(PROGRAM)).encode()
    assert run("cron", "remove").code == 0
    assert subprocess.run(["crontab", "-l"], capture_output=True, check=False).stdout == before


def as_cron_does(command: str, home: Path) -> Ended:
    """Cron's environment, shell and working directory: crontab(5)."""
    env = {"HOME": str(home), "LOGNAME": "root", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=env, cwd=home, capture_output=True, text=True, check=False
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def test_the_line_runs_with_nothing_but_what_cron_gives_it(
    run: Mailer, spool: Path, dsn: Dsn, connection: Connection, tmp_path: Path
) -> None:
    run("cron", "install")
    [entry] = crontab.dispatches(spool.read_text())
    home = tmp_path / "home"
    (home / ".config" / "mailer").mkdir(parents=True)
    (home / ".config" / "mailer" / "env").write_text(f"DATABASE_URL='{dsn.address}'\n")
    assert as_cron_does(entry.command, home) == Ended(0, "", "")
    assert connection.execute("SELECT ending FROM run").fetchall() == [("done",)]
