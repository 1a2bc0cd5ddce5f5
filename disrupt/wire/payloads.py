"""Bound what messages repeat before they are decoded, and take files out without a copy.

Decoding makes objects of up to forty times the bytes of the message, so the number of fields is
bounded first. See https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from disrupt.errors import InvalidRequestError, LimitExceededError
from disrupt.v1 import match_pb2, registration_pb2

ENVELOPE_BYTES_MAX = 64 * 1024
"""Most bytes of a message beside its file or hashes. Options, or a case and its PIN, take far less.

No message of this size takes long to decode, or much memory.
"""

_Message = TypeVar("_Message", bound=Message)

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_VARINT_BITS_MAX = 63
_ENVELOPE_FIELDS_MAX = 1000
"""Most fields beside the repeated ones. A message has about five; later versions may have more."""
_COLUMNS = 5
"""Columns of Fingerprints whose every entry may be a field of its own."""


@dataclass(frozen=True, slots=True)
class WithImage(Generic[_Message]):
    """A message without its file, and the file: a view of the bytes that came in."""

    message: _Message
    image: memoryview


def match_image(data: bytes) -> WithImage[match_pb2.MatchImageRequest]:
    """Decode a lookup by picture."""
    envelope, image = _split(data, match_pb2.MatchImageRequest.IMAGE_FIELD_NUMBER)
    return WithImage(parsed(match_pb2.MatchImageRequest, envelope), image)


def register_image(data: bytes) -> WithImage[registration_pb2.RegisterImageRequest]:
    """Decode a registration of a picture."""
    envelope, image = _split(data, registration_pb2.RegisterImageRequest.IMAGE_FIELD_NUMBER)
    return WithImage(parsed(registration_pb2.RegisterImageRequest, envelope), image)


def match_video(data: bytes, *, hashes_max: int) -> match_pb2.MatchVideoRequest:
    """Decode a part of a lookup by video, which may hold frames of ``hashes_max`` hashes."""
    if len(data) > ENVELOPE_BYTES_MAX:
        for number, value in _fields(memoryview(data), _ENVELOPE_FIELDS_MAX):
            if number == match_pb2.MatchVideoRequest.FRAMES_FIELD_NUMBER:
                _count_fields(value, _COLUMNS * hashes_max)
    return parsed(match_pb2.MatchVideoRequest, data)


def register_hashes(
    data: bytes, *, items_max: int, hashes_max: int
) -> registration_pb2.RegisterHashesRequest:
    """Decode a registration, which may hold ``items_max`` items and ``hashes_max`` hashes."""
    if len(data) > ENVELOPE_BYTES_MAX:
        left = _COLUMNS * hashes_max
        for number, item in _fields(memoryview(data), items_max + _ENVELOPE_FIELDS_MAX):
            if number != registration_pb2.RegisterHashesRequest.ITEMS_FIELD_NUMBER:
                continue
            for inner, value in _fields(item, _ENVELOPE_FIELDS_MAX):
                if inner == registration_pb2.MediaItem.FINGERPRINTS_FIELD_NUMBER:
                    left -= _count_fields(value, left)
    return parsed(registration_pb2.RegisterHashesRequest, data)


def parsed(kind: type[_Message], data: bytes) -> _Message:
    """Decode a message whose size bounds what it repeats. Raises InvalidRequestError."""
    try:
        return kind.FromString(data)
    except DecodeError:
        raise no_message() from None


def _split(data: bytes, file_number: int) -> tuple[bytes, memoryview]:
    """Separate the file, which is the bytes field of this number, from all else of a message."""
    file, envelope, envelope_bytes = memoryview(b""), [], 0
    for number, value, field in _located(memoryview(data), _ENVELOPE_FIELDS_MAX):
        if number == file_number and value is not None:
            file = value  # of several files the last counts, as in protobuf
        else:
            envelope.append(field)
            envelope_bytes += len(field)
    if envelope_bytes > ENVELOPE_BYTES_MAX:
        raise LimitExceededError(
            f"The message has {envelope_bytes} bytes beside its file; at most"
            f" {ENVELOPE_BYTES_MAX} are accepted.",
            limit=str(ENVELOPE_BYTES_MAX),
        )
    return b"".join(envelope), file


def _count_fields(data: memoryview, most: int) -> int:
    return sum(1 for _ in _located(data, most + _ENVELOPE_FIELDS_MAX))


def _fields(data: memoryview, most: int) -> Iterator[tuple[int, memoryview]]:
    """Yield number and value of each length-delimited field."""
    for number, value, _ in _located(data, most):
        if value is not None:
            yield number, value


def _located(data: memoryview, most: int) -> Iterator[tuple[int, memoryview | None, memoryview]]:
    """Yield number, value (None unless length-delimited) and whole extent of each field.

    Raises LimitExceededError for more than ``most``, InvalidRequestError for what is no message.
    """
    start, end, count = 0, len(data), 0
    while start < end:
        count += 1
        if count > most:
            raise LimitExceededError(
                f"The message repeats more than {most} fields in one place. Send less at a time.",
                limit=str(most),
            )
        tag, at = _varint(data, start)
        value = None
        kind = tag & 7
        if kind == _LENGTH:
            length, at = _varint(data, at)
            value = data[at : at + length]
            at += length
        elif kind == _VARINT:
            _, at = _varint(data, at)
        elif kind == _FIXED64:
            at += 8
        elif kind == _FIXED32:
            at += 4
        else:
            raise no_message()
        if at > end:
            raise no_message()
        yield tag >> 3, value, data[start:at]
        start = at


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the value of a varint, and where it ends."""
    try:
        value = data[at]
        at += 1
        if value < 0x80:  # noqa: PLR2004 the bit that says that more bytes follow
            return value, at
        value &= 0x7F
        for shift in range(7, _VARINT_BITS_MAX + 1, 7):
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004 likewise
                return value, at
    except IndexError:
        pass
    raise no_message()


def no_message() -> InvalidRequestError:
    """Make the error for bytes that are not a message of the call."""
    return InvalidRequestError("The request is no message of this call: see the proto files.")
