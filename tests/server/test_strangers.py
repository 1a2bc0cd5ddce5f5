"""Who has no key cannot keep out those who have one."""

from __future__ import annotations

import time
from collections.abc import Callable

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from benchmarks.deployment import Deployment
from disrupt.server.interceptors import STRANGERS_MAX
from tests.server.calls import Caller, calling, eventually, lookup

SERVING = health_pb2.HealthCheckResponse.SERVING
REQUEST = health_pb2.HealthCheckRequest()


def test_watches_of_health_leave_places_for_calls_with_a_key_and_come_back(
    start: Callable[..., Deployment],
) -> None:
    server = start("--workers", "1")
    key = server.make_key("match", "match")
    with calling(server.address, None) as stranger, calling(server.address, key) as platform:
        watches = [HealthStub(stranger.channel).Watch(REQUEST) for _ in range(1200)]
        open_, refused = _told(watches)
        assert (open_, refused) == (STRANGERS_MAX, 1200 - STRANGERS_MAX)
        platform("MatchHashes", lookup(bytes(32)))
        assert HealthStub(stranger.channel).Check(REQUEST).status == SERVING
        for one in watches:
            one.cancel()
        eventually(lambda: _watches(stranger))


def _told(watches: list[grpc.CallIterator[health_pb2.HealthCheckResponse]]) -> tuple[int, int]:
    """How many said that the server serves, and how many were refused with a time to come back."""
    open_ = refused = 0
    for one in watches:
        try:
            open_ += next(iter(one)).status == SERVING
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            refused += "too many such calls" in (error.details() or "").lower()
    return open_, refused


def _watches(stranger: Caller) -> bool:
    time.sleep(0.05)
    try:
        watch = HealthStub(stranger.channel).Watch(REQUEST)
        return next(iter(watch)).status == SERVING
    except grpc.RpcError:
        return False
