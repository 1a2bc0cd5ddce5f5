"""Calls that never end their message keep nobody out, and hold little memory."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from benchmarks.harness.deployment import Deployment
from benchmarks.harness.processes import processes
from benchmarks.proofs.mutations_videos import repeated
from disrupt.v1 import match_pb2, registration_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from tests.server.caller import (
    MESSAGE_BYTES,
    TIMEOUT_S,
    Caller,
    access,
    calling,
    eventually,
    lookup,
    outcome,
    register,
)
from tests.server.running import Start, peak_bytes, unexpected_errors
from tests.server.wire import begun, wires

pytestmark = pytest.mark.slow


HASHES = "/disrupt.v1.MatchService/MatchHashes"
IMAGE = "/disrupt.v1.MatchService/MatchImage"
VIDEO = "/disrupt.v1.MatchService/MatchVideo"
CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
SERVING = health_pb2.HealthCheckResponse.SERVING


@pytest.fixture(scope="module")
def deployment(single: Deployment) -> Deployment:
    """Return a server of one worker; calls end with the connections of their test."""
    return single


@contextmanager
def bystander(server: Deployment) -> Iterator[Caller]:
    """Connect as another caller, with a key of its own."""
    with calling(server.address, server.make_key("other", "match")) as caller:
        caller("MatchHashes", lookup(bytes(32)))
        yield caller


def is_healthy(caller: Caller) -> bool:
    stub: Any = HealthStub(caller.channel)
    status: int = stub.Check(health_pb2.HealthCheckRequest(), timeout=60).status
    return status == SERVING


def test_a_thousand_lookups_that_never_end_shut_nobody_else_out_and_are_ended(
    deployment: Deployment,
) -> None:
    attacker = deployment.make_key("attacker", "match")
    with bystander(deployment) as caller, wires(deployment.address, 40) as connections:
        calls = 0
        for wire in connections:
            with suppress(ConnectionError):  # it may end connections on which many were refused
                for _ in range(30):
                    wire.begin(HASHES, attacker, begun(1000, bytes(10)))
                    calls += 1
        # The server refuses at once those beyond the attacker's share.
        eventually(lambda: _read(connections) >= calls - 500)
        caller("MatchHashes", lookup(bytes(32)))
        assert is_healthy(caller)
        eventually(lambda: _read(connections) >= calls)
    assert unexpected_errors(deployment) == []


def _read(connections: list[Any]) -> int:
    """Return how many calls the server has ended."""
    for wire in connections:
        wire.read()
    return sum(len(wire.ended) for wire in connections)


@pytest.mark.parametrize("method", [CHECK, WATCH])
def test_strangers_that_never_end_their_message_do_not_keep_a_check_out(
    deployment: Deployment, method: str
) -> None:
    with bystander(deployment) as caller, wires(deployment.address, 10) as connections:
        for wire in connections:
            for _ in range(30):
                wire.begin(method, None, begun(1000, bytes(10)))
        assert is_healthy(caller)
        eventually(lambda: _read(connections) == 300)


def test_a_watch_that_reads_nothing_holds_no_status_up(deployment: Deployment) -> None:
    with bystander(deployment) as caller, wires(deployment.address, 1, window=0) as (wire,):
        for _ in range(8):
            wire.begin(WATCH, None, begun(0))
        wire.read(1.0)
        stub: Any = HealthStub(caller.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=120)
        assert next(watch).status == SERVING
        # The server repeats statuses without waiting for any of these streams.
        key = deployment.make_key("helpline", "register")
        with calling(deployment.address, key) as helpline:
            value = bytes(range(32))
            receipt = helpline("RegisterHashes", register(value)).receipt
            eventually(lambda: bool(caller("MatchHashes", lookup(value)).matches.queries))
            withdrawn = registration_pb2.WithdrawCaseRequest(access=access(receipt.case_number))
            helpline("WithdrawCase", withdrawn)
            eventually(lambda: not caller("MatchHashes", lookup(value)).matches.queries)


def test_large_messages_that_never_end_hold_four_of_them_at_most(start: Start) -> None:
    deployment = start(workers=1)
    attacker = deployment.make_key("attacker", "match")
    (worker,) = processes(deployment.process.pid, "worker")
    size = MESSAGE_BYTES - 1024
    part = bytes(1 << 16)
    with bystander(deployment) as caller, wires(deployment.address, 4) as connections:
        before = peak_bytes(worker)
        open_ = [
            (wire, wire.begin(IMAGE, attacker, begun(size, bytes(100))))
            for wire in connections
            for _ in range(16)
        ]
        sent = dict.fromkeys(open_, 0)
        for _ in range(500):
            for wire, call in open_:
                sent[wire, call] += wire.send(call, part[: size - 200 - sent[wire, call]])
            _read(connections)

        def ended() -> int:
            _read(connections)
            return sum(len(wire.ended) for wire in connections)

        eventually(lambda: ended() >= 48)
        assert peak_bytes(worker) - before < 4 * MESSAGE_BYTES
        caller("MatchHashes", lookup(bytes(32)))


def test_a_message_beyond_the_limit_of_its_call_is_ended_while_it_comes(
    deployment: Deployment,
) -> None:
    attacker = deployment.make_key("attacker", "match")
    with bystander(deployment) as caller, wires(deployment.address, 1) as (wire,):
        size = MESSAGE_BYTES - 1024
        call = wire.begin(HASHES, attacker, begun(size))
        sent = 0
        while call not in wire.ended and sent < size // 4:
            sent += wire.send(call, bytes(1 << 16))
            wire.read(0.02)
        assert call in wire.ended
        caller("MatchHashes", lookup(bytes(32)))


def test_what_calls_bring_beside_their_messages_ends_no_flow_that_waits(start: Start) -> None:
    server = start(settings="max_hashes_per_lookup = 64\n", workers=1)
    secret = server.make_key("platform", "match")
    authorization = ("authorization", f"Bearer {secret}")
    waits = threading.Event()

    def requests() -> Iterator[match_pb2.StreamMatchHashesRequest]:
        yield match_pb2.StreamMatchHashesRequest(batch=lookup(bytes(32)))
        waits.wait()

    with calling(server.address, secret) as caller:
        stub: Any = MatchServiceStub(caller.channel)
        answers = stub.StreamMatchHashes(requests(), metadata=[authorization], timeout=TIMEOUT_S)
        next(answers)
        for _ in range(600):  # half a megabyte, where a flow takes 66 kB
            trace = ("trace", secrets.token_hex(450))
            stub.MatchHashes(lookup(bytes(32)), metadata=[authorization, trace])
        waits.set()
        assert [*answers] == []  # the call ends without an RpcError


def chunk(data: bytes) -> bytes:
    message = match_pb2.MatchVideoRequest(chunk=data).SerializeToString()
    return begun(len(message), message)


def test_slow_videos_of_one_key_do_not_keep_out_a_video_of_another(deployment: Deployment) -> None:
    attacker = deployment.make_key("attacker", "match")
    options = match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions())
    message = options.SerializeToString()
    video = repeated(np.random.default_rng(1).integers(0, 255, (64, 64, 3), np.uint8), 20)
    parts = [options, match_pb2.MatchVideoRequest(chunk=video)]
    with bystander(deployment) as caller, wires(deployment.address, 1) as (wire,):
        slow = [
            wire.begin(VIDEO, attacker, begun(len(message), message) + chunk(bytes(16)))
            for _ in range(24)
        ]

        def dribble() -> bool:
            wire.read(0.2)
            for call in slow:
                wire.send(call, chunk(bytes(1)))
            return bool(call_of_other.done())

        wire.until(lambda: len(wire.ended) >= 12)  # more than the attacker's share
        call_of_other = _send(caller, parts)
        eventually(dribble)
        assert outcome(call_of_other.result) == grpc.StatusCode.OK


def _send(caller: Caller, parts: list[match_pb2.MatchVideoRequest]) -> Any:
    return MatchServiceStub(caller.channel).MatchVideo.future(
        iter(parts), metadata=(("authorization", f"Bearer {caller.key}"),), timeout=100
    )


def test_the_supervisor_forgets_what_a_worker_held_that_died(start: Start) -> None:
    server = start(settings="max_concurrent_calls = 4\n", workers=1)
    attacker = server.make_key("attacker", "match")
    (worker,) = processes(server.process.pid, "worker")
    with bystander(server) as caller:
        with wires(server.address, 1) as (wire,):
            for _ in range(4):
                wire.begin(HASHES, attacker, begun(1000))
            wire.until(lambda: len(wire.ended) == 2)
            os.kill(worker, signal.SIGKILL)
            eventually(lambda: processes(server.process.pid, "worker") not in ([], [worker]))
        eventually(lambda: outcome(lambda: caller("MatchHashes", lookup(bytes(32)))).name == "OK")
        with wires(server.address, 1) as (wire,):
            for _ in range(2):
                wire.begin(HASHES, attacker, begun(1000))
            wire.read(1.0)
            assert not wire.ended
