"""Lookups with many near hashes take longer, and hold up nobody else."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from benchmarks.harness.deployment import FEW_DECODERS, Deployment
from benchmarks.harness.hash_sets import flipped
from benchmarks.harness.prepared import prepare
from disrupt.hashing.pdq.linear import hash_luma
from disrupt.v1 import match_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from tests.server.caller import calling, lookup

pytestmark = pytest.mark.slow


NEAR = 10_000
"""Hashes of one call, each of which is near something and compared with all shapes."""


def test_a_batch_that_is_near_something_leaves_the_worker_free_for_others(tmp_path: Path) -> None:
    stored = hash_luma(data.camera()).hashes  # type: ignore[no-untyped-call]
    rng = np.random.default_rng(1)
    near = np.stack([flipped(stored, 14, rng) for _ in range(NEAR)])
    prepare(tmp_path / "data", stored[None])
    server = Deployment.start(tmp_path / "data", workers=1, settings=FEW_DECODERS)
    try:
        key = server.make_key("platform", "match")
        with calling(server.address, key) as caller:
            call = MatchServiceStub(caller.channel).MatchHashes.future(
                lookup(near.tobytes()), metadata=(("authorization", f"Bearer {key}"),)
            )
            time.sleep(0.1)  # until the server answers it
            caller("GetIndexStatus", match_pb2.GetIndexStatusRequest())
            assert not call.done()
            call.cancel()
    finally:
        server.stop()
