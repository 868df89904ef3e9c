"""Rehearse Dockerfile and docker-compose.yml without an engine: docs/containers.md says what that proves.

    python tools/container_rehearsal.py --python PREFIX [--place DIRECTORY]      as root, some minutes, 2 GB

The image's steps are run one by one in a chroot made by debootstrap. Its entry point and the commands of the
compose file, as Debian's docker-compose resolves them, run in it as their user, as process 1, without
capabilities, on a root mounted read-only, in a network of their own, against a PostgreSQL with a password.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from image_steps import Image, build, run

ROOT = Path(__file__).resolve().parents[1]
POSTGRES = Path("/usr/lib/postgresql/15/bin")
SANDBOX = "http://sandbox:8025/send/"
CONTAINER = """
set -e
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mkdir -p "$root/run/secrets"
for each in $tmpfs; do mount -t tmpfs -o "${each#*:}" tmpfs "$root${each%%:*}"; done
for each in $binds; do touch "$root${each#*:}"; mount --bind "${each%%:*}" "$root${each#*:}"; done
mount -o remount,ro,bind "$root"
hostname "$name"
exec env -i $vars chroot "$root" "$@"
"""


def say(text: str) -> None:
    """Tell what is being done, and what was seen."""
    print(text, flush=True)  # noqa: T201 - what a script is for


def require(condition: object, text: str) -> None:
    """Say that something was seen, or end."""
    if not condition:
        sys.exit(f"FAILED {text}")
    say(f"ok {text}")


@dataclass(frozen=True, slots=True)
class Project:
    """The compose file, resolved with a .env, and the image that its services share."""

    place: Path
    image: Image
    services: dict[str, Any]
    secrets: dict[str, Any]

    def words(self, service: str, name: str, words: list[str]) -> tuple[list[str], dict[str, str]]:
        """Return what to start, and its environment: the service's limits, secrets and settings."""
        said = self.services[service]
        env = {**self.image.env, **said["environment"], "HOME": "/home/mailer"}
        secrets = [each["source"] for each in said.get("secrets", [])]
        binds = [f"{self.secrets[each]['file']}:/run/secrets/{each}" for each in secrets]
        outside = {
            "PATH": os.environ["PATH"],
            "root": str(self.image.root),
            "name": name,
            "tmpfs": " ".join(said["tmpfs"]),
            "binds": " ".join([f"{self.place}/hosts:/etc/hosts", *binds]),
            "vars": " ".join(f"{key}={value}" for key, value in env.items()),
        }
        uid, _, gid = str(said["user"]).partition(":")
        assert said["read_only"] is True  # noqa: S101 - what is rehearsed
        assert said["cap_drop"] == ["ALL"]  # noqa: S101
        limits = ["setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--no-new-privs"]
        limits += ["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
        limits += ["sh", "-c", f'cd {self.image.workdir} && exec "$@"', "sh"]
        own = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "sh", "-c", CONTAINER, "sh"]
        return [*own, *limits, *words], outside


