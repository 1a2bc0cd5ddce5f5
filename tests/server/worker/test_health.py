"""Health says that lookups are served only where all that they need is there."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from grpc_health.v1 import health_pb2

from disrupt.errors import UnavailableError
from disrupt.server.edge.health import FEED, LOOKUPS, MATCH, OVERALL, Health
from disrupt.server.worker.health_checks import check_index


@pytest.mark.parametrize(
    ("without_s", "silent_s", "serving"),
    [(0.0, 0.0, True), (9.0, 9.0, True), (11.0, 0.0, False), (0.0, 11.0, False)],
)
def test_lookups_are_not_served_where_no_picture_can_be_decoded(
    without_s: float,
    silent_s: float,
    serving: bool,
) -> None:
    async def statuses() -> list[bool]:
        health = Health()
        following: Any = SimpleNamespace(
            behind_s=float, check_fresh=lambda: None, serving=True, mirror_fault=""
        )
        hashing: Any = SimpleNamespace(
            without_decoder_s=lambda: without_s, silent_s=lambda: silent_s
        )
        await check_index(health, following, hashing, 30.0, feeds=True)
        context: Any = None
        return [
            (await health.Check(health_pb2.HealthCheckRequest(service=name), context)).status
            == health_pb2.HealthCheckResponse.SERVING
            for name in (MATCH, OVERALL, FEED, LOOKUPS)
        ]

    assert asyncio.run(statuses()) == [serving, serving, True, True]


def test_where_index_or_keys_are_too_old_to_serve_on_that_is_an_error() -> None:
    def check() -> None:
        raise UnavailableError("This server has not seen what changed for too long.")

    following: Any = SimpleNamespace(behind_s=lambda: 301.0, check_fresh=check, serving=True)
    hashing: Any = SimpleNamespace(without_decoder_s=float)
    with pytest.raises(UnavailableError):
        asyncio.run(check_index(Health(), following, hashing, 30.0, feeds=True))
