"""`disrupt health`, as containers and load balancers run it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from rig.callers.shell import Done, typed
from rig.servers.certificates import Pair, pair

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
        assert (done.code, done.out) == (0, "serving (one worker was asked)\n")
        assert disrupt_health(DISRUPT_SERVER=f"127.0.0.1:{port}").code == 0
    assert disrupt_health("--server", f"127.0.0.1:{port}", "--timeout", "2").code == 1


def test_a_server_of_which_a_service_does_not_serve_is_not_healthy_and_it_is_named() -> None:
    with server(SERVING, RegistrationService=NOT_SERVING) as port:
        done = disrupt_health("--server", f"127.0.0.1:{port}")
    assert (done.code, done.out) == (1, "")
    assert "disrupt.v1.RegistrationService: NOT_SERVING" in done.err
    assert "disrupt.v1.MatchService: SERVING" in done.err


def supervised(directory: Path, address: str, tls_cert: Path | None, *states: Any) -> None:
    """Answer once on the socket of a supervisor; the states are of workers."""
    processes = [
        {"role": "worker", "number": number, "pid": number, "restarts": 0, **state}
        for number, state in enumerate(states, 1)
    ]
    told = {
        "version": "1",
        "role": "all",
        "address": address,
        "tls_cert": tls_cert and str(tls_cert),
        "processes": processes,
    }
    (directory / "health.sock").unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(directory / "health.sock"))
    listening.listen()

    def answer() -> None:
        with listening, listening.accept()[0] as asked:
            assert asked.recv(100) == b"states\n"
            asked.sendall(json.dumps(told).encode() + b"\n")

    threading.Thread(target=answer, daemon=True).start()


WELL: dict[str, Any] = {
    "state": "serving",
    "not_serving": [],
    "lag_ms": 5,
    "generation": 3,
    "tombstones": 2,
}


@pytest.mark.parametrize(
    ("other", "code", "said"),
    [
        (WELL, 0, "serving (all 2 processes)"),
        ({"state": "waiting"}, 0, "waiting (the writer of another machine leads)"),
        ({"state": "starting"}, 1, "worker 2: starting"),
        ({**WELL, "state": "silent"}, 1, "worker 2: silent"),
        ({**WELL, "state": "stale"}, 1, "worker 2: stale"),
        ({**WELL, "erasure_late_s": 7200.0}, 1, "erased 2.0 hours ago"),
        ({**WELL, "not_serving": ["disrupt.v1.X"]}, 1, "worker 2: disrupt.v1.X does not serve"),
    ],
)
def test_on_its_machine_every_process_counts_though_the_worker_asked_serves(
    tmp_path: Path, other: dict[str, Any], code: int, said: str
) -> None:
    with server(SERVING) as port:
        supervised(tmp_path, f"0.0.0.0:{port}", None, WELL, other)
        done = disrupt_health(DISRUPT_DATA_DIR=str(tmp_path))
    assert (done.code, said in done.out + done.err) == (code, True)
    line = "worker 1  pid 1: serving, lag 5 ms, generation 3, 2 tombstones"
    assert line in done.out


def test_no_supervisor_is_no_server_on_this_machine(tmp_path: Path) -> None:
    assert disrupt_health("--data-dir", tmp_path).code == 1
    (tmp_path / "health.sock").touch()
    assert disrupt_health("--data-dir", tmp_path).code == 1


def test_the_certificate_that_is_served_is_judged_and_not_its_renewed_file(
    tmp_path: Path,
) -> None:
    with server(SERVING, pair(tmp_path, "match.example.org", days=3)) as port:
        tls = pair(tmp_path, "match.example.org", days=90)
        for trusted in ((), ("--tls-ca", tls.certificate)):  # from elsewhere it has another name
            done = disrupt_health("--server", f"127.0.0.1:{port}", "--timeout", "2", *trusted)
            assert done.code == 1
        supervised(tmp_path, f"127.0.0.1:{port}", tmp_path / "cert.pem", WELL)
        done = disrupt_health("--data-dir", tmp_path, "--certificate-days", "14")
        assert done.code == 1
        assert "valid for 2 more days" in done.err
        supervised(tmp_path, f"127.0.0.1:{port}", tmp_path / "cert.pem", WELL)
        done = disrupt_health("--data-dir", tmp_path)
        assert (done.code, ", 2 days\n" in done.out) == (0, True)


def test_a_server_without_tls_has_no_certificate_that_could_be_fit(tmp_path: Path) -> None:
    with server(SERVING) as port:
        supervised(tmp_path, f"127.0.0.1:{port}", None, WELL)
        for place in (["--data-dir", tmp_path], ["--server", f"127.0.0.1:{port}"]):
            done = disrupt_health(*place, "--certificate-days", "14")
            assert (done.code, "showed no certificate" in done.err) == (1, True)
