"""The proxy of ``deploy/`` passes calls of keys on, ends strangers, and refuses as gRPC does."""

from __future__ import annotations

import base64
import io
import re
import secrets
import socket
import ssl
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from PIL import Image

from disrupt.admin.v1 import admin_pb2
from disrupt.client.failures import failure
from disrupt.errors import (
    DisruptError,
    OverloadedError,
    UnauthenticatedError,
    UnimplementedError,
)
from disrupt.server.desk import open_desk
from disrupt.server.edge.methods import SERVICES
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from disrupt.wire import admin as wire
from disrupt.wire import errors
from rig.callers.caller import TIMEOUT_S, lookup
from rig.processes.running import peak_bytes, processes
from rig.servers import proxied as harness
from rig.servers.deployment import FEW_DECODERS, Deployment
from rig.servers.proxied import CONFIG, Proxy, proxied
from rig.waiting import eventually

INDEX_STATUS = "/disrupt.v1.MatchService/GetIndexStatus"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
HEALTH = "/grpc.health.v1.Health/Check"

runs = pytest.mark.skipif(bool(why := harness.unusable()), reason=why)


def test_the_calls_that_the_proxy_lets_through_are_those_of_the_contract() -> None:
    listed = re.findall(r"^ +acl call path (\S+)$", CONFIG.read_text(), re.MULTILINE)
    contract = [
        f"/{service.full_name}/{method.name}" for service in SERVICES for method in service.methods
    ]
    assert listed == [*sorted(contract), REFLECTION]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (12, UnimplementedError),
        (16, UnauthenticatedError),
        (8, lambda message: OverloadedError(message, retry_after_s=1.0)),
    ],
)
def test_what_the_proxy_refuses_has_the_details_that_the_server_gives(
    code: int, error: Callable[[str], DisruptError]
) -> None:
    ((message, details),) = re.findall(
        rf'hdr grpc-status {code} hdr grpc-message "(.+?)" hdr grpc-status-details-bin (\S+)',
        CONFIG.read_text(),
    )
    status = errors.status(error(message))
    packed: Any = dict(status.trailing_metadata or ())[errors.DETAILS_KEY]
    assert details == base64.b64encode(packed).decode().rstrip("=")


@dataclass(frozen=True)
class Proxied:
    """A server behind the proxy."""

    server: Deployment
    proxy: Proxy

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        credentials = grpc.ssl_channel_credentials(self.proxy.authority)
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.secure_channel(self.proxy.address, credentials, options) as channel:
            yield channel


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    data_dir = tmp_path_factory.mktemp("proxied") / "data"
    with Deployment.start(data_dir, workers=1, settings=FEW_DECODERS) as server:
        yield server


@pytest.fixture
def behind(server: Deployment, tmp_path: Path) -> Iterator[Proxied]:
    """Run a proxy of the test's own, which has counted nothing yet."""
    with proxied(server.address, tmp_path) as proxy:
        yield Proxied(server, proxy)


def authorization(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)


def error_of(channel: grpc.Channel, method: str, key: str | None = None) -> DisruptError | None:
    """Call with an empty message; return the error as the SDK sees it, None where there is none."""
    call: Any = channel.unary_unary(method)
    try:
        call(b"", metadata=authorization(key) if key else None, timeout=TIMEOUT_S)
    except grpc.RpcError as error:
        return failure(error, "proxy")
    return None


