"""Who has no key cannot keep out those who have one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from benchmarks.deployment import Deployment
from disrupt.server.interceptors import STRANGERS_MAX
from tests.server.calls import Caller, calling, eventually, lookup, told

SERVING = health_pb2.HealthCheckResponse.SERVING
REQUEST = health_pb2.HealthCheckRequest()


def test_watches_of_health_leave_places_for_calls_with_a_key_and_come_back(
    start: Callable[..., Deployment],
) -> None:
    server = start("--workers", "1")
    key = server.make_key("match", "match")
    with calling(server.address, None) as stranger, calling(server.address, key) as platform:
        watches = [_health(stranger).Watch(REQUEST) for _ in range(1200)]
        open_, refused = _told(watches)
        assert (open_, refused) == (STRANGERS_MAX, 1200 - STRANGERS_MAX)
        platform("MatchHashes", lookup(bytes(32)))
        assert _health(stranger).Check(REQUEST).status == SERVING
        for one in watches:
            one.cancel()
        eventually(lambda: _watches(stranger))


def _health(caller: Caller) -> Any:
    return HealthStub(caller.channel)


def _told(watches: list[Any]) -> tuple[int, int]:
    """How many said that the server serves, and how many were refused with a time to come back."""
    open_ = refused = 0
    for one in watches:
        try:
            open_ += next(iter(one)).status == SERVING
        except grpc.RpcError as error:
            refused += told(error).reason == "OVERLOADED"
    return open_, refused


def _watches(stranger: Caller) -> bool:
    time.sleep(0.05)
    try:
        watch = _health(stranger).Watch(REQUEST)
        return bool(next(iter(watch)).status == SERVING)
    except grpc.RpcError:
        return False