class Container:
    """A service that runs; its output is kept in a file."""

    def __init__(self, project: Project, service: str) -> None:
        said = project.services[service]
        self.log = project.place / f"{service}.log"
        self._project, self._service = project, service
        words, env = project.words(service, service, [*project.image.entrypoint, *said["command"]])
        with self.log.open("wb") as log, (project.place / f"{service}.err").open("wb") as err:
            self._process = subprocess.Popen(words, env=env, stdout=log, stderr=err)
        time.sleep(1)
        self.first = int(_children(self._process.pid)[0])

    @property
    def said(self) -> str:
        """What it has written to stdout."""
        return self.log.read_text(encoding="utf-8")

    @property
    def errors(self) -> str:
        """What it has written to stderr."""
        return self.log.with_suffix(".err").read_text(encoding="utf-8")

    def worker(self) -> int:
        """Return the process that the first one, tini, looks after."""
        return int(_children(self.first)[0])

    def health(self) -> tuple[int, str]:
        """Run the health check in it, as `docker exec` would."""
        test = self._project.services[self._service]["healthcheck"]["test"]
        uid = str(self._project.services[self._service]["user"]).partition(":")[0]
        status = Path(f"/proc/{self.first}/environ").read_bytes().split(b"\0")
        env = dict(each.decode().split("=", 1) for each in status if b"=" in each)
        limits = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--bounding-set=-all"]
        inside = ["nsenter", "-t", str(self.first), "-m", "-u", "-p", "-r", "-w", *limits, *test[1:]]
        done = subprocess.run(inside, env=env, capture_output=True, text=True, check=False)
        return done.returncode, (done.stdout + done.stderr).strip()

    def stop(self) -> tuple[int, float]:
        """Send SIGTERM to the first process, as `docker stop` does; return its exit code and the seconds."""
        grace = float(self._project.services[self._service].get("stop_grace_period", "10s").rstrip("s"))
        began = time.monotonic()
        os.kill(self.first, signal.SIGTERM)
        return self._process.wait(timeout=grace), time.monotonic() - began


def once(project: Project, service: str, *command: str, code: int = 0) -> str:
    """`docker compose run --rm SERVICE COMMAND`, which must end with this code."""
    words, env = project.words(
        service, "once", [*project.image.entrypoint, *(command or project.services[service]["command"])]
    )
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    told = (done.stdout + done.stderr).strip()
    require(
        done.returncode == code,
        f"{shlex.join(command) or service} ended with {done.returncode}: {told[:300]}",
    )
    return told


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def resolved(place: Path, image: Image, **settings: str) -> Project:
    """`cp .env.dist .env`, some settings, and what Debian's docker-compose makes of it."""
    copy = place / "project"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    shutil.copy(ROOT / "docker-compose.yml", copy)
    shutil.copytree(ROOT / "secrets" / "default", copy / "secrets" / "default")
    (copy / "secrets" / "jwt_token").write_text("a-token-of-the-rehearsal\n")
    lines = [(ROOT / ".env.dist").read_text(), *(f"{key}={value}" for key, value in settings.items())]
    (copy / ".env").write_text("\n".join(lines) + "\n")
    done = run("docker-compose", "--profile", "sandbox", "config", cwd=copy, stdout=subprocess.PIPE)
    found = yaml.safe_load(done.stdout)
    return Project(place, image, found["services"], found["secrets"])


@contextmanager
def postgres(project: Project) -> Iterator[None]:
    """A server with the secret's password, by TCP on the port and under the name of the compose file."""
    env = project.services["postgres"]["environment"]
    data = project.place / "pgdata"
    shutil.rmtree(data, ignore_errors=True)
    run("install", "-d", "-o", "postgres", data)
    secret = shutil.copy(project.secrets["postgres_password"]["file"], data.parent / "pgpassword")
    run("chown", "postgres", secret)
    asa = ["runuser", "-u", "postgres", "--"]
    quiet = {"stdout": subprocess.DEVNULL}
    auth = ["--auth-host=scram-sha-256", "--auth-local=trust"]
    run(
        *asa,
        POSTGRES / "initdb",
        "-D",
        data / "d",
        f"--pwfile={secret}",
        "-U",
        env["POSTGRES_USER"],
        *auth,
        **quiet,
    )
    options = f"-c listen_addresses=127.0.0.1 -c unix_socket_directories={data}"
    run(
        *asa, POSTGRES / "pg_ctl", "-D", data / "d", "-w", "-l", data / "log", "-o", options, "start", **quiet
    )
    try:
        run(*asa, "createdb", "-h", data, "-U", env["POSTGRES_USER"], env["POSTGRES_DB"])
        test = project.services["postgres"]["healthcheck"]["test"][1].replace("$$", "$")
        run("sh", "-c", test, env={**os.environ, **env}, **quiet)
        say("ok postgres: its health check says healthy")
        yield
    finally:
        run(*asa, POSTGRES / "pg_ctl", "-D", data / "d", "-m", "fast", "stop", **quiet)


