"""Every call is counted by what became of it, and every refusal by its reason and key."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

import grpc
import pytest
from grpc import aio

from disrupt.server.edge.limits import capacities
from disrupt.server.edge.shares import Admission, Resource
from disrupt.server.metrics import families
from disrupt.server.metrics.rows import Row
from rig.servers.in_process import CONFIG, KEYS, Troubled, calling, serving

HASHES = "/disrupt.v1.MatchService/MatchHashes"
IMAGE = "/disrupt.v1.MatchService/MatchImage"
STATUS = "/disrupt.v1.MatchService/GetIndexStatus"


def test_calls_are_counted_by_outcome_and_refusals_by_reason_and_key(row: Row) -> None:
    admission = Admission(capacities(CONFIG))

    async def call_all() -> None:
        async with serving(Troubled, admission=admission) as address:
            for key, methods in (
                (KEYS[0], [HASHES, HASHES, IMAGE, STATUS]),
                (KEYS[-1], [HASHES]),  # without the right
                ("unknown", [HASHES]),
                (KEYS[0], ["/grpc.reflection.chosen/by-a-caller"]),
            ):
                async with calling(address, key) as call:
                    for method in methods:
                        with suppress(aio.AioRpcError):
                            await call(method)
            admission.capacities[Resource.CALLS] = 0
            async with calling(address, KEYS[1]) as call:
                with pytest.raises(aio.AioRpcError) as refused:
                    await call(HASHES)
                assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED

    asyncio.run(call_all())
    counted = {tuple(json.loads(name)): numbers for name, numbers in row.read()}
    calls = {name[1:]: sum(n[:-1]) for name, n in counted.items() if name[0] == families.CALLS.name}
    assert calls == {
        ("MatchService/MatchHashes", "OK"): 2,
        ("MatchService/MatchImage", "INVALID_MEDIA"): 1,
        ("MatchService/GetIndexStatus", "INTERNAL"): 1,
    }
    others = {
        (name[0].removeprefix("disrupt_"), *name[1:]): numbers[0]
        for name, numbers in counted.items()
        if name[0] != families.CALLS.name
    }
    assert others == {
        ("key_calls", "a", "MatchService/MatchHashes"): 2,
        ("key_calls", "a", "MatchService/MatchImage"): 1,
        ("key_calls", "a", "MatchService/GetIndexStatus"): 1,
        ("key_calls", "a", "other"): 1,
        ("refusals", "INVALID_MEDIA", "a"): 1,
        ("refusals", "INTERNAL", "a"): 1,
        ("refusals", "UNIMPLEMENTED", "a"): 1,
        ("refusals", "RIGHT_MISSING", "c"): 1,
        ("refusals", "KEY_REFUSED", ""): 1,
        ("refusals", "OVERLOADED", "b"): 1,
        ("media_failures", "MatchService/MatchImage", "CRASH"): 1,
        ("faults",): 1,
        ("admission_refusals", "calls", "b", "share"): 1,
    }
