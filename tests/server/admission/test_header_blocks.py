"""Headers hold little memory, ended or not, and only the connections that bring many are shut."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress

import grpc
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection

from benchmarks.abuse.wire import begun_headers
from benchmarks.harness.processes import processes
from disrupt.server.admission.header_blocks import HeaderBlocks
from disrupt.server.admission.receipts import Receipt, Receipts
from disrupt.server.admission.shares import Admission, Board, Holder, Resource
from disrupt.server.admission.sockets import Address, Sockets
from disrupt.v1 import match_pb2
from tests.server.caller import calling, eventually, lookup, outcome
from tests.server.running import Start, peak_bytes

MB = 10**6
MESSAGE = 33 * MB
GROWTH = 4 * MESSAGE + MB
"""Growth of memory that messages explain."""
FIRST, SECOND, THIRD = (("127.0.0.1", port) for port in (1, 2, 3))


def peer(address: Address) -> str:
    return f"ipv4:{address[0]}:{address[1]}"


class Connections:
    """Connections that have brought bytes, and what becomes of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.received = dict.fromkeys((FIRST, SECOND, THIRD), 1000)
        self.sent = 0
        self.shut: list[Address] = []
        monkeypatch.setattr(
            Sockets, "traffic", lambda _: {at: (n, self.sent) for at, n in self.received.items()}
        )
        monkeypatch.setattr(Sockets, "received_bytes", lambda *_: None)
        monkeypatch.setattr(Sockets, "shut_at", lambda _, addresses: self.shut.extend(addresses))
        admission = Admission(Board(1), 0, dict.fromkeys(Resource, 100 * MB), lambda _: 0)
        self.receipts = Receipts(admission)
        self.holder: Holder = admission.holder("key")
        self.blocks = HeaderBlocks(self.receipts, MESSAGE, other_bytes=MB)

    def message(self, address: Address) -> Receipt:
        return Receipt(self.receipts, peer(address), self.holder, most_bytes=MESSAGE, within_s=60)

    def bring_messages(
        self, address: Address, count: int, size: int, *, is_flow: bool = False
    ) -> None:
        """Bring whole messages, with 30 bytes beside each."""
        for _ in range(count):
            self.received[address] += size + size // 100 + 30
            with self.message(address) as message:
                message.received(size, is_first=not is_flow)


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    return Connections(monkeypatch)


def test_a_connection_that_brings_much_unexplained_is_shut_down(connections: Connections) -> None:
    connections.received |= {FIRST: 90_000, SECOND: 100_000}
    connections.blocks.look(0)
    assert connections.shut == [SECOND]


def test_many_connections_bring_little_in_all(connections: Connections) -> None:
    brought = {("127.0.0.1", 100 + port): 3000 + port for port in range(1000)}
    connections.received |= brought
    connections.blocks.look(0)
    assert 300 <= len(connections.shut) < 1000
    assert connections.shut[0] == max(brought, key=brought.__getitem__)
    left = set(connections.received) - set(connections.shut)
    assert sum(connections.received[at] for at in left) <= 2 << 20


def test_messages_explain_what_they_brought(connections: Connections) -> None:
    async def play() -> None:
        for _ in range(20):
            connections.bring_messages(FIRST, count=3, size=33 * MB)
            connections.bring_messages(SECOND, count=500, size=100)
            connections.receipts.explain_strangers(peer(THIRD), 50, is_first=True)
            connections.received[THIRD] += 200
            connections.blocks.look(0)
        assert connections.shut == []

    asyncio.run(play())


def test_small_messages_do_not_hide_headers(connections: Connections) -> None:
    async def play() -> None:
        for address in (FIRST, SECOND):
            connections.received[address] += 500_000
            connections.bring_messages(address, count=450, size=8, is_flow=True)
            connections.blocks.look(0)
            assert connections.shut[-1:] == [address]

    asyncio.run(play())


def test_what_still_comes_of_a_message_that_was_given_up_is_no_header(
    connections: Connections,
) -> None:
    async def play() -> None:
        connections.received |= {FIRST: 20 * MB, SECOND: 10 * MB}
        for address in (FIRST, SECOND):
            with suppress(ValueError), connections.message(address):
                raise ValueError
        for _ in range(3):
            connections.received[FIRST] += MB
            connections.blocks.look(GROWTH)
        assert connections.shut == []
        connections.blocks.look(GROWTH + 1)
        assert connections.shut == [FIRST]
        time.sleep(1.1)  # noqa: ASYNC251 nothing else runs
        connections.received[SECOND] += MB  # in time, for all that was seen
        connections.blocks.look(0)
        assert connections.shut == [FIRST]
        connections.received[SECOND] += MB
        connections.blocks.look(0)
        assert connections.shut[1:] == [SECOND]

    asyncio.run(play())