def picture() -> bytes:
    """Return a picture of several megabytes."""
    file = io.BytesIO()
    pixels = np.random.default_rng(3).integers(0, 256, (1200, 1200, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return file.getvalue()


@runs
def test_calls_of_a_key_are_answered(behind: Proxied) -> None:
    metadata = authorization(behind.server.make_key("platform", "match"))
    with behind.channel() as channel:
        stub: Any = MatchServiceStub(channel)
        assert stub.MatchHashes(lookup(bytes(32)), metadata=metadata).index_cursor
        request = match_pb2.MatchImageRequest(image=picture())
        assert stub.MatchImage(request, metadata=metadata, timeout=TIMEOUT_S).index_cursor


@runs
def test_strangers_reach_the_servers_health_and_nothing_else(behind: Proxied) -> None:
    with behind.channel() as channel:
        stub: Any = HealthStub(channel)
        check = stub.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        assert check.status == health_pb2.HealthCheckResponse.SERVING
        for method in (INDEX_STATUS, REFLECTION):
            error = error_of(channel, method)
            assert isinstance(error, UnauthenticatedError)
            assert "authorization: Bearer KEY" in error.message
        for method in ("/grpc.health.v1.Health/Watch", "/", "/disrupt.admin.AdminService/Erase"):
            assert isinstance(error_of(channel, method), UnimplementedError), method
        assert isinstance(error_of(channel, "/unknown", "key"), UnimplementedError)


@runs
def test_made_up_keys_are_refused_by_the_proxy_and_known_ones_and_health_go_on(
    behind: Proxied,
) -> None:
    known, unknown = (behind.server.make_key(name, "match") for name in ("known", "unknown"))
    with behind.channel() as channel:
        assert error_of(channel, INDEX_STATUS, known) is None
        made_up = [secrets.token_hex(16) for _ in range(100)]
        with ThreadPoolExecutor(16) as pool:  # the server takes its time for each
            seen = [*pool.map(lambda key: error_of(channel, INDEX_STATUS, key), made_up)]
        assert {type(error) for error in seen} == {UnauthenticatedError, OverloadedError}
        refused = error_of(channel, INDEX_STATUS, unknown)
        assert isinstance(refused, OverloadedError)
        assert refused.retry_after_s == 1
        for _ in range(200):
            assert error_of(channel, INDEX_STATUS, known) is None
        assert error_of(channel, HEALTH) is None
        revoke(behind.server, "known")
        eventually(lambda: isinstance(error_of(channel, INDEX_STATUS, known), OverloadedError))


def revoke(server: Deployment, name: str) -> None:
    """Revoke the key of this name."""
    with open_desk(server.data_dir) as desk:
        (key_id,) = (
            key.key_id
            for key in desk.ListKeys(admin_pb2.ListKeysRequest()).keys
            if key.name == name
        )
        desk.RevokeKey(wire.revoke_request(key_id))


@runs
def test_headers_without_bound_do_not_reach_the_server(behind: Proxied) -> None:
    metadata = authorization(behind.server.make_key("other", "match"))
    (worker,) = processes(behind.server.process.pid, "worker")
    with behind.channel() as channel:
        stub: Any = MatchServiceStub(channel)
        stub.MatchHashes(lookup(bytes(32)), metadata=metadata)
        before = peak_bytes(worker)
        for _ in range(24):
            flood(behind.proxy)
        stub.MatchHashes(lookup(bytes(32)), metadata=metadata, timeout=TIMEOUT_S)
    assert peak_bytes(worker) - before < 20 * 10**6


def flood(proxy: Proxy) -> None:
    """Send half a million headers of a byte each, until the connection is closed."""
    host, _, port = proxy.address.rpartition(":")
    context = ssl.create_default_context(cadata=proxy.authority.decode())
    context.set_alpn_protocols(["h2"])

    def frame(kind: int, stream: int, body: bytes) -> bytes:
        return len(body).to_bytes(3) + bytes([kind, 0]) + stream.to_bytes(4) + body

    continuation = frame(9, 1, b"\xbe" * 16_000)  # each byte a header of the dynamic table
    with (
        suppress(OSError),  # the proxy is gone before all is sent
        socket.create_connection((host, int(port)), TIMEOUT_S) as connection,
        context.wrap_socket(connection, server_hostname=host) as wire,
    ):
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        wire.sendall(preface + frame(4, 0, b"") + frame(1, 1, b"\x40\x01a\x00"))
        for _ in range(30):
            wire.sendall(continuation)
        while wire.recv(1 << 16):
            pass