def wait_for(true: Any, what: str, seconds: float = 150) -> None:
    """Wait until something is so; end if it never is."""
    began = time.monotonic()
    while not true() and time.monotonic() - began < seconds:
        time.sleep(0.2)
    require(true(), f"{what}, after {time.monotonic() - began:.0f} s")


def limits(project: Project) -> None:
    """What a process in the container may not do."""
    words, env = project.words(
        "mailer",
        "probe",
        ["sh", "-c", "id -u; grep -E 'Cap(Eff|Bnd)|NoNewPrivs' /proc/self/status; touch /x /opt/mailer/x"
         " /home/mailer/x /tmp/x; cat /run/secrets/postgres_password; which pip gcc; which mailer"],
    )  # fmt: skip
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    told = done.stdout + done.stderr
    require("10001" in told.splitlines()[0], "the user is 10001")
    require(re.search(r"CapEff:\s+0{16}", told) and re.search(r"CapBnd:\s+0{16}", told), "no capabilities")
    require(re.search(r"NoNewPrivs:\s+1", told), "no new privileges")
    require(
        told.count("Read-only file system") == 2, "/ and /opt/mailer are read-only, home and /tmp are not"
    )
    require("/opt/mailer/bin/mailer" in told and "gcc" not in told, "no compiler; mailer is on the path")


def first_start(project: Project) -> None:
    """`docker compose up` with .env.dist as it is: the schema is made, and what is missing is said."""
    require("upgraded from nothing" in once(project, "upgrade"), "upgrade made the schema")
    require("up to date" in once(project, "upgrade"), "upgrade once more changes nothing")
    once(project, "mailer", "client", "add", "+79160000001", "--timezone", "UTC")
    now = datetime.now(UTC)
    a_mailing(project, now - timedelta(hours=1))
    mailer = Container(project, "mailer")
    wait_for(lambda: "no message service; set MESSAGE_SERVICE_URL" in mailer.said, "what is missing is said")
    require(mailer.health()[0] == 0, f"the health check: {mailer.health()}")
    stopped(mailer)


def a_mailing(project: Project, start: datetime) -> None:
    """A mailing to everybody, on the clock of UTC."""
    times = ["--start", f"{start:%Y-%m-%d %H:%M}", "--end", f"{start + timedelta(hours=9):%Y-%m-%d %H:%M}"]
    once(project, "mailer", "mailing", "create", "A rehearsal", *times, "--yes")


def stopped(container: Container) -> None:
    """SIGTERM ends it within its grace period, with 0, and all it had to say went to stdout."""
    code, seconds = container.stop()
    require(code == 0, f"SIGTERM ended it after {seconds:.1f} s, with {code}")
    require("stopped; " in container.said and not container.errors, "its log is on stdout, nothing on stderr")
    say("   | " + container.said.strip().replace("\n", "\n   | "))


def a_minute(project: Project) -> None:
    """With the sandbox: what is due in the next minute is sent then; a stopped dispatcher is unhealthy."""
    sandbox = Container(project, "sandbox")
    mailer = Container(project, "mailer")
    wait_for(lambda: "A rehearsal" in sandbox.said, "what was due is sent at once")
    require(sandbox.health()[0] == 0, "the sandbox's health check says healthy")
    start = (datetime.now(UTC) + timedelta(seconds=75)).replace(second=0, microsecond=0)
    a_mailing(project, start)
    wait_for(lambda: sandbox.said.count("A rehearsal") == 2, f"what was due at {start:%H:%M} was sent")
    require(start <= datetime.now(UTC) < start + timedelta(seconds=20), f"at {datetime.now(UTC):%H:%M:%S}")
    require(mailer.health()[0] == 0, f"the health check: {mailer.health()}")
    os.kill(mailer.worker(), signal.SIGSTOP)
    began = time.monotonic()
    wait_for(lambda: mailer.health()[0] == 1, "its scheduler stopped (SIGSTOP), it is unhealthy", 200)
    require(time.monotonic() - began > 60, f"and not before: {mailer.health()[1]}")
    os.kill(mailer.worker(), signal.SIGCONT)
    wait_for(lambda: mailer.health()[0] == 0, "going on (SIGCONT), it is healthy again", 90)
    stopped(mailer)
    sandbox.stop()


