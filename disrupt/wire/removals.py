"""Convert the messages of RemovalsService: a list of removals in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from disrupt.admin.v1 import removals_pb2

_PART_BYTES = 2**20


def request() -> removals_pb2.ReadRemovalsRequest:
    """Make the request for a machine's list."""
    return removals_pb2.ReadRemovalsRequest()


def erased_request() -> removals_pb2.GetErasedRequest:
    """Make the request that asks what a machine has erased."""
    return removals_pb2.GetErasedRequest()


def erased_answer(epoch: bytes, sequence: int) -> removals_pb2.GetErasedResponse:
    """Make the answer that says what a machine has erased."""
    return removals_pb2.GetErasedResponse(epoch=epoch, sequence=sequence)


def parts(content: bytes) -> Iterator[removals_pb2.ReadRemovalsResponse]:
    """Yield a list, which is as the journal of removals has it, in messages of up to 1 MiB."""
    for first in range(0, len(content), _PART_BYTES):
        yield removals_pb2.ReadRemovalsResponse(part=content[first : first + _PART_BYTES])


def content(messages: Iterable[removals_pb2.ReadRemovalsResponse]) -> bytes:
    """Return the list that messages have in parts."""
    return b"".join(message.part for message in messages)
