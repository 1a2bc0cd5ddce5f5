"""Videos as frames sampled by time: what is looked up, and what of it is registered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BYTES
from disrupt.core.media import FINGERPRINT, Profile
from disrupt.core.transforms import Dihedral, Transform

FRAME = np.dtype(
    [
        ("start_ms", "<u4"),
        ("end_ms", "<u4"),
        ("hash", np.uint8, HASH_BYTES),
        ("quality", np.uint8),
        ("usable", np.uint8),
        ("dihedral", np.uint8),
        ("crop_permille", "<u2", 4),
    ]
)
"""One version of one sampled frame, 51 bytes without padding: the time that it stands for, its
hash, whether that can be told from others and be trusted (0 or 1), and what was done to the frame
before: mirrored or turned, and cut (left, top, right, bottom). Versions of a frame follow each
other and have the same times; the frame as it is comes first."""

HASHES_PER_HOUR = 2000
_HASHES_ALWAYS = 240
"""Hashes that a video of any length may have: a minute of frames that all differ."""

_DISTINCT_BITS = (10, 14, 18, 22)
"""How far apart frames are to be that are stored as two; more where there are too many of them."""

_UNEVEN = (5**0.5 - 1) / 2
"""Multiples of the golden ratio are spread evenly over the time, and meet no period in it."""


@dataclass(frozen=True, slots=True, eq=False)
class VideoFingerprints:
    """What is registered of a video: ``fingerprints`` has dtype FINGERPRINT, shape (n,), n ≥ 1.

    ``frames`` were hashed, ``low_quality`` of them were too featureless or too regular.
    ``incomplete``: the file ended, or broke, before its end.
    """

    fingerprints: NDArray[np.void]
    frames: int
    low_quality: int
    incomplete: bool


def transform_of_frame(frame: np.void) -> Transform:
    """What was done to a frame, as a transform."""
    left, top, right, bottom = frame["crop_permille"].tolist()
    return Transform(Dihedral(int(frame["dihedral"])), left, top, right, bottom)


def fingerprints_of(frames: NDArray[np.void], *, ordinal: int) -> NDArray[np.void]:
    """What is stored of frames (dtype FRAME, one version each, ascending): dtype FINGERPRINT.

    A frame that is near to the one stored before it widens that one's interval. Frames that are not
    usable are left out, and end the interval before them. At most HASHES_PER_HOUR for each hour,
    and 240 at least: where there are more, frames count as near at up to 22 bits, and then some of
    them are left out, at uneven steps.
    """
    duration_ms = int(frames["end_ms"][-1]) if len(frames) else 0
    most = max(_HASHES_ALWAYS, HASHES_PER_HOUR * duration_ms // 3_600_000)
    for bits in _DISTINCT_BITS:
        kept, ends_ms = _pruned(frames, bits)
        if len(kept) <= most:
            break
    if len(kept) > most:
        # even steps would meet the same picture every time where several take turns
        order = np.argsort(np.arange(len(kept)) * _UNEVEN % 1)
        some = np.sort(order[:most]).tolist()
        kept, ends_ms = [kept[at] for at in some], [ends_ms[at] for at in some]
    stored = np.zeros(len(kept), FINGERPRINT)
    for name in ("hash", "quality", "start_ms"):
        stored[name] = frames[name][kept]
    stored["end_ms"] = ends_ms
    stored["profile"] = Profile.PDQ_512
    stored["ordinal"] = ordinal
    return stored


def _pruned(frames: NDArray[np.void], bits: int) -> tuple[list[int], list[int]]:
    """Rows to store, and where their intervals end."""
    kept: list[int] = []
    ends_ms: list[int] = []
    last: int | None = None
    columns = (frames["hash"], frames["usable"].tolist(), frames["end_ms"].tolist())
    for row, (value, usable, end_ms) in enumerate(zip(*columns, strict=True)):
        if not usable:
            last = None
            continue
        one = int.from_bytes(value.tobytes())
        if last is not None and (last ^ one).bit_count() <= bits:
            ends_ms[-1] = end_ms
        else:
            last = one
            kept.append(row)
            ends_ms.append(end_ms)
    return kept, ends_ms
