"""Callers who keep no rules end by themselves: slow, endless, many, or not HTTP at all."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.harness.deployment import Deployment
from disrupt.v1 import registration_pb2
from disrupt.web.limits import REGISTRATION_BYTES_MAX
from tests.server.caller import PIN, TIMEOUT_S, access, distinctive, eventually, register
from tests.web.running import HOST, Web, answer_of, raw_request

OTHER_NETWORK = "127.0.0.2"
NOWHERE = f"{HOST}:1"

Start = Callable[..., Web]


def ended(connection: socket.socket) -> bytes:
    """Read until the gateway ends the connection."""
    received = b""
    try:
        while more := connection.recv(65536):
            received += more
    except ConnectionResetError:
        pass
    return received


def trickle(connection: socket.socket, data: bytes) -> bytes:
    """Send a byte now and then, until the gateway ends the connection; return its answer."""
    connection.settimeout(0.02)
    received = b""
    give_up_s = time.monotonic() + TIMEOUT_S
    at = 0
    while time.monotonic() < give_up_s:
        try:
            connection.send(data[at % len(data) :][:1])
            at += 1
            more = connection.recv(65536)
            if not more:
                return received
            received += more
        except TimeoutError:
            continue
        except (ConnectionResetError, BrokenPipeError):
            return received
    raise AssertionError("the connection goes on")


def test_headers_that_do_not_end_do(start: Start) -> None:
    web = start(NOWHERE, bounds={"connections.HEADERS_S": 0.5})
    with web.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        assert trickle(connection, b"a: b\r\n") == b""
    with web.connect() as silent:
        assert ended(silent) == b""
    with web.connect() as second:
        second.sendall(b"GET /worker.js HTTP/1.1\r\nhost: x\r\n\r\nGET / HTTP/1.1\r\n")
        assert trickle(second, b"a: b\r\n").count(b"HTTP/1.1") == 1


def test_a_body_that_comes_too_slowly_is_refused(start: Start) -> None:
    web = start(NOWHERE, bounds={"bodies.BODY_S": 0.5})
    with web.connect() as connection:
        connection.sendall(raw_request("GetCase", b"", length=1000))
        answer = trickle(connection, b"x")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"DEADLINE_EXCEEDED" in answer


def test_a_body_that_stops_has_the_time_of_what_came(start: Start) -> None:
    web = start(NOWHERE, bounds={"bodies.BODY_S": 0.5, "bodies.BODY_BYTES_PER_S": 1})
    with web.connect() as connection:
        connection.sendall(raw_request("RegisterHashes", b"", length=100_000))
        assert ended(connection).startswith(b"HTTP/1.1 408 ")


def test_bodies_that_are_announced_and_do_not_come_keep_nobody_out(start: Start) -> None:
    web = start(NOWHERE, bounds={"bodies.BODY_S": 600.0, "connections.REQUEST_S": 600.0})
    body = register(distinctive()).SerializeToString()
    with ExitStack() as stack:
        for number in range(2, 32):
            idle = stack.enter_context(socket.socket())
            idle.bind((f"127.0.0.{number}", 0))
            idle.connect((HOST, web.port))
            idle.sendall(raw_request("RegisterHashes", b"x", length=REGISTRATION_BYTES_MAX))
        time.sleep(0.5)  # the gateway, which has one thread, has read what they announce
        answer = web.post("RegisterHashes", body)
    assert (answer.status, answer.reason) == (503, "UNAVAILABLE")  # it came to the server's door


def test_bodies_that_come_are_held_within_a_bound(start: Start) -> None:
    bounds = {"bodies.BODY_S": 600.0, "gateway.BODIES_BYTES_MAX": 100_000}
    web = start(NOWHERE, bounds=bounds)
    with web.connect() as connection:
        connection.sendall(raw_request("RegisterHashes", bytes(110_000), length=120_000))
        assert connection.recv(65536).startswith(b"HTTP/1.1 429 ")


def test_an_answer_that_nobody_reads_ends(start: Start, page: Path) -> None:
    large = page / "large.wasm"
    large.write_bytes(bytes(64 * 2**20))
    try:
        web = start(NOWHERE, bounds={"connections.REQUEST_S": 1.0})
    finally:
        large.unlink()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(TIMEOUT_S)
        connection.connect((HOST, web.port))
        connection.sendall(b"GET /large.wasm HTTP/1.1\r\nhost: x\r\n\r\n")
        eventually(lambda: not established(web.port, connection.getsockname()[1]))


def established(port: int, peer_port: int) -> bool:
    """Tell whether the gateway's end of a connection is open."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        if (int(local[-4:], 16), int(remote[-4:], 16)) == (port, peer_port):
            return state == "01"
    return False


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\na: " + b"b" * 100_000,
        b"GET /" + b"x" * 100_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n",
        b"POST /v1/GetCase HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/GetCase HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    ],
    ids=range(6),
)
def test_what_is_no_request_ends_its_connection(web: Web, sent: bytes) -> None:
    with web.connect() as connection:
        connection.sendall(sent)
        answer = ended(connection)
    assert answer == b"" or answer.split()[1] in {b"400", b"411"}
    assert web.request("GET", "/").status == 200


