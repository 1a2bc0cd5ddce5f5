"""Hand the uploads that a worker has counted over to the writer, beside the calls."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from grpc import aio

from disrupt.admin.v1.admin_pb2_grpc import AdminServiceStub
from disrupt.services.upload_counts import UploadCounts
from disrupt.wire import admin as wire

HAND_OVER_S = 60.0
"""Pause between two times that counts are handed over: a worker that is killed loses as much."""

_ANSWER_WITHIN_S = 5.0


async def hand_over(counts: UploadCounts, channel: aio.Channel) -> None:
    """Hand over what is counted; where the writer does not answer, a later call does.

    Also one that refuses it: it may be of an earlier version, and another takes its place.
    """
    add: Any = AdminServiceStub(channel).CountUploads  # the stubs take it for one that blocks
    with suppress(aio.AioRpcError):  # the log says that the writer fails
        while batch := counts.batch(wire.COUNTS_AT_ONCE):
            await add(wire.uploads_request(batch), timeout=_ANSWER_WITHIN_S)
            counts.added()
