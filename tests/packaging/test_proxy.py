"""The proxy of ``deploy/`` passes calls of keys on, and nothing of strangers."""

from __future__ import annotations

import io
import os
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from PIL import Image

from benchmarks.harness.deployment import Deployment
from benchmarks.harness.processes import processes
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from tests.client.test_connection import certificate
from tests.server.admission.test_header_blocks import whole
from tests.server.caller import TIMEOUT_S, lookup
from tests.server.running import peak_bytes

CONFIG = Path("deploy/haproxy.cfg")

pytestmark = pytest.mark.skipif(
    shutil.which("haproxy") is None, reason="needs HAProxy, which is a system's package"
)


class Proxied:
    """A server behind the proxy, on an address with TLS."""

    def __init__(self, server: Deployment, address: str, authority: bytes) -> None:
        self.server, self.address, self.authority = server, address, authority

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        credentials = grpc.ssl_channel_credentials(self.authority)
        with grpc.secure_channel(self.address, credentials) as channel:
            grpc.channel_ready_future(channel).result(TIMEOUT_S)
            yield channel


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    directory = tmp_path_factory.mktemp("proxied")
    server = Deployment.start(directory / "data", workers=1)
    key, public = certificate()
    pem = directory / "both.pem"
    pem.write_bytes(public + key)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    variables = {
        "DISRUPT_LISTEN": address,
        "DISRUPT_CERTIFICATE": str(pem),
        "DISRUPT_SERVER": server.address,
    }
    with (directory / "proxy.log").open("wb") as log:
        proxy = subprocess.Popen(
            ["haproxy", "-db", "-f", CONFIG], env=os.environ | variables, stderr=log
        )
    yield Proxied(server, address, public)
    proxy.kill()
    proxy.wait()
    server.stop()


def authorization(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)


def picture() -> bytes:
    """Return a picture of several megabytes."""
    file = io.BytesIO()
    pixels = np.random.default_rng(3).integers(0, 256, (1200, 1200, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_calls_of_a_key_are_answered(proxied: Proxied) -> None:
    metadata = authorization(proxied.server.make_key("platform", "match"))
    with proxied.channel() as channel:
        stub: Any = MatchServiceStub(channel)
        assert stub.MatchHashes(lookup(bytes(32)), metadata=metadata).index_cursor
        request = match_pb2.MatchImageRequest(image=picture())
        assert stub.MatchImage(request, metadata=metadata, timeout=TIMEOUT_S).index_cursor


def test_strangers_do_not_reach_the_server(proxied: Proxied) -> None:
    with proxied.channel() as channel:
        stub: Any = HealthStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_headers_without_bound_do_not_reach_the_server(proxied: Proxied) -> None:
    metadata = authorization(proxied.server.make_key("other", "match"))
    (worker,) = processes(proxied.server.process.pid, "worker")
    with proxied.channel() as channel:
        stub: Any = MatchServiceStub(channel)
        stub.MatchHashes(lookup(bytes(32)), metadata=metadata)
        before, headers = peak_bytes(worker), whole(30_000)
        attackers = [threading.Thread(target=flood, args=(proxied, headers)) for _ in range(24)]
        for attacker in attackers:
            attacker.start()
        stub.MatchHashes(lookup(bytes(32)), metadata=metadata, timeout=TIMEOUT_S)
        for attacker in attackers:
            attacker.join()
        assert peak_bytes(worker) - before < 50 * 10**6
        log = proxied.server.data_dir.with_name("data.log").read_text()
        assert "endless_headers" not in log


def flood(proxied: Proxied, headers: bytes) -> None:
    """Send headers that a server alone would hold in many megabytes, until they are refused."""
    host, _, port = proxied.address.rpartition(":")
    context = ssl.create_default_context(cadata=proxied.authority.decode())
    context.set_alpn_protocols(["h2"])
    with (
        suppress(OSError),  # the proxy is gone before all is sent
        socket.create_connection((host, int(port)), TIMEOUT_S) as connection,
        context.wrap_socket(connection, server_hostname=host) as wire,
    ):
        wire.sendall(headers)
        while wire.recv(1 << 16):
            pass
