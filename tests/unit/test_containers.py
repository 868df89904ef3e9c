"""Dockerfile and docker-compose.yml say what is true: cheaply, for where there is no engine.

`tools/container_rehearsal.py` runs them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from command_tree import commands
from mailer_cli.settings import Settings

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"] == "mailer:local"}
PINNED = re.compile(r"[a-z]+:\d+\.\d+(?:\.\d+)?-[a-z-]+(?:@sha256:[0-9a-f]{64})?")
# The image of PostgreSQL has names of its own for what it makes at its first start.
POSTGRES_ONLY = {"POSTGRES_DB"}
# Another way to say what the compose file says, or a file or program that no container has.
NOT_PASSED_ON = {
    *(
        "DATABASE_URL",
        "DB_PORT",
        "POSTGRES_PASSWORD",
        "DB_SSLMODE",
        "DB_SSLROOTCERT",
        "DB_SSLCERT",
        "DB_SSLKEY",
    ),
    *("JWT_TOKEN_COMMAND", "MESSAGE_SERVICE_CA_FILE", "MAILER_HOME"),
    "MAILER_LOG",  # a container logs to its output, and writes nowhere
}


def default(text: str) -> str:
    """What `${NAME:-default}` is without NAME."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_each_image_is_pinned_to_one_release() -> None:
    named = [service["image"] for service in SERVICES.values() if service["image"] != "mailer:local"]
    assert named
    arguments = re.findall(r"^ARG PYTHON=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert len(arguments) == 1
    for image in named + arguments:
        assert PINNED.fullmatch(image), image
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON}"}


def test_postgresql_17_keeps_its_data_in_a_volume_where_it_keeps_it() -> None:
    assert SERVICES["postgres"]["image"].startswith("postgres:17.")
    assert SERVICES["postgres"]["volumes"] == ["postgres:/var/lib/postgresql/data"]
    assert "postgres" in COMPOSE["volumes"]


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_is_root_and_nobody_writes_or_gains(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] in {"10001:10001", "postgres"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert any(place.startswith("/tmp") for place in service["tmpfs"])  # noqa: S108 - in the container
    assert service["logging"]["options"]["max-size"]


def test_the_image_is_nobody_roots_either() -> None:
    last = DOCKERFILE.split("\nFROM ")[-1]
    assert re.findall(r"^USER (\S+)", last, re.MULTILINE) == ["10001:10001"]
    assert "--uid 10001" in last
    assert "COPY --from=build /opt/mailer /opt/mailer" in last
    assert "PYTHONDONTWRITEBYTECODE" not in DOCKERFILE


@pytest.mark.parametrize("name", OURS)
def test_every_command_exists(name: str) -> None:
    words = OURS[name]["command"]
    assert any(tuple(words[: len(path)]) == path for path in commands()), words
    assert 'ENTRYPOINT ["tini", "--", "mailer"]' in DOCKERFILE
    assert ("cron", "check") in commands()
    assert SERVICES["mailer"]["healthcheck"]["test"] == ["CMD", "mailer", "cron", "check"]


def test_every_variable_is_a_setting_and_every_setting_is_passed_on() -> None:
    settings = {name.upper() for name in Settings.model_fields}
    for service in OURS.values():
        assert set(service["environment"]) <= settings
    assert settings - set(SERVICES["mailer"]["environment"]) == NOT_PASSED_ON
    assert set(SERVICES["postgres"]["environment"]) <= settings | POSTGRES_ONLY


def test_a_variable_has_the_value_of_dot_env_or_none() -> None:
    for service in OURS.values():
        for name, value in service["environment"].items():
            if "$" in value:
                assert value == f"${{{name}:-{default(value)}}}"
                assert default(value) in {"", "mailer"}


def test_no_secret_stands_in_the_file_and_each_has_a_file_that_is_there() -> None:
    assert "PASSWORD:" not in (ROOT / "docker-compose.yml").read_text()
    for name, secret in COMPOSE["secrets"].items():
        assert list(secret) == ["file"], "Compose refuses others to a service with read_only"
        assert (ROOT / default(secret["file"])).is_file()
        assert any(name in service.get("secrets", ()) for service in OURS.values())
    assert not (ROOT / default(COMPOSE["secrets"]["jwt_token"]["file"])).read_text()


def test_secrets_of_ones_own_are_not_for_git() -> None:
    def ignored(path: str) -> bool:
        return subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT, check=False).returncode == 0

    if not (ROOT / ".git").exists():
        pytest.skip("no clone")
    assert ignored("secrets/jwt_token")
    assert not ignored("secrets/default/jwt_token")


def test_nothing_is_sent_before_the_schema_is_there() -> None:
    needs = SERVICES["mailer"]["depends_on"]
    assert needs["postgres"]["condition"] == "service_healthy"
    assert needs["upgrade"]["condition"] == "service_completed_successfully"
    assert SERVICES["upgrade"]["command"] == ["db", "upgrade"]
    assert COMPOSE["networks"]["database"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == ["database"]
    assert not any("ports" in service for service in SERVICES.values())


def test_plain_up_starts_no_sandbox_and_sends_nothing_to_one() -> None:
    assert SERVICES["sandbox"]["profiles"] == ["sandbox"]
    assert default(SERVICES["mailer"]["environment"]["MESSAGE_SERVICE_URL"]) == ""
    assert not any("profiles" in service for name, service in SERVICES.items() if name != "sandbox")


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="apt install docker-compose")
def test_docker_compose_takes_it_with_a_copied_env(tmp_path: Path) -> None:
    shutil.copy(ROOT / "docker-compose.yml", tmp_path)
    shutil.copy(ROOT / ".env.dist", tmp_path / ".env")
    words = ["docker-compose", "--profile", "sandbox", "config"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(yaml.safe_load(done.stdout)["services"]) == {"postgres", "upgrade", "mailer", "sandbox"}
