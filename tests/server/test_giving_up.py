"""Searches end with the calls that wait for them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

import grpc
import numpy as np
import pytest

from benchmarks.deployment import Deployment
from benchmarks.prepared import prepare
from benchmarks.processes import cpu_s, processes
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from tests.server.calls import calling, eventually, lookup, outcome

HASHES = 19_000
"""All of which are compared: an index this small has no tables."""

MANY = 1_000_000
"""Queries that take half a minute."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One worker, and all the time in the world."""
    directory = tmp_path_factory.mktemp("server")
    rng = np.random.default_rng(1)
    prepare(directory / "data", rng.integers(0, 256, (HASHES, 32), np.uint8))
    config = directory / "config.toml"
    config.write_text(
        "max_call_s = 1000\nmax_hashes_per_lookup = 1000000\nmax_message_bytes = 40000000\n"
    )
    deployment = Deployment.start(directory / "data", "--config", str(config), workers=1)
    yield deployment
    deployment.stop()


def busy(pid: int) -> bool:
    """Whether a process computes; one that looks at its registry now and then does not."""
    before_s = cpu_s(pid)
    time.sleep(0.5)
    return cpu_s(pid) - before_s > 0.15


@pytest.mark.parametrize("ended_by", ["caller", "deadline"])
def test_the_search_of_a_call_that_nobody_waits_for_stops(
    server: Deployment, ended_by: str
) -> None:
    key = server.make_key("platform", "match")
    (worker,) = processes(server.process.pid, "worker")
    with calling(server.address, key, large=True) as caller:
        call = MatchServiceStub(caller.channel).MatchHashes.future(
            lookup(secrets.token_bytes(32 * MANY)),
            metadata=(("authorization", f"Bearer {key}"),),
            timeout=3 if ended_by == "deadline" else None,
        )
        eventually(lambda: busy(worker))
        if ended_by == "caller":
            call.cancel()
        else:
            assert outcome(call.result) == grpc.StatusCode.DEADLINE_EXCEEDED
        eventually(lambda: not busy(worker), within_s=8)
