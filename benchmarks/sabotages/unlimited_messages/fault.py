"""Decode messages of any size on the event loop, before counting anything in them."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from disrupt.server.admission import receiving
from disrupt.server.admission.limits import MessageLimits
from disrupt.wire import payloads


async def _decoded(self: receiving.Reading, data: bytes) -> Any:  # noqa: ANN401 any message
    try:
        return self._decode(data)
    except DecodeError:
        raise payloads.no_message() from None


def _count_nothing(_data: memoryview, _most: int) -> int:
    return 0


def _any_size(_limits: MessageLimits, _method: str) -> int:
    return 1 << 30


MessageLimits.__call__ = _any_size  # type: ignore[assignment,method-assign]
receiving.Reading._decoded = _decoded  # type: ignore[method-assign]
payloads._count_fields = _count_nothing  # type: ignore[assignment]
