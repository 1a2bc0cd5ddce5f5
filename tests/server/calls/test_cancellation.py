"""Searches end with the calls that wait for them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from benchmarks.harness.prepared import prepare
from benchmarks.harness.processes import cpu_s, processes
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from tests.server.caller import Caller, calling, eventually, lookup, outcome

HASHES = 19_000
"""So few that every query is compared with all of them: so small an index has no tables."""

MANY = 1_000_000
"""Queries that take half a minute of processor time."""


@contextmanager
def serving(directory: Path, max_call_s: int) -> Iterator[Deployment]:
    """Start a server with one worker and room for large calls."""
    rng = np.random.default_rng(1)
    prepare(directory / "data", rng.integers(0, 256, (HASHES, 32), np.uint8))
    settings = (
        f"max_call_s = {max_call_s}\nmax_hashes_per_lookup = {MANY}\n"
        f"max_message_bytes = 100000000\n{FEW_DECODERS}"
    )
    deployment = Deployment.start(directory / "data", workers=1, settings=settings)
    yield deployment
    deployment.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Start a server whose calls may take very long."""
    with serving(tmp_path_factory.mktemp("server"), max_call_s=1000) as deployment:
        yield deployment


FEW_S = 10.0
"""Processor time that a search takes at most until it notices that its call has ended."""


def busy(pid: int) -> bool:
    """Tell whether a process computes; one that looks at its registry now and then does not.

    This looks at its threads, not its processor time, of which a busy machine gives it little.
    """
    return sum(_runs(pid) for _ in range(25)) > 12


def _runs(pid: int) -> bool:
    time.sleep(0.02)
    states = []
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):
            states.append(stat.read_text().rpartition(")")[2].split()[0])
    return "R" in states


@contextmanager
def stopping(pid: int) -> Iterator[None]:
    """Check that the block makes a process stop computing, long before it has finished."""
    before_s = cpu_s(pid)
    yield
    eventually(lambda: not busy(pid))
    assert cpu_s(pid) - before_s < FEW_S


def many(caller: Caller, timeout: float | None = None) -> Any:
    """Start a large lookup without waiting for it."""
    return MatchServiceStub(caller.channel).MatchHashes.future(
        lookup(secrets.token_bytes(32 * MANY)),
        metadata=(("authorization", f"Bearer {caller.key}"),),
        timeout=timeout,
    )


@pytest.mark.parametrize("ended_by", ["caller", "deadline"])
def test_the_search_of_a_call_that_nobody_waits_for_stops(
    server: Deployment, ended_by: str
) -> None:
    key = server.make_key("platform", "match")
    (worker,) = processes(server.process.pid, "worker")
    with calling(server.address, key, large=True) as caller:
        call = many(caller, timeout=3 if ended_by == "deadline" else None)
        eventually(lambda: busy(worker))
        with stopping(worker):
            if ended_by == "caller":
                call.cancel()
            else:
                assert outcome(call.result) == grpc.StatusCode.DEADLINE_EXCEEDED


def test_a_call_without_a_deadline_has_the_servers(tmp_path: Path) -> None:
    with serving(tmp_path, max_call_s=2) as server:
        key = server.make_key("platform", "match")
        (worker,) = processes(server.process.pid, "worker")
        with calling(server.address, key, large=True) as caller, stopping(worker):
            assert outcome(many(caller).result) == grpc.StatusCode.DEADLINE_EXCEEDED