def test_requests_that_come_at_once_are_answered_in_order(web: Web) -> None:
    count = 50
    with web.connect() as connection:
        connection.sendall(
            b"GET /worker.js HTTP/1.1\r\nhost: x\r\n\r\n" * (count - 1)
            + b"GET /style.css HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        answers = ended(connection)
    assert answers.count(b"HTTP/1.1 200") == count
    assert answers.endswith(b"body { }")


def test_a_protocol_to_switch_to_is_not_offered(web: Web) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert web.request("GET", "/", headers=headers).status == 200


def test_a_network_has_so_many_connections_and_no_more(start: Start) -> None:
    bounds = {"connections.NETWORK_CONNECTIONS_MAX": 4, "connections.HEADERS_S": 600.0}
    web = start(NOWHERE, bounds=bounds)
    with ExitStack() as stack:
        held = [stack.enter_context(web.connect()) for _ in range(4)]
        with web.connect() as fifth:
            assert ended(fifth) == b""
        assert from_other_network(web) == 200
        held[0].close()
        eventually(lambda: is_answered(web))


def test_a_full_gateway_lets_the_network_with_most_make_room(start: Start) -> None:
    bounds = {"connections.CONNECTIONS_MAX": 4, "connections.HEADERS_S": 600.0}
    web = start(NOWHERE, bounds=bounds)
    with ExitStack() as stack:
        held = [stack.enter_context(web.connect()) for _ in range(4)]
        eventually(lambda: not is_answered(web))
        assert from_other_network(web) == 200
        assert ended(held[0]) == b""


def test_a_trusted_proxy_may_have_more_connections(start: Start) -> None:
    bounds = {"connections.NETWORK_CONNECTIONS_MAX": 2, "connections.HEADERS_S": 600.0}
    web = start(NOWHERE, "--trusted-proxy", HOST, bounds=bounds)
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(web.connect())
        assert is_answered(web)


def from_other_network(web: Web) -> int:
    connection = http.client.HTTPConnection(
        HOST, web.port, timeout=TIMEOUT_S, source_address=(OTHER_NETWORK, 0)
    )
    try:
        connection.request("GET", "/")
        return answer_of(connection).status
    finally:
        connection.close()


def is_answered(web: Web) -> bool:
    try:
        return web.request("GET", "/").status == 200
    except OSError:
        return False


def test_the_log_names_no_address_number_or_pin(start: Start, server: Deployment, key: str) -> None:
    web = start(server.address, key=key, bounds={"connections.HEADERS_S": 0.5})
    number = web.call("RegisterHashes", register(distinctive())).receipt.case_number
    secret_path = f"/{number}?pin={PIN}"
    web.request("GET", secret_path)
    wrong = registration_pb2.GetCaseRequest(access=access(number, "99999999"))
    web.post("GetCase", wrong.SerializeToString())
    for junk in (b"\x16\x03\x01", b"GET \xff\r\n\r\n", f"GET {secret_path}".encode()):
        with web.connect() as connection:
            connection.sendall(junk)
            ended(connection)
    web.request("GET", "/", headers={"Connection": "Upgrade", "Upgrade": "x"})
    assert web.stop() == 0
    log = web.log.read_text()
    for secret in (HOST, number, number.replace("-", ""), PIN, "99999999", key):
        assert secret not in log
