"""Answers that nobody reads hold no more than their caller's share of the memory."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from benchmarks.harness.deployment import Deployment
from disrupt.v1 import match_pb2
from tests.server.caller import calling, distinctive, eventually, lookup, outcome, register
from tests.server.running import Start
from tests.server.wire import begun, wires

pytestmark = pytest.mark.slow


HASHES = "/disrupt.v1.MatchService/MatchHashes"
FLOW = "/disrupt.v1.MatchService/StreamMatchHashes"
CALLS = 6
CAPACITY_BYTES = 4 * 2**20
ITEMS = 50


@pytest.fixture
def server(start: Start) -> Deployment:
    """Start a server of one worker, which holds few bytes."""
    return start(settings=f"max_message_bytes = {CAPACITY_BYTES}\n", workers=1)


def message(request: Any) -> bytes:
    data: bytes = request.SerializeToString()
    return begun(len(data), data)


@pytest.mark.parametrize("method", [HASHES, FLOW])
def test_answers_that_are_not_read_are_bounded_in_bytes(server: Deployment, method: str) -> None:
    value = distinctive()
    with calling(server.address, server.make_key("helpline", "register")) as helpline:
        near = [(int.from_bytes(value) ^ at).to_bytes(32) for at in range(ITEMS)]
        helpline("RegisterHashes", register(*near))
    batch = match_pb2.MatchHashesRequest(
        hashes=value * 300, options=match_pb2.MatchOptions(max_matches=ITEMS)
    )
    other, attacker = server.make_key("other", "match"), server.make_key("attacker", "match")
    with calling(server.address, other) as caller:
        eventually(lambda: bool(caller("MatchHashes", lookup(value)).matches.queries))
        assert CALLS * caller("MatchHashes", batch).ByteSize() > CAPACITY_BYTES
        flow = match_pb2.StreamMatchHashesRequest(batch=batch)
        request = message(flow if method == FLOW else batch)
        with wires(server.address, 1, window=0) as (wire,):
            calls = {wire.begin(method, attacker, request) for _ in range(CALLS)}
            # some answers are refused at once, for those that wait to be read
            wire.until(lambda: len(wire.ended & calls) > 0)
            caller("MatchHashes", batch)
            assert len(wire.ended & calls) < CALLS
        # they are given back with their connection
        eventually(lambda: outcome(lambda: caller("MatchHashes", batch)) == grpc.StatusCode.OK)