def stopped_while_sending(project: Project) -> None:
    """SIGTERM in the middle of 5,000 messages: what was accepted is recorded as sent, the rest is kept."""
    people = project.place / "people.csv"
    people.write_text("phone,timezone\n" + "".join(f"7917{i:07d},UTC\n" for i in range(5000)))
    rows = people.read_text()
    words, env = project.words("mailer", "once", [*project.image.entrypoint, "client", "import", "-"])
    subprocess.run(words, env=env, input=rows, text=True, check=True, capture_output=True)
    a_mailing(project, datetime.now(UTC) - timedelta(hours=1))
    sandbox = Container(project, "sandbox")
    mailer = Container(project, "mailer")
    wait_for(lambda: sandbox.said.count("A rehearsal") > 500, "500 of 5,000 are sent")
    stopped(mailer)
    sandbox.stop()
    received = sandbox.said.count("A rehearsal")
    [report] = [
        each for each in json.loads(once(project, "mailer", "report", "-o", "json")) if each["audience"] > 2
    ]
    require(report["sent"] == received < 5000, f"sent in the report {report['sent']} = received {received}")
    require(report["unknown"] == 0, "none is in doubt")
    mailer, sandbox = Container(project, "mailer"), Container(project, "sandbox")
    ids = lambda: set(re.findall(r"^(\d+) 7917", sandbox.said, re.MULTILINE))  # noqa: E731
    wait_for(lambda: len(ids()) + received >= report["audience"] - 1, "started again, it sends the rest")
    time.sleep(2)
    stopped(mailer)
    sandbox.stop()
    require(len(ids()) == sandbox.said.count(" 7917"), "and none of them twice")


def second_act(place: Path) -> None:
    """What runs in a network of its own."""
    run("ip", "link", "set", "lo", "up")
    (place / "hosts").write_text("127.0.0.1 localhost postgres sandbox\n")
    told = json.loads((place / "image.json").read_text())
    image = Image(Path(told.pop("root")), **told)
    plain = resolved(place, image)
    with postgres(plain):
        limits(plain)
        first_start(plain)
        ready = resolved(place, image, MESSAGE_SERVICE_URL=SANDBOX, JWT_TOKEN_FILE="./secrets/jwt_token")  # noqa: S106 - a path
        a_minute(ready)
        stopped_while_sending(ready)
    say("all of it went well")


def main() -> None:
    """Build, then go on in a network namespace."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--place", type=Path, default=Path("/var/tmp/mailer-rehearsal"))  # noqa: S108 - root's, 0700
    parser.add_argument("--python", type=Path, required=True, help="prefix of a Python 3.13 to be /usr/local")
    parser.add_argument("--second-act", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--built", action="store_true", help="take the image that is there")
    wanted = parser.parse_args()
    if wanted.second_act:
        second_act(wanted.place)
        return
    wanted.place.mkdir(mode=0o711, exist_ok=True)
    if not wanted.built:
        image = build(ROOT / "Dockerfile", wanted.place, wanted.python)
        kept = {name: getattr(image, name) for name in ("env", "user", "workdir", "entrypoint", "command")}
        (wanted.place / "image.json").write_text(json.dumps({"root": str(image.root), **kept}))
    words = ["unshare", "--net", sys.executable, *sys.argv, "--second-act"]
    sys.exit(subprocess.run(words, check=False).returncode)


if __name__ == "__main__":
    main()
