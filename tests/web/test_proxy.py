"""The proxy of ``deploy/`` before the gateway passes page and calls on, and says who calls."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from disrupt import http_server
from disrupt.v1 import registration_pb2
from disrupt.web.files import File
from disrupt.web.gateway import CONTENT_TYPE, SERVICE
from rig.servers import proxied as harness
from rig.servers.gateway import PAGE, Running, running
from rig.servers.proxied import CONFIG, WEB_CONFIG, proxied
from rig.servers.scripted import ScriptedServer, scripted
from rig.waiting import eventually

runs = pytest.mark.skipif(bool(why := harness.unusable()), reason=why)

GET = registration_pb2.GetCaseRequest().SerializeToString()

LARGE = {**PAGE, "/large": File(bytes(2**24), b"", "text/plain")}
"""Of a size that no buffer between gateway and browser takes."""
TAKES_NOTHING = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x00"
"""Settings of HTTP/2: streams begin with a window of no bytes."""


@contextmanager
def before_a_gateway(
    directory: Path, config: Path = WEB_CONFIG
) -> Iterator[tuple[ScriptedServer, Running, Running]]:
    """Run server, gateway and proxy; yield the server, the gateway, and what browsers reach."""
    options = {"proxy_headers": True, "forwarded_allow_ips": ["127.0.0.1"]}
    with (
        scripted(registration_pb2.GetCaseResponse()) as server,
        running(server.address, files=LARGE, options=options) as gateway,
        proxied(f"127.0.0.1:{gateway.port}", directory, config=config) as proxy,
    ):
        tls = ssl.create_default_context(cadata=proxy.authority.decode())
        port = int(proxy.address.rpartition(":")[2])
        yield server, gateway, Running(port, gateway.origins, tls)


def connected(page: Running, protocol: str) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols([protocol])
    return context.wrap_socket(socket.create_connection(("127.0.0.1", page.port)))


def asked_for(path: str, streams: int) -> bytes:
    """Return a connection of HTTP/2 that asks for a file so many times and takes none of it."""

    def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
        head = len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4)
        return head + payload

    fields = {":method": "GET", ":scheme": "https", ":path": path, ":authority": "x"}
    block = b"".join(
        b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )
    asked = [frame(1, 5, 2 * number + 1, block) for number in range(streams)]
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + TAKES_NOTHING + b"".join(asked)


@runs
def test_a_caller_is_known_by_its_address_and_not_by_what_it_claims(tmp_path: Path) -> None:
    with before_a_gateway(tmp_path) as (server, gateway, page):
        shown = page.ask("GET", "/")
        answer = page.call("GetCase", GET, x_forwarded_for="192.0.2.1")
        health = [
            page.ask("GET", path) for path in ("/health", "/%68ealth", "/health?", "/health/")
        ]
    assert shown.status == answer.status == 200
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    (seen,) = server.seen
    passed = registration_pb2.GetCaseRequest.FromString(seen.request)
    assert passed.access.origin_token == gateway.origins.tokens("127.0.0.1")[0]
    assert [answer.status for answer in health] == [404] * 4


@runs
def test_files_that_a_network_does_not_take_leave_calls_their_places(tmp_path: Path) -> None:
    with before_a_gateway(tmp_path) as (_, _, page), ExitStack() as held:
        for _ in range(2):
            caller = held.enter_context(connected(page, "h2"))
            caller.sendall(asked_for("/", 60))
        eventually(lambda: page.ask("GET", "/").status == 429)
        assert page.call("GetCase", GET).status == 200
        held.close()
        eventually(lambda: page.ask("GET", "/").status == 200)


@runs
def test_files_have_places_of_their_own(tmp_path: Path) -> None:
    narrow = tmp_path / "haproxy-web.cfg"
    narrow.write_text(
        WEB_CONFIG.read_text()
        .replace("maxconn 300", "maxconn 1")
        .replace("timeout queue 10s", "timeout queue 100ms")
    )
    with before_a_gateway(tmp_path, narrow) as (_, _, page), connected(page, "h2") as caller:
        caller.sendall(asked_for("/large", 1))
        eventually(lambda: page.ask("GET", "/").status == 503)
        assert page.call("GetCase", GET).status == 200


@runs
def test_a_call_that_does_not_come_whole_ends_at_the_proxy(tmp_path: Path) -> None:
    impatient = tmp_path / "haproxy-web.cfg"
    impatient.write_text(
        WEB_CONFIG.read_text().replace("wait-for-body time 10s", "wait-for-body time 100ms")
    )
    head = f"POST {SERVICE}/GetCase HTTP/1.1\r\nHost: x\r\nContent-Type: {CONTENT_TYPE}\r\n"
    with (
        before_a_gateway(tmp_path, impatient) as (_, _, page),
        connected(page, "http/1.1") as caller,
    ):
        caller.sendall(f"{head}Content-Length: 3\r\n\r\na".encode())
        assert caller.recv(1000).startswith(b"HTTP/1.1 408 ")


@runs
def test_a_registration_that_is_larger_than_a_buffer_of_the_proxy_passes_whole(
    tmp_path: Path,
) -> None:
    registration = registration_pb2.RegisterHashesRequest()
    registration.items.add().fingerprints.hashes = bytes(2**20)
    with before_a_gateway(tmp_path) as (server, _, page):
        assert page.call("RegisterHashes", registration.SerializeToString()).status == 200
    passed = registration_pb2.RegisterHashesRequest.FromString(server.seen[0].request)
    assert passed.items == registration.items


def test_platforms_keep_connections_and_the_gateway_has_places_for_all_that_is_passed_on() -> None:
    def bounds(config: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\bmaxconn (\d+)", config.read_text())]

    (of_the_process,) = bounds(CONFIG)
    of_the_page, *passed_on = bounds(WEB_CONFIG)
    assert of_the_page <= of_the_process / 2
    assert sum(passed_on) < http_server.CONNECTIONS_MAX


@runs
def test_where_the_proxy_answers_by_itself_it_speaks_to_the_person(
    tmp_path: Path, free_port: int
) -> None:
    short = tmp_path / "haproxy-web.cfg"
    short.write_text(WEB_CONFIG.read_text().replace("retries 10", "retries 0"))
    with proxied(f"127.0.0.1:{free_port}", tmp_path, config=short) as proxy:
        tls = ssl.create_default_context(cadata=proxy.authority.decode())
        answer = Running(int(proxy.address.rpartition(":")[2]), tls=tls).ask("GET", "/")
    assert answer.status == 503
    assert answer.headers["cache-control"] == "no-store"
    said = answer.body.decode()
    assert "Le service ne répond pas" in said
    assert "3018" in said
    assert "503" not in said
