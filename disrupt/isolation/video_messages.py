"""Messages between the server and a process that decodes videos, beside those of pictures.

Answers come from a process that untrusted media may have taken over: they are parsed as such.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from disrupt.core.transforms import Dihedral
from disrupt.core.videos import FRAME, Versions
from disrupt.hashing.decoding.videos import VideoLimits
from disrupt.isolation.messages import (
    Failed,
    OutOfMemory,
    Ready,
    Refused,
    pack_answer,
    unpack_answer,
)

ANSWER_BYTES_MAX = 4096

_BEGIN = struct.Struct("<BIBQQI")
_NUMBER = struct.Struct("<BQ")
_ENDED = struct.Struct("<B??")
_PERMILLE = 1000


class _Kind(IntEnum):
    """Kinds of messages, distinct from those of pictures' answers."""

    BEGIN = 100
    FED = 101
    FED_ALL = 102
    WANTED = 103
    FRAMES = 104
    ENDED = 105


@dataclass(frozen=True, slots=True)
class Begin:
    """A video to hash; it comes into the shared memory, from its beginning on."""

    interval_ms: int
    versions: Versions
    limits: VideoLimits


@dataclass(frozen=True, slots=True)
class Fed:
    """The first ``size_bytes`` are there; with ``whole`` they are the whole file."""

    size_bytes: int
    whole: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """The decoder reads from the byte ``position`` on."""

    position: int


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Versions of one frame: dtype FRAME, shape (n,), n ≥ 1."""

    rows: NDArray[np.void]


@dataclass(frozen=True, slots=True)
class Ended:
    """The video has ended. ``small``: no side of over 512 px; ``incomplete`` as of ``Video``."""

    small: bool
    incomplete: bool


Request: TypeAlias = "Begin | Fed"
Answer: TypeAlias = "Ready | Wanted | Frames | Ended | Refused | OutOfMemory | Failed"


def pack_request(request: Request) -> bytes:
    """Pack a request into a message."""
    match request:
        case Begin(interval_ms, versions, limits):
            sizes = (limits.max_pixels, limits.max_bytes, limits.max_duration_s)
            return _BEGIN.pack(_Kind.BEGIN, interval_ms, versions, *sizes)
        case Fed(size_bytes, whole):
            return _NUMBER.pack(_Kind.FED_ALL if whole else _Kind.FED, size_bytes)


def unpack_request(message: bytes) -> Request:
    """Unpack what ``pack_request`` packed."""
    if message[0] == _Kind.BEGIN:
        _, interval_ms, versions, *sizes = _BEGIN.unpack(message)
        return Begin(interval_ms, Versions(versions), VideoLimits(*sizes))
    kind, size_bytes = _NUMBER.unpack(message)
    return Fed(size_bytes, kind == _Kind.FED_ALL)


def pack_video_answer(answer: Answer) -> bytes:
    """Pack an answer into a message."""
    match answer:
        case Wanted(position):
            return _NUMBER.pack(_Kind.WANTED, position)
        case Frames(rows):
            return bytes([_Kind.FRAMES]) + rows.tobytes()
        case Ended(small, incomplete):
            return _ENDED.pack(_Kind.ENDED, small, incomplete)
        case picture_answer:
            return pack_answer(picture_answer)


def unpack_video_answer(message: bytes) -> Answer:
    """Unpack what ``pack_video_answer`` packed; ValueError for anything else."""
    try:
        match message[0]:
            case _Kind.WANTED:
                return Wanted(_NUMBER.unpack(message)[1])
            case _Kind.FRAMES:
                return Frames(_checked(np.frombuffer(message, FRAME, offset=1)))
            case _Kind.ENDED:
                return Ended(*_ENDED.unpack(message)[1:])
    except (IndexError, struct.error) as error:
        raise ValueError("no answer of a decoding process") from error
    match unpack_answer(message):
        case (Ready() | Refused() | OutOfMemory() | Failed()) as answer:
            return answer
        case _:
            raise ValueError("no answer of a process that decodes videos")


def _checked(rows: NDArray[np.void]) -> NDArray[np.void]:
    crop = rows["crop_permille"]
    if (
        not len(rows)
        or (rows["start_ms"] != rows["start_ms"][0]).any()
        or (rows["end_ms"] != rows["end_ms"][0]).any()
        or rows["end_ms"][0] < rows["start_ms"][0]
        or rows["quality"].max() > 100  # noqa: PLR2004 percent
        or rows["usable"].max() > 1
        or rows["dihedral"].max() > max(Dihedral)
        or (crop[:, :2].astype(np.uint32) + crop[:, 2:] >= _PERMILLE).any()
    ):
        raise ValueError("no versions of one frame")
    return rows
