"""Clients without a key cannot keep out those with one."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, cast

import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from grpc_reflection.v1alpha import reflection_pb2

from benchmarks.harness.deployment import Deployment
from disrupt.server.admission.limits import REFUSALS_PER_S, STRANGER_CALLS_MAX
from disrupt.server.admission.strangers import Strangers
from tests.server.caller import Caller, calling, eventually, lookup
from tests.server.running import Start
from tests.server.wire import Wire, begun, wires

pytestmark = pytest.mark.slow


_REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
SERVING = health_pb2.HealthCheckResponse.SERVING
REQUEST = health_pb2.HealthCheckRequest()


@pytest.fixture(scope="module")
def server(single: Deployment) -> Deployment:
    """Return a server of one worker."""
    return single


def test_watches_of_health_leave_places_for_calls_with_a_key_and_the_latest_are_let_in(
    start: Start,
) -> None:
    server = start("--workers", "1")
    key = server.make_key("match", "match")
    with (
        calling(server.address, None) as stranger,
        calling(server.address, key) as platform,
        wires(server.address, 15) as connections,
    ):
        for wire in connections:
            for _ in range(32):
                wire.begin("/grpc.health.v1.Health/Watch", None, begun(0))
        ended = 15 * 32 - STRANGER_CALLS_MAX
        eventually(lambda: _ended(connections) == ended)
        platform("MatchHashes", lookup(bytes(32)))
        assert _health(stranger).Check(REQUEST).status == SERVING
        assert next(iter(_health(stranger).Watch(REQUEST))).status == SERVING
        eventually(lambda: _ended(connections) == ended + 1)


def test_a_method_name_that_is_no_text_ends_no_worker(start: Start) -> None:
    server = start("--workers", "1")
    key = server.make_key("match", "match")
    with calling(server.address, key) as platform, wires(server.address, 5) as connections:
        for wire in connections:
            call = wire.begin("/no.such/\udcff", None)
            wire.until(partial(wire.ended.__contains__, call))
        platform("MatchHashes", lookup(bytes(32)))
    assert _levels_logged(server) == {"info"}


def test_strangers_who_hang_up_write_nothing_into_the_log(start: Start) -> None:
    server = start("--workers", "1")
    for _ in range(100):
        with wires(server.address, 1, settle_s=0) as (wire,):
            wire.begin("/no.such/\udcff", None)
            wire.read(0.001)
    assert _levels_logged(server) == {"info"}


def _levels_logged(server: Deployment) -> set[str]:
    """Stop a server, and return the levels of its log, whose every line has one."""
    server.stop()
    log = server.data_dir.with_name("data.log").read_text()
    return {json.loads(line)["level"] for line in log.splitlines()}


@pytest.mark.parametrize(
    "method",
    ["/grpc.health.v1.Health/Check", "/disrupt.v1.MatchService/MatchHashes", "/no.such/Call"],
)
def test_answers_that_strangers_do_not_take_keep_nobody_out(
    server: Deployment, method: str
) -> None:
    key = server.make_key("match", "match")
    with (
        calling(server.address, None) as stranger,
        calling(server.address, key) as platform,
        wires(server.address, 60, window=0) as connections,
        idle(server.address, 300),
    ):
        platform("MatchHashes", lookup(bytes(32)))
        for wire in connections:
            with suppress(OSError):  # the server has shut it down
                for _ in range(32):
                    wire.begin(method, None, begun(0))
        for _ in range(20):
            platform("MatchHashes", lookup(bytes(32)))
            assert _health(stranger).Check(REQUEST).status == SERVING


def test_calls_that_are_refused_delay_nobody_else(server: Deployment) -> None:
    key = server.make_key("match", "match")
    with (
        calling(server.address, None) as stranger,
        calling(server.address, key) as platform,
        wires(server.address, 40) as connections,
    ):
        platform("MatchHashes", lookup(bytes(32)))
        left = [*connections]
        while left:
            for wire in connections:
                try:
                    for _ in range(32):
                        wire.begin("/disrupt.v1.MatchService/MatchHashes", "disrupt_x", begun(0))
                    wire.read()
                except OSError:
                    left = [each for each in left if each is not wire]
            platform("MatchHashes", lookup(bytes(32)))
            assert _health(stranger).Check(REQUEST).status == SERVING


def test_the_messages_of_a_stream_without_a_key_count_as_calls_do(
    start: Start,
) -> None:
    server = start("--workers", "1")
    request = reflection_pb2.ServerReflectionRequest(list_services="*").SerializeToString()
    with wires(server.address, 1) as (wire,):
        message = begun(len(request), request)
        stream, left = wire.begin(_REFLECTION, None, message), b""
        wire.until(lambda: wire.answered_bytes[stream] > 0)
        answer_bytes = wire.answered_bytes[stream]
        began_s = time.monotonic()
        with suppress(OSError):  # the server shuts it down
            while stream not in wire.ended and time.monotonic() - began_s < 5:
                left = left or 100 * message
                left = left[wire.send(stream, left) :]
                wire.read(0.01)
        seconds = time.monotonic() - began_s
    assert wire.answered_bytes[stream] / answer_bytes <= REFUSALS_PER_S * (seconds + 1)


def test_idle_connections_end_before_files_run_out_and_busy_ones_go_on(
    start: Start,
) -> None:
    server = start(workers=1, wrapper=("sh", "-c", 'ulimit -n 1024; exec "$@"', "sh"))
    key = server.make_key("match", "match")
    with calling(server.address, key) as platform, idle(server.address, 700) as connections:

        def is_bounded() -> bool:
            platform("MatchHashes", lookup(bytes(32)))
            return sum(map(is_open, connections)) <= 512

        eventually(is_bounded)
        with calling(server.address, key) as newcomer:
            newcomer("MatchHashes", lookup(bytes(32)))


_SETTINGS, _SETTINGS_ACK = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]), bytes([0, 0, 0, 4, 1, 0, 0, 0, 0])


@contextmanager
def idle(address: str, count: int) -> Iterator[list[socket.socket]]:
    """Open connections that send the first words of HTTP/2, and no more."""
    host, _, port = address.rpartition(":")
    with ExitStack() as stack:
        connections = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((host, int(port)), 60))
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS)
            connections.append(connection)
        for connection in connections:
            with suppress(OSError):  # the server may have ended it
                connection.recv(1 << 16)
                connection.sendall(_SETTINGS_ACK)
            connection.settimeout(0)
        yield connections


def is_open(connection: socket.socket) -> bool:
    try:
        while connection.recv(1 << 16):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def _ended(connections: list[Wire]) -> int:
    """Return how many calls the server has ended."""
    for wire in connections:
        wire.read()
    return sum(len(wire.ended) for wire in connections)


def _health(caller: Caller) -> Any:
    return HealthStub(caller.channel)


class Timeout:
    """As asyncio's timeout, of which only the end is used."""

    def __init__(self) -> None:
        self.is_ended = False

    def expired(self) -> bool:
        return self.is_ended

    def reschedule(self, _: float) -> None:
        self.is_ended = True


