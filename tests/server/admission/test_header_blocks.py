"""Headers that never end hold little memory, and only their connections are shut down."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, closing

import pytest

from benchmarks.abuse.wire import begun_headers
from benchmarks.harness.processes import processes
from disrupt.server.admission.header_blocks import HeaderBlocks
from disrupt.server.admission.receipts import Receipt, Receipts
from disrupt.server.admission.shares import Admission, Board, Holder, Resource
from disrupt.server.admission.sockets import Address, Sockets
from tests.server.caller import calling, eventually, lookup
from tests.server.running import Start, peak_bytes

MB = 10**6
GROWTH = 60 * MB
"""Growth of memory from which on connections are shut down."""
FIRST, SECOND, THIRD = (("127.0.0.1", port) for port in (1, 2, 3))
PEERS = {address: f"ipv4:{address[0]}:{address[1]}" for address in (FIRST, SECOND, THIRD)}


class Connections:
    """Connections that have brought bytes, and what becomes of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.received = dict.fromkeys(PEERS, 1000)
        self.shut: list[Address] = []
        monkeypatch.setattr(Sockets, "received", lambda _: dict(self.received))
        monkeypatch.setattr(Sockets, "received_bytes", lambda *_: None)
        monkeypatch.setattr(Sockets, "shut_at", lambda _, addresses: self.shut.extend(addresses))
        admission = Admission(Board(1), 0, dict.fromkeys(Resource, 100 * MB), lambda _: 0)
        self.receipts = Receipts(admission)
        self.holder: Holder = admission.holder("key")
        self.blocks = HeaderBlocks(self.receipts, GROWTH, other_bytes=MB)

    def message(self, address: Address, most_bytes: int) -> Receipt:
        return Receipt(
            self.receipts, PEERS[address], self.holder, most_bytes=most_bytes, within_s=60
        )


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> Connections:
    return Connections(monkeypatch)


def test_the_connections_that_brought_most_are_shut_down_if_memory_grows(
    connections: Connections,
) -> None:
    async def play() -> None:
        connections.received |= {FIRST: 200_000, SECOND: 3 * MB, THIRD: 2 * MB}
        await connections.blocks.look(GROWTH)
        await connections.blocks.look(GROWTH)
        assert connections.shut == []
        await connections.blocks.look(GROWTH + 1)
        assert connections.shut == [SECOND, THIRD]

    asyncio.run(play())


def test_nothing_is_shut_down_for_few_bytes(connections: Connections) -> None:
    async def play() -> None:
        connections.received |= {FIRST: 100_000, SECOND: 100_000, THIRD: 4000}
        for _ in range(3):
            await connections.blocks.look(GROWTH + 1)
        assert connections.shut == []

    asyncio.run(play())


def test_headers_of_calls_that_begin_are_not_taken_for_endless_ones(
    connections: Connections,
) -> None:
    async def play() -> None:
        for _ in range(3):
            connections.received[FIRST] += 2 * MB
            await connections.blocks.look(GROWTH + 1)
            with connections.message(FIRST, 33 * MB) as message:
                message.received(1000)
        assert connections.shut == []

    asyncio.run(play())


def test_messages_that_came_whole_are_no_headers(connections: Connections) -> None:
    async def play() -> None:
        for _ in range(3):
            with connections.message(FIRST, 33 * MB) as message:
                message.received(3 * MB)
            connections.received[FIRST] += 3 * MB
            connections.received[SECOND] += MB
            await connections.blocks.look(GROWTH + 1)
        assert connections.shut == [SECOND, SECOND]

    asyncio.run(play())


def test_headers_after_a_message_are_noticed(connections: Connections) -> None:
    async def play() -> None:
        with connections.message(FIRST, 33 * MB) as message:
            message.received(100)
        connections.received[FIRST] += 2 * MB
        await connections.blocks.look(0)
        await connections.blocks.look(GROWTH + 1)
        assert connections.shut == [FIRST]

    asyncio.run(play())


def test_a_message_under_way_is_spared_until_none_can_explain_the_growth(
    connections: Connections,
) -> None:
    async def play() -> None:
        with connections.message(FIRST, 33 * MB):
            connections.received[FIRST] += 20 * MB
            for _ in range(3):
                await connections.blocks.look(4 * GROWTH + MB)
            assert connections.shut == []
            await connections.blocks.look(4 * GROWTH + MB + 1)
        assert connections.shut == [FIRST]

    asyncio.run(play())


def test_endless_headers_hold_little_memory(start: Start) -> None:
    server = start(workers=1)
    (worker,) = processes(server.process.pid, "worker")
    host, _, port = server.address.rpartition(":")
    with calling(server.address, server.make_key("other", "match")) as caller, ExitStack() as open_:
        caller("MatchHashes", lookup(bytes(32)))
        before = peak_bytes(worker)
        connections = []
        for _ in range(24):
            connection = socket.create_connection((host, int(port)), 60)
            connections.append(open_.enter_context(closing(connection)))
            connection.sendall(begun_headers(500_000))
        eventually(lambda: sum(map(is_shut, connections)) >= 20)
        # gRPC would hold 720 MB of them
        assert peak_bytes(worker) - before < 360 * MB
        caller("MatchHashes", lookup(bytes(32)))


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
