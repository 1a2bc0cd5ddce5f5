"""`disrupt health`, as containers and load balancers run it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.cli.shell import Done, typed
from tests.doctor.certificates import Pair, pair

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@contextmanager
def server(status: Any, tls: Pair | None = None, **statuses: Any) -> Iterator[str]:
    """Run a gRPC server with the standard health service and yield its port."""
    servicer = health.HealthServicer()
    servicer.set("", status)
    for service in ("MatchService", "FeedService", "RegistrationService"):
        servicer.set(f"disrupt.v1.{service}", statuses.get(service, status))
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


def disrupt_health(*options: str | Path, **variables: str) -> Done:
    return typed("health", *options, **variables)


def test_a_server_that_serves_is_healthy_and_the_exit_code_says_so() -> None:
    with server(SERVING) as port:
        done = disrupt_health("--server", f"127.0.0.1:{port}")
        assert (done.code, done.out) == (0, "serving\n")
        assert disrupt_health(DISRUPT_LISTEN=f"0.0.0.0:{port}").code == 0
    assert disrupt_health("--server", f"127.0.0.1:{port}", "--timeout", "2").code == 1


def test_a_server_of_which_a_service_does_not_serve_is_not_healthy_and_it_is_named() -> None:
    with server(SERVING, RegistrationService=NOT_SERVING) as port:
        done = disrupt_health("--server", f"127.0.0.1:{port}")
    assert (done.code, done.out) == (1, "")
    assert "disrupt.v1.RegistrationService: NOT_SERVING" in done.err
    assert "disrupt.v1.MatchService: SERVING" in done.err


def test_on_its_own_machine_a_certificate_is_trusted_under_its_name(tmp_path: Path) -> None:
    tls = pair(tmp_path, "match.example.org")
    (tmp_path / "other").mkdir()
    other_tls = pair(tmp_path / "other", "match.example.org")
    with server(SERVING, tls) as port:
        here = f"127.0.0.1:{port}"
        certificate = str(tls.certificate)
        assert disrupt_health("--server", here, DISRUPT_TLS_CERT=certificate).code == 0
        for refused in (["--tls-cert", other_tls.certificate], ["--tls-ca", tls.certificate], []):
            done = disrupt_health("--server", here, "--timeout", "2", *map(str, refused))
            assert done.code == 1


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nnone\n"])
def test_a_file_that_is_no_certificate_is_usage(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "cert.pem"
    file.write_bytes(content)
    done = disrupt_health("--tls-cert", file)
    assert done.code == 2
