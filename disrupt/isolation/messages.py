"""Messages between the server and a decoding process: fixed binary formats, no pickle.

Answers come from a process that untrusted media may have taken over: they are parsed as such.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np

from disrupt.core.hashes import PdqHash
from disrupt.core.media import (
    FINGERPRINT,
    Fingerprint,
    LowQuality,
    MediaKind,
    Profile,
    columns,
)
from disrupt.core.transforms import Corners, Dihedral, Transform
from disrupt.errors import InvalidRequestError
from disrupt.hashing.decoding.pictures import ImageLimits
from disrupt.hashing.lookup import ImageQuery
from disrupt.hashing.registration import ImageFingerprints
from disrupt.isolation.sandbox import LAYERS

ANSWER_BYTES_MAX = 512 * 1024
"""More than any query takes: the whole of MAX_FRAMES frames in 16 versions, MAX_PARTS and
MAX_NEGATIVES, MAX_ANCHORS plain and mirrored, and LIT_FRAMES frames in other brightnesses."""

_REQUEST = struct.Struct("<BIIIdQ")
_QUERY = struct.Struct("<BIH")
_CORNERS = struct.Struct("<?8H")
_NOWHERE = (0,) * 8
_QUERY_ROW = struct.Struct("<32sB4HiH??HH")
_FINGERPRINTS = struct.Struct("<BBI")
_LOW_QUALITY = struct.Struct("<BBI")
_QUALITIES = range(101)
_TEXT_CHARACTERS_MAX = 500


class Task(IntEnum):
    """Task for a picture."""

    FAST_LOOKUP = 1
    LOOKUP = 2
    THOROUGH_LOOKUP = 3
    REGISTRATION = 4
    REGISTRATION_OF_FRAMES = 5


class _Kind(IntEnum):
    READY = 0
    QUERY = 1
    FINGERPRINTS = 2
    LOW_QUALITY = 3
    REFUSED = 4
    OUT_OF_MEMORY = 5
    FAILED = 6


@dataclass(frozen=True, slots=True)
class Request:
    """A job; the picture is at the beginning of the shared memory."""

    task: Task
    size_bytes: int
    limits: ImageLimits


@dataclass(frozen=True, slots=True)
class Ready:
    """The process can be given pictures; ``missing`` names layers that its kernel lacks."""

    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The bytes are no picture to hash, for this reason, or their decoder is not installed."""

    reason: str
    lacks_decoder: bool = False


@dataclass(frozen=True, slots=True)
class OutOfMemory:
    """The picture needs more memory than the process may take."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An error of the hashing code itself; ``kind`` names it and quotes nothing."""

    kind: str


Answer: TypeAlias = (
    "Ready | ImageQuery | ImageFingerprints | LowQuality | Refused | OutOfMemory | Failed"
)


def pack_request(request: Request) -> bytes:
    """Pack a request into a message."""
    limits = request.limits
    return _REQUEST.pack(
        request.task,
        request.size_bytes,
        limits.max_pixels,
        limits.max_bytes,
        limits.frames_cpu_s,
        limits.max_scanned_px,
    )


def unpack_request(message: bytes) -> Request:
    """Unpack what ``pack_request`` packed."""
    task, size_bytes, *limits = _REQUEST.unpack(message)
    return Request(Task(task), size_bytes, ImageLimits(*limits))


def pack_answer(answer: Answer) -> bytes:  # noqa: PLR0911 one for each kind
    """Pack an answer into a message."""
    match answer:
        case Ready(missing):
            return bytes([_Kind.READY, *(name in missing for name in LAYERS)])
        case ImageQuery(quality, hashes, skipped):
            straightened = list(dict.fromkeys(version.corners for _, version in hashes))
            places = {corners: at for at, corners in enumerate(straightened)}
            head = _QUERY.pack(quality, skipped, len(straightened))
            head += b"".join(
                _CORNERS.pack(bool(some), *(some or _NOWHERE)) for some in straightened
            )
            rows = b"".join(_query_row(*pair, places) for pair in hashes)
            return bytes([_Kind.QUERY]) + head + rows
        case ImageFingerprints(quality, fingerprints, kind, frames_left):
            rows = columns(fingerprints).tobytes()
            numbers = _FINGERPRINTS.pack(quality, kind, frames_left)
            return bytes([_Kind.FINGERPRINTS]) + numbers + rows
        case LowQuality(quality, minimum_quality, advice, skipped):
            numbers = _LOW_QUALITY.pack(quality, minimum_quality, skipped)
            return bytes([_Kind.LOW_QUALITY]) + numbers + advice.encode()
        case Refused(reason, lacks_decoder):
            return bytes([_Kind.REFUSED, lacks_decoder]) + reason.encode()
        case OutOfMemory():
            return bytes([_Kind.OUT_OF_MEMORY])
        case Failed(kind):
            return bytes([_Kind.FAILED]) + kind.encode()


