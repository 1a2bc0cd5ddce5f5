"""Tell the writer which keys a worker saw used today, beside the calls that used them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from grpc import aio

from disrupt.admin.v1.admin_pb2_grpc import AdminServiceStub
from disrupt.services.keys import KeyUses
from disrupt.wire import admin as wire

TELL_S = 1.0
"""Pause between two looks for keys that were used for the first time on a day."""

_ANSWER_WITHIN_S = 10.0


async def tell_writer(uses: KeyUses, channel: aio.Channel) -> None:
    """Tell the writer what it was not told yet; where it cannot note that, a later look does."""
    days = uses.untold()
    if not days:
        return
    note: Any = AdminServiceStub(channel).NoteKeyUses  # the stubs take it for one that blocks
    with suppress(aio.AioRpcError):  # the log says that the writer fails
        await note(wire.uses_request(days), timeout=_ANSWER_WITHIN_S)
        uses.told(days)
