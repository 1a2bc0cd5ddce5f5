"""Tell the writer which lookups a worker saw near to items, beside the calls that made them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from grpc import aio

from disrupt.admin.v1.admin_pb2_grpc import AdminServiceStub
from disrupt.services.far_lookups import SeenLookups
from disrupt.wire import policy as wire

TELL_S = 1.0
"""Pause between two calls, each of which tells a bounded number of lookups."""

_ANSWER_WITHIN_S = 10.0


async def tell_writer(seen: SeenLookups, channel: aio.Channel) -> None:
    """Tell the writer of lookups that it was not told of. Where it does not answer, try later."""
    day, sightings = seen.untold()
    if not sightings:
        return
    note: Any = AdminServiceStub(channel).NoteFarLookups  # the stubs take it for one that blocks
    # The log says already when the writer does not answer.
    with suppress(aio.AioRpcError):
        await note(wire.far_lookups_request(day, sightings), timeout=_ANSWER_WITHIN_S)
        seen.told(sightings)
