"""A database server that proves itself, and asks for proof: real certificates, a real server."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import Ended, Mailer
from servers import Cluster, a_place, needs_postgresql

pytestmark = [
    needs_postgresql,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl: apt install openssl"),
]
PASSWORD = "sesame"


@dataclass(frozen=True, slots=True)
class Server:
    """A server that speaks TLS only, and where its certificates are."""

    port: int
    place: Path


def openssl(place: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=place, check=True, capture_output=True)


def certificates(place: Path) -> None:
    """Two authorities; a server's and a client's certificate by the first."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    for authority in ("ca", "other"):
        subject = ["-subj", f"/CN={authority}", "-keyout", f"{authority}.key", "-out", f"{authority}.pem"]
        openssl(place, "req", "-x509", *key, *subject)
    for name in ("localhost", "mailer"):
        openssl(
            place, "req", *key[:-2], "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr"
        )
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-out", f"{name}.pem"]
        openssl(place, "x509", "-req", "-in", f"{name}.csr", *signed)
        (place / f"{name}.key").chmod(0o600)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with a_place() as place:
        certificates(place)
        cluster = Cluster(place / "cluster")
        (place / "password").write_text(PASSWORD)
        cluster.make("-A", "scram-sha-256", f"--pwfile={place / 'password'}")
        (cluster.data / "pg_hba.conf").write_text(
            "hostssl template1 all 127.0.0.1/32 cert\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
        )
        if os.getuid() == 0:
            shutil.chown(place / "localhost.key", "nobody")
        tls = {"ssl_cert_file": "localhost.pem", "ssl_key_file": "localhost.key", "ssl_ca_file": "ca.pem"}
        cluster.start(ssl="on", **{name: str(place / file) for name, file in tls.items()})
        try:
            yield Server(cluster.port, place)
        finally:
            cluster.control("stop", "-m", "immediate")


@pytest.fixture
def configured(run: Mailer, server: Server, monkeypatch: pytest.MonkeyPatch) -> Mailer:
    for name, value in {
        "DB_HOST": "localhost",
        "DB_PORT": str(server.port),
        "DB_NAME": "postgres",
        "POSTGRES_USER": "mailer",
        "POSTGRES_PASSWORD": PASSWORD,
        "PGHOSTADDR": "127.0.0.1",
    }.items():
        monkeypatch.setenv(name, value)
    return run


def status(run: Mailer, monkeypatch: pytest.MonkeyPatch, **settings: str) -> Ended:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return run("db", "status", "-o", "json")


def test_the_right_authority_is_trusted(
    configured: Mailer, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = str(server.place / "ca.pem")
    told = status(configured, monkeypatch, DB_SSLMODE="verify-full", DB_SSLROOTCERT=ca)
    assert told.code == 0, told.err
    assert '"running": true' in told.out


def test_another_authority_is_not(
    configured: Mailer, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = str(server.place / "other.pem")
    told = status(configured, monkeypatch, DB_SSLMODE="verify-full", DB_SSLROOTCERT=ca)
    assert told.code == 1
    assert told.err.startswith("mailer: the database server's certificate is not trusted: ")
    assert len(told.err.splitlines()) <= 2
    assert PASSWORD not in told.err


def test_a_server_under_another_name_is_not_trusted(
    configured: Mailer, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = str(server.place / "ca.pem")
    told = status(configured, monkeypatch, DB_HOST="db.example", DB_SSLMODE="verify-full", DB_SSLROOTCERT=ca)
    assert told.code == 1
    assert "certificate is not trusted" in told.err


def test_without_tls_the_server_refuses(configured: Mailer, monkeypatch: pytest.MonkeyPatch) -> None:
    told = status(configured, monkeypatch, DB_SSLMODE="disable")
    assert told.code == 1
    assert "no encryption" in told.err


def test_a_certificate_of_our_own_may_stand_for_the_password(
    configured: Mailer, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTGRES_PASSWORD")
    ours = {
        "DB_NAME": "template1",
        "DB_SSLMODE": "verify-full",
        "DB_SSLROOTCERT": str(server.place / "ca.pem"),
    }
    assert status(configured, monkeypatch, **ours).code == 1
    ours["DB_SSLCERT"] = str(server.place / "mailer.pem")
    ours["DB_SSLKEY"] = str(server.place / "mailer.key")
    told = status(configured, monkeypatch, **ours)
    assert told.code == 0, told.err
    assert '"user": "mailer"' in told.out
