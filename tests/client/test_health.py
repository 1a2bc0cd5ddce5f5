"""`disrupt health`, as containers and load balancers run it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from disrupt.client.health import check_health
from disrupt.errors import UnavailableError
from disrupt.server.rights import SERVICES
from tests.doctor.certificates import Pair, pair

BIN = Path(sys.executable).parent
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@contextmanager
def server(status: Any, tls: Pair | None = None, **statuses: Any) -> Iterator[str]:
    """Run a gRPC server with the standard health service and yield its port."""
    servicer = health.HealthServicer()
    servicer.set("", status)
    for service in SERVICES:
        servicer.set(service.full_name, statuses.get(service.name, status))
    running = grpc.server(ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, running)
    if tls:
        files = [(tls.key.read_bytes(), tls.certificate.read_bytes())]
        port = running.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(files))
    else:
        port = running.add_insecure_port("127.0.0.1:0")
    running.start()
    try:
        yield str(port)
    finally:
        running.stop(None).wait()


def disrupt_health(*options: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if "DISRUPT" not in name}
    done = subprocess.run(
        [BIN / "disrupt", "health", *options],
        env=clean | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.slow
def test_a_server_that_serves_is_healthy_and_the_exit_code_says_so() -> None:
    with server(SERVING) as port:
        done = disrupt_health("--server", f"127.0.0.1:{port}")
        assert (done.returncode, done.stdout) == (0, "serving\n")
        assert disrupt_health(DISRUPT_LISTEN=f"0.0.0.0:{port}").returncode == 0


@pytest.mark.slow
def test_a_server_that_does_not_serve_or_answer_is_not_healthy() -> None:
    with server(NOT_SERVING) as port:
        done = disrupt_health("--server", f"127.0.0.1:{port}")
    assert done.returncode == 1
    assert "NOT_SERVING" in done.stderr
    gone = disrupt_health("--server", f"127.0.0.1:{port}", "--timeout", "2")
    assert gone.returncode == 1


@pytest.mark.parametrize("service", SERVICES, ids=[service.name for service in SERVICES])
def test_every_service_is_asked_for(service: Any) -> None:
    statuses: Any = {service.name: NOT_SERVING}
    with (
        server(SERVING, **statuses) as port,
        pytest.raises(UnavailableError, match=f"{service.full_name}: NOT_SERVING"),
    ):
        check_health(f"127.0.0.1:{port}")


@pytest.mark.slow
def test_a_server_of_which_a_service_does_not_serve_is_not_healthy_and_it_is_named() -> None:
    with server(SERVING, RegistrationService=NOT_SERVING) as port:
        done = disrupt_health("--server", f"127.0.0.1:{port}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "disrupt.v1.RegistrationService: NOT_SERVING" in done.stderr
    assert "disrupt.v1.MatchService: SERVING" in done.stderr


@pytest.mark.slow
def test_on_its_own_machine_a_certificate_is_trusted_under_its_name(tmp_path: Path) -> None:
    tls = pair(tmp_path, "match.example.org")
    (tmp_path / "other").mkdir()
    other_tls = pair(tmp_path / "other", "match.example.org")
    with server(SERVING, tls) as port:
        here = f"127.0.0.1:{port}"
        certificate = str(tls.certificate)
        assert disrupt_health("--server", here, DISRUPT_TLS_CERT=certificate).returncode == 0
        for refused in (["--tls-cert", other_tls.certificate], ["--tls-ca", tls.certificate], []):
            done = disrupt_health("--server", here, "--timeout", "2", *map(str, refused))
            assert done.returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nnone\n"])
def test_a_file_that_is_no_certificate_is_usage(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "cert.pem"
    file.write_bytes(content)
    done = disrupt_health("--tls-cert", file)
    assert done.returncode == 2