def test_what_acknowledges_answers_is_no_header(connections: Connections) -> None:
    connections.received[FIRST], connections.sent = MB, 100 * MB
    connections.blocks.look(0)
    assert connections.shut == []


def test_a_message_under_way_is_spared_until_none_can_explain_the_growth(
    connections: Connections,
) -> None:
    async def play() -> None:
        with connections.message(FIRST), connections.message(SECOND):
            connections.received |= {FIRST: 20 * MB, SECOND: 10 * MB}
            connections.blocks.look(GROWTH)
            assert connections.shut == []
            connections.blocks.look(GROWTH + 1)
        assert connections.shut == [FIRST]

    asyncio.run(play())


def test_what_connections_brought_is_forgotten_with_them(connections: Connections) -> None:
    async def play() -> None:
        connections.bring_messages(FIRST, count=1, size=MB)
        del connections.received[FIRST]
        for _ in range(2):
            connections.blocks.look(0)
        connections.received[FIRST] = MB
        connections.blocks.look(0)
        assert connections.shut == [FIRST]

    asyncio.run(play())


def whole(count: int) -> bytes:
    """Return a connection with calls of a stranger, each of so many headers of a byte."""
    client = H2Connection(H2Configuration(header_encoding=None))
    client.initiate_connection()
    for call in (1, 3, 5):
        head = [(":method", "POST"), (":scheme", "http"), (":path", "/grpc.health.v1.Health/Check")]
        head += [(":authority", "server"), ("te", "trailers"), ("content-type", "application/grpc")]
        client.send_headers(call, head + [("a", "")] * count)
        client.send_data(call, bytes(5), end_stream=True)
    return client.data_to_send()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("brings", "headers", "count"),
    [(begun_headers, 500_000, 24), (whole, 60_000, 24), (begun_headers, 3000, 1500)],
    ids=["unfinished", "whole", "many"],
)
def test_headers_hold_little_memory(
    start: Start, brings: Callable[[int], bytes], headers: int, count: int
) -> None:
    brought = brings(headers)
    server = start(workers=1)
    (worker,) = processes(server.process.pid, "worker")
    host, _, port = server.address.rpartition(":")
    with calling(server.address, server.make_key("other", "match")) as caller, ExitStack() as open_:
        caller("MatchHashes", lookup(bytes(32)))
        before = peak_bytes(worker)
        connections = []
        for _ in range(count):
            connection = socket.create_connection((host, int(port)), 60)
            connections.append(open_.enter_context(closing(connection)))
            with suppress(OSError):  # it is shut meanwhile
                connection.sendall(brought)
        eventually(lambda: sum(map(is_shut, connections)) >= count // 4)
        assert peak_bytes(worker) - before < 300 * MB
        caller("MatchHashes", lookup(bytes(32)))


@pytest.mark.slow
@pytest.mark.parametrize("refused", ["unread", "midway"])
def test_what_is_not_read_of_refused_calls_ends_no_connection(start: Start, refused: str) -> None:
    server = start(workers=1)
    key = server.make_key("platform", "match" if refused == "midway" else "register")
    image = match_pb2.MatchImageRequest(image=bytes(MB))
    options = match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions())
    chunk = match_pb2.MatchVideoRequest(chunk=bytes(MB))
    with calling(server.address, key) as caller:
        for _ in range(12):
            if refused == "midway":
                code = outcome(lambda: caller("MatchVideo", iter([options, *[chunk] * 12])))
                assert code is grpc.StatusCode.INVALID_ARGUMENT
            else:
                code = outcome(lambda: caller("MatchImage", image))
                assert code is grpc.StatusCode.PERMISSION_DENIED
            time.sleep(0.2)  # it is looked at meanwhile
    assert "endless_headers" not in server.data_dir.with_name("data.log").read_text()


def is_shut(connection: socket.socket) -> bool:
    connection.settimeout(0)
    try:
        while connection.recv(1 << 16):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
