"""A worker tells the writer once of each key and day, and goes on where that fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

from grpc import aio

from disrupt.admin.v1 import admin_pb2_grpc
from disrupt.errors import StorageFullError
from disrupt.server.admission.pool import Pool
from disrupt.server.calls.administration import AdminServicer
from disrupt.server.calls.key_uses import tell_writer
from disrupt.server.calls.relay import writer_channel
from disrupt.server.upkeep.administration import InRegistry
from disrupt.services.keys import KeyUses

DAY, NEXT_DAY = "2026-11-28", "2026-11-29"


class FullDisk:
    """A registry that cannot be written at first."""

    def __init__(self) -> None:
        self.is_full = True
        self.noted: list[dict[str, str]] = []

    def note_uses(self, days: dict[str, str]) -> None:
        if self.is_full:
            raise StorageFullError("The disk is full.")
        self.noted.append(days)


async def use(uses: KeyUses, channel: aio.Channel, day: str, *key_ids: str) -> None:
    """Use keys often, and tell the writer several times."""
    for key_id in key_ids * 100:
        uses.note(key_id, day)
    for _ in range(3):
        await tell_writer(uses, channel)


def test_each_key_and_day_is_told_once_however_often_it_is_used_or_telling_fails(
    tmp_path: Path,
) -> None:
    address = f"unix:{tmp_path / 'writer.sock'}"
    uses, disk = KeyUses(), FullDisk()

    async def run() -> None:
        channel = writer_channel(address, 2**20)
        await use(uses, channel, DAY, "0a", "1b")  # nobody listens
        server = aio.server()
        pool = Pool("writer", threads=1, queued=1)
        registry = InRegistry(disk)  # type: ignore[arg-type]  # all that it needs here
        servicer = AdminServicer(registry, pool)
        admin_pb2_grpc.add_AdminServiceServicer_to_server(servicer, server)
        server.add_insecure_port(address)
        await server.start()
        await channel.channel_ready()
        await use(uses, channel, DAY, "0a")
        assert disk.noted == []
        disk.is_full = False
        await use(uses, channel, DAY, "0a")
        await use(uses, channel, DAY, "0a", "2c")
        await use(uses, channel, NEXT_DAY, "1b")
        await channel.close()
        await server.stop(None)

    asyncio.run(run())
    assert disk.noted == [{"0a": DAY, "1b": DAY}, {"2c": DAY}, {"1b": NEXT_DAY}]