def unpack_answer(message: bytes) -> Answer:
    """Unpack what ``pack_answer`` packed; ValueError for anything else."""
    try:
        return _unpacked(_Kind(message[0]), message[1:])
    except (IndexError, InvalidRequestError, struct.error) as error:
        raise ValueError("no answer of a decoding process") from error


def _unpacked(kind: _Kind, body: bytes) -> Answer:  # noqa: PLR0911 one for each kind
    match kind:
        case _Kind.READY:
            flags = zip(LAYERS, body, strict=True)
            return Ready(tuple(name for name, missing in flags if missing))
        case _Kind.QUERY:
            quality, skipped, count = _QUERY.unpack_from(body)
            first_row = _QUERY.size + count * _CORNERS.size
            read = _CORNERS.iter_unpack(body[_QUERY.size : first_row])
            straightened = [tuple(numbers[1:]) if numbers[0] else () for numbers in read]
            rows = _QUERY_ROW.iter_unpack(body[first_row:])
            hashes = tuple(_query(*row[:-1], corners=straightened[row[-1]]) for row in rows)
            return ImageQuery(_quality(quality), hashes, skipped)
        case _Kind.FINGERPRINTS:
            quality, kind_of_item, left = _FINGERPRINTS.unpack_from(body)
            records = np.frombuffer(body, FINGERPRINT, offset=_FINGERPRINTS.size).tolist()
            fingerprints = tuple(_fingerprint(*row) for row in records)
            return ImageFingerprints(_quality(quality), fingerprints, MediaKind(kind_of_item), left)
        case _Kind.LOW_QUALITY:
            quality, least, skipped = _LOW_QUALITY.unpack_from(body)
            advice = _text(body[_LOW_QUALITY.size :])
            return LowQuality(_quality(quality), _quality(least), advice, skipped)
        case _Kind.REFUSED:
            return Refused(_text(body[1:]), bool(body[0]))
        case _Kind.OUT_OF_MEMORY:
            return OutOfMemory()
        case _Kind.FAILED:
            return Failed(_text(body))


def _query_row(pdq_hash: PdqHash, version: Transform, places: Mapping[Corners, int]) -> bytes:
    return _QUERY_ROW.pack(
        pdq_hash.value,
        version.dihedral,
        *version.crop,
        version.rotation_millidegrees,
        version.scale_side_px,
        version.negative,  # plain edges are cut of videos only
        version.anchored,
        version.gamma_permille,
        places[version.corners],
    )


def _query(
    value: bytes, dihedral: int, *numbers: int, corners: Corners
) -> tuple[PdqHash, Transform]:
    left, top, right, bottom, millidegrees, side_px, negative, anchored, gamma_permille = numbers
    version = Transform(
        Dihedral(dihedral),
        *(left, top, right, bottom),
        millidegrees,
        side_px,
        negative=bool(negative),
        corners=corners,
        anchored=bool(anchored),
        gamma_permille=gamma_permille,
    )
    return PdqHash(value), version


def _fingerprint(value: list[int], quality: int, profile: int, *numbers: int) -> Fingerprint:
    return Fingerprint(PdqHash(bytes(value)), _quality(quality), Profile(profile), *numbers)


def _quality(value: int) -> int:
    if value not in _QUALITIES:
        raise ValueError("a quality is from 0 to 100")
    return value


def _text(body: bytes) -> str:
    text = body.decode()
    if len(text) > _TEXT_CHARACTERS_MAX or not text.isprintable():
        raise ValueError("a reason is a short line of text")
    return text
