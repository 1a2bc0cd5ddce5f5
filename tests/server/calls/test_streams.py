"""Flows of batches through a real server: their limits, and their ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import repeat
from threading import Event
from typing import Any

import grpc
import pytest

from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from disrupt.client import Batch, MatchClient
from disrupt.v1 import match_pb2
from tests.server.caller import Caller, calling, eventually, lookup, outcome, refusal

pytestmark = pytest.mark.slow


MANY = 10_000
"""Messages of a flow: far more than a server takes ahead, and few enough to end."""

MAX_CALL_S = 4.0
HASH = bytes(range(32))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Start a server of one worker, which answers one call at a time, and none for long."""
    deployment = Deployment.start(
        tmp_path_factory.mktemp("server") / "data",
        workers=1,
        settings=f"max_call_s = {MAX_CALL_S}\nmax_concurrent_calls = 1\n{FEW_DECODERS}",
    )
    yield deployment
    deployment.stop()


def flow(caller: Caller, batches: Iterator[match_pb2.MatchHashesRequest], **options: Any) -> Any:
    requests = (
        match_pb2.StreamMatchHashesRequest(batch=batch, sequence=at)
        for at, batch in enumerate(batches)
    )
    return caller("StreamMatchHashes", requests, **options)


def free(caller: Caller) -> bool:
    """Tell whether the server has a place for a call."""
    return outcome(lambda: caller("MatchHashes", lookup(HASH))) == grpc.StatusCode.OK


def test_a_flow_lasts_while_it_goes_on_and_ends_when_nothing_comes(platform: Caller) -> None:
    began_s = time.monotonic()
    ended = Event()

    def batches() -> Iterator[match_pb2.MatchHashesRequest]:
        while time.monotonic() < began_s + 1.5 * MAX_CALL_S:
            yield lookup(HASH)
            time.sleep(0.1)
        ended.wait()

    answers = flow(platform, batches(), timeout=None)
    received = 0

    def receive() -> None:
        nonlocal received
        for _ in answers:
            received += 1

    refused = refusal(receive)
    ended.set()
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "DEADLINE_EXCEEDED",
    )
    assert time.monotonic() > began_s + 2 * MAX_CALL_S
    assert received >= 2


def test_the_callers_deadline_ends_a_flow(platform: Caller) -> None:
    answers = flow(platform, repeat(lookup(HASH)), timeout=1.0)
    assert outcome(lambda: list(answers)) == grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: free(platform))


def test_a_cancelled_flow_frees_its_place(server: Deployment, platform: Caller) -> None:
    flows: list[Any] = []

    def begun() -> bool:
        # gRPC counts a call for a moment after its answer, so the previous test's call counts too.
        flows.append(flow(platform, repeat(lookup(HASH * 64)), timeout=None))
        return outcome(lambda: next(flows[-1])) == grpc.StatusCode.OK

    eventually(begun)
    with calling(server.address, platform.key) as other_caller:
        assert not free(other_caller)
        flows[-1].cancel()
        eventually(lambda: free(other_caller))


def test_who_reads_no_answers_is_not_read_from_and_hears_of_the_deadline(platform: Caller) -> None:
    sent = 0

    def batches() -> Iterator[match_pb2.MatchHashesRequest]:
        nonlocal sent
        # Where a call ends before the stream is full, gRPC takes all that is left.
        for sent in range(1, MANY):  # noqa: B007 looked at from outside
            # The answer to this request names a thousand queries.
            yield match_pb2.MatchHashesRequest(hashes=HASH * 1000, qualities=bytes(1000))

    answers = flow(platform, batches(), timeout=None)
    before = 0
    while before < sent or not sent:
        before = sent
        time.sleep(1)
    time.sleep(MAX_CALL_S)
    received: list[int] = []
    ended = outcome(lambda: received.extend(answer.sequence for answer in answers))
    assert ended == grpc.StatusCode.DEADLINE_EXCEEDED
    assert received == list(range(len(received)))
    assert 0 < len(received) < sent


def test_low_quality_is_told_in_each_batch_of_a_flow(server: Deployment, platform: Caller) -> None:
    batches: list[bytes | Batch] = [Batch(HASH * 3, [49, 50, 49]), HASH, Batch(HASH, [0])]
    with MatchClient(server.address, key=platform.key or "", connections=1) as client:
        answers = list(client.stream_hashes(batches))
    low = [[answer.low_quality for answer in batch] for batch in answers]
    assert low == [[True, False, True], [False], [True]]
