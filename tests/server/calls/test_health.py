"""Health says of each service whether all that it needs is there."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from disrupt.errors import StorageFullError, UnavailableError
from disrupt.server.admission.pool import Pool
from disrupt.server.calls.health import (
    FEED,
    MATCH,
    OVERALL,
    WRITTEN,
    Health,
    look_at_index,
    look_at_storage,
    look_at_writer,
)
from disrupt.server.calls.relay import writer_channel
from disrupt.server.rights import SERVICES


async def serving(health: Health, *services: str) -> list[bool]:
    """Tell for each service whether it serves; one of which nothing was said fails the test."""
    context: Any = None
    requests = [health_pb2.HealthCheckRequest(service=service) for service in services]
    answers = [await health.servicer.Check(request, context) for request in requests]
    return [answer.status == health_pb2.HealthCheckResponse.SERVING for answer in answers]


@pytest.mark.parametrize(
    ("without_s", "silent_s", "is_serving"),
    [(0.0, 0.0, True), (9.0, 9.0, True), (11.0, 0.0, False), (0.0, 11.0, False)],
)
def test_lookups_are_not_served_where_no_picture_can_be_decoded(
    without_s: float,
    silent_s: float,
    is_serving: bool,
) -> None:
    async def statuses() -> list[bool]:
        health = Health()
        following: Any = SimpleNamespace(behind_s=float, check=lambda: None, serving=True)
        hashing: Any = SimpleNamespace(
            without_decoder_s=lambda: without_s, silent_s=lambda: silent_s
        )
        await look_at_index(health, following, hashing, 30.0)
        return await serving(health, MATCH, OVERALL, FEED)

    assert asyncio.run(statuses()) == [is_serving, is_serving, True]


def test_where_index_or_keys_are_too_old_to_serve_on_that_is_an_error() -> None:
    def check() -> None:
        raise UnavailableError("This server has not seen what changed for too long.")

    following: Any = SimpleNamespace(behind_s=lambda: 301.0, check=check, serving=True)
    hashing: Any = SimpleNamespace(without_decoder_s=float)
    with pytest.raises(UnavailableError):
        asyncio.run(look_at_index(Health(), following, hashing, 30.0))


@pytest.mark.parametrize("is_full", [False, True])
def test_what_the_writer_answers_serves_where_its_storage_takes_writes(
    tmp_path: Path,
    is_full: bool,
) -> None:
    def check_storage() -> None:
        if is_full:
            raise StorageFullError("The disk is full.")

    async def statuses() -> list[bool]:
        writer, worker = Health(), Health()
        registry: Any = SimpleNamespace(check_storage=check_storage)
        await look_at_storage(writer, registry, [Pool("writer", threads=1, queued=1)])
        server = aio.server()
        health_pb2_grpc.add_HealthServicer_to_server(writer.servicer, server)
        server.add_insecure_port(f"unix:{tmp_path / 'writer.sock'}")
        await server.start()
        channel = writer_channel(f"unix:{tmp_path / 'writer.sock'}", 2**20)
        await look_at_writer(worker, channel)
        await channel.close()
        await server.stop(None)
        return await serving(writer, *WRITTEN) + await serving(worker, *WRITTEN)

    assert asyncio.run(statuses()) == [not is_full] * 6


def test_something_is_said_of_every_service() -> None:
    assert {MATCH, FEED, *WRITTEN} == {service.full_name for service in SERVICES}
