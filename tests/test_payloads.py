"""Messages that are split before they are decoded give what protobuf gives."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from disrupt.errors import InvalidRequestError, LimitExceededError
from disrupt.v1 import match_pb2, registration_pb2, types_pb2
from disrupt.wire import payloads

LARGE = payloads.ENVELOPE_BYTES_MAX + 1
EMPTY_ITEM = b"\x12\x00"
EMPTY_TRANSFORM = b"\x42\x00"
EMPTY_BANK = b"\x1a\x00"

DECODERS: list[Callable[[bytes], Any]] = [
    payloads.match_image,
    payloads.register_image,
    lambda data: payloads.match_video(data, hashes_max=10),
    lambda data: payloads.register_hashes(data, items_max=10, hashes_max=10),
]


@given(st.binary(max_size=300), st.lists(st.text(max_size=5), max_size=5), st.binary(max_size=20))
def test_a_picture_and_its_options_are_those_that_were_sent(
    image: bytes, banks: list[str], earlier: bytes
) -> None:
    options = match_pb2.MatchOptions(banks=banks)
    sent = match_pb2.MatchImageRequest(image=image, options=options).SerializeToString()
    if image:  # where a field comes twice, the last one counts
        sent = match_pb2.MatchImageRequest(image=earlier).SerializeToString() + sent
    decoded = payloads.match_image(sent)
    assert (bytes(decoded.image), decoded.message.options) == (image, options)
    assert not decoded.message.image


@pytest.mark.parametrize("number", [1, 2**7, 2**63 - 1, 2**63, 2**64 - 1])
def test_a_number_that_is_not_known_is_passed_over_whatever_its_size(number: int) -> None:
    unknown = match_pb2.GetIndexStatusResponse(items=number).SerializeToString()
    sent = match_pb2.MatchImageRequest(image=b"picture").SerializeToString()
    assert bytes(payloads.match_image(unknown + sent).image) == b"picture"


@pytest.mark.parametrize("decode", DECODERS)
@pytest.mark.parametrize("padding", [b"", bytes(LARGE)], ids=["short", "long"])
@given(data=st.binary(max_size=200))
def test_what_is_no_message_is_refused_as_that(
    decode: Callable[[bytes], Any], padding: bytes, data: bytes
) -> None:
    with suppress(InvalidRequestError, LimitExceededError):
        decode(data + padding)


def test_a_picture_is_not_copied() -> None:
    sent = match_pb2.MatchImageRequest(image=bytes(1000)).SerializeToString()
    assert payloads.match_image(sent).image.obj is sent


def test_options_of_many_megabytes_beside_a_picture_are_refused() -> None:
    options = EMPTY_BANK * (LARGE // 2 + 1)
    head = b"\x12" + bytes([len(options) & 0x7F | 0x80, len(options) >> 7 & 0x7F | 0x80])
    data = head + bytes([len(options) >> 14]) + options
    assert len(match_pb2.MatchImageRequest.FromString(data).options.banks) > 32_000
    with pytest.raises(LimitExceededError):
        payloads.match_image(data)


def test_items_beyond_the_limit_are_not_decoded() -> None:
    with pytest.raises(LimitExceededError):
        payloads.register_hashes(EMPTY_ITEM * LARGE, items_max=64, hashes_max=1000)


def test_more_transforms_than_hashes_are_not_decoded() -> None:
    frames = EMPTY_TRANSFORM * LARGE
    part = match_pb2.MatchVideoRequest(frames=types_pb2.Fingerprints.FromString(frames))
    with pytest.raises(LimitExceededError):
        payloads.match_video(part.SerializeToString(), hashes_max=1000)
    item = registration_pb2.MediaItem(fingerprints=part.frames)
    request = registration_pb2.RegisterHashesRequest(items=[item])
    with pytest.raises(LimitExceededError):
        payloads.register_hashes(request.SerializeToString(), items_max=64, hashes_max=1000)


def test_as_many_hashes_as_allowed_are_decoded_also_in_columns_that_are_not_packed() -> None:
    count = 2000
    packed = types_pb2.Fingerprints(
        hashes=bytes(32 * count),
        qualities=bytes(count),
        profiles=[types_pb2.PROFILE_PDQ_512] * count,
    ).SerializeToString()
    numbers = types_pb2.Fingerprints.DESCRIPTOR.fields_by_name
    unpacked = b"".join(
        bytes([numbers[name].number << 3, 1]) * count
        for name in ("plans", "ordinals", "start_ms", "end_ms")
    )
    frames = types_pb2.Fingerprints.FromString(packed + unpacked)
    assert len(frames.end_ms) == count
    item = registration_pb2.MediaItem(fingerprints=frames)
    request = registration_pb2.RegisterHashesRequest(items=[item])
    head, tail = request.SerializeToString(), packed + unpacked
    assert len(head) > LARGE
    decoded = payloads.register_hashes(head, items_max=1, hashes_max=count)
    assert decoded == request
    assert payloads._count_fields(memoryview(tail), 5 * count) == 4 * count + 3
