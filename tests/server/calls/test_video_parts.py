"""A video file comes in chunks, and nothing else may come among them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from disrupt.errors import InvalidRequestError
from disrupt.server.admission.limits import CHUNK_BYTES_MAX
from disrupt.server.calls.videos import _chunks
from disrupt.v1 import match_pb2


def chunk(data: bytes) -> match_pb2.MatchVideoRequest:
    return match_pb2.MatchVideoRequest(chunk=data)


OPTIONS = match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions())
LARGEST = bytes(CHUNK_BYTES_MAX)


def received(
    *parts: match_pb2.MatchVideoRequest, first: match_pb2.MatchVideoRequest | None = None
) -> list[bytes]:
    async def sent() -> AsyncIterator[match_pb2.MatchVideoRequest]:
        for part in parts:
            yield part

    async def receive() -> list[bytes]:
        return [data async for data in _chunks(sent(), first)]

    return asyncio.run(receive())


def test_chunks_come_in_order_once_and_without_empty_ones() -> None:
    assert received(chunk(b"a"), chunk(b""), chunk(b"b")) == [b"a", b"b"]
    assert received(chunk(b"b"), first=chunk(b"a")) == [b"a", b"b"]
    assert received(first=chunk(LARGEST)) == [LARGEST]
    assert received() == []


@pytest.mark.parametrize(
    ("part", "field"), [(OPTIONS, "part"), (chunk(LARGEST + b"a"), "chunk")], ids=["kind", "size"]
)
def test_what_is_no_chunk_of_1_mib_is_refused(
    part: match_pb2.MatchVideoRequest, field: str
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        received(chunk(b"a"), part)
    assert [violation.field for violation in refused.value.violations] == [field]