def test_who_begins_many_calls_ends_none_of_others() -> None:
    async def run() -> tuple[int, int]:
        strangers, scopes = Strangers(), ExitStack()
        with scopes:
            calls = [(f"ipv4:10.0.0.{at}:1000", Timeout()) for at in range(10)]
            calls += [(f"ipv4:10.9.9.9:{port}", Timeout()) for port in range(1000)]
            for peer, call in calls:
                scopes.enter_context(strangers.admitted(peer, cast("asyncio.Timeout", call)))
            ended = sum(call.is_ended for _, call in calls[:10])
            return ended, sum(call.is_ended for _, call in calls[10:])

    assert asyncio.run(run()) == (0, 1000 - STRANGER_CALLS_MAX + 10)


def test_of_many_addresses_the_newest_lose_their_calls_but_the_last_is_let_in() -> None:
    async def run() -> list[bool]:
        strangers, calls = Strangers(), [Timeout() for _ in range(2 * STRANGER_CALLS_MAX)]
        with ExitStack() as scopes:
            for at, call in enumerate(calls):
                peer = f"ipv4:10.0.0.{at}:1000"
                scopes.enter_context(strangers.admitted(peer, cast("asyncio.Timeout", call)))
            return [call.is_ended for call in calls]

    kept = STRANGER_CALLS_MAX - 1
    assert asyncio.run(run()) == [False] * kept + [True] * STRANGER_CALLS_MAX + [False]
