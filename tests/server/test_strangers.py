"""Who has no key cannot keep out those who have one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, cast

from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from benchmarks.deployment import Deployment
from disrupt.server.limits import STRANGER_CALLS_MAX
from disrupt.server.strangers import Strangers
from tests.server.calls import Caller, calling, eventually, lookup
from tests.server.wire import Wire, begun, wires

SERVING = health_pb2.HealthCheckResponse.SERVING
REQUEST = health_pb2.HealthCheckRequest()


def test_watches_of_health_leave_places_for_calls_with_a_key_and_the_latest_are_let_in(
    start: Callable[..., Deployment],
) -> None:
    server = start("--workers", "1")
    key = server.make_key("match", "match")
    with (
        calling(server.address, None) as stranger,
        calling(server.address, key) as platform,
        wires(server.address, 2) as connections,
    ):
        for wire in connections:
            for _ in range(300):
                wire.begin("/grpc.health.v1.Health/Watch", None, begun(0))
        ended = 600 - STRANGER_CALLS_MAX
        eventually(lambda: _ended(connections) == ended)
        platform("MatchHashes", lookup(bytes(32)))
        assert _health(stranger).Check(REQUEST).status == SERVING
        assert next(iter(_health(stranger).Watch(REQUEST))).status == SERVING
        eventually(lambda: _ended(connections) == ended + 1)


def _ended(connections: list[Wire]) -> int:
    """How many calls the server has ended."""
    for wire in connections:
        wire.read()
    return sum(len(wire.ended) for wire in connections)


def _health(caller: Caller) -> Any:
    return HealthStub(caller.channel)


class Timeout:
    """As asyncio's, of which only the end is asked for."""

    def __init__(self) -> None:
        self.is_ended = False

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
            others = sum(call.is_ended for _, call in calls[:10])
            return others, sum(call.is_ended for _, call in calls[10:])

    assert asyncio.run(run()) == (0, 1000 - STRANGER_CALLS_MAX + 10)
