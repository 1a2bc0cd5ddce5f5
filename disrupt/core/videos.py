"""Videos as frames sampled by time, for lookups and registrations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BYTES
from disrupt.core.media import FINGERPRINT, Profile
from disrupt.core.transforms import ENLARGED, PLANS, Dihedral, Transform

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
hash, whether that is distinctive and trustworthy (0 or 1), and the steps before hashing: mirrored
or turned, and cut (left, top, right, bottom). Versions of a frame follow each
other and have the same times; the frame as it is comes first."""

HELD_BYTES_MAX = 16 * 2**20
"""Most bytes that one lookup may hold of its frames and of the hits of these.

That is 50 000 frames of 5 versions that differ, or an hour of frames that a thousand items show.
"""


class Versions(IntEnum):
    """The versions of each frame that are hashed.

    Where players differ in how they turn a video, each version is also hashed as it is stored.
    """

    NONE = 0
    """For quick lookups: the frame as a player shows it."""
    STORED = 1
    """For registrations: the frame, and the frame without plain edges where the video has such."""
    SEARCHED = 2
    """For lookups: the frame and its mirror image, each with and without borders of any kind."""


HASHES_PER_HOUR = 2000
"""Most hashes that are stored for each hour of a video."""
_HASHES_ALWAYS = 240
"""Most hashes of a short video: enough for a minute of frames that all differ, four a second."""

_DISTINCT_BITS = (10, 14, 18, 22)
"""Distances within which two frames count as the same.

The first one is used, unless more frames are left than may be stored: then the next one.
"""

_UNEVEN = (5**0.5 - 1) / 2
"""Step, modulo 1, by which some of many frames are chosen: the golden ratio.

The chosen frames are spread evenly over the video, and share no period with what it repeats.
"""


@dataclass(frozen=True, slots=True, eq=False)
class VideoFingerprints:
    """Registered hashes of a video: ``fingerprints`` has dtype FINGERPRINT, shape (n,), n ≥ 1.

    ``frames`` were hashed, ``low_quality`` of them were too featureless or too regular.
    ``incomplete``: the file ended, or broke, before its end, or holds another video.
    """

    fingerprints: NDArray[np.void]
    frames: int
    low_quality: int
    incomplete: bool


def transform_of_frame(frame: np.void) -> Transform:
    """Return what was done to a frame, as a transform."""
    left, top, right, bottom = frame["crop_permille"].tolist()
    return Transform(Dihedral(int(frame["dihedral"])), left, top, right, bottom)


def fingerprints_of(frames: NDArray[np.void], *, small: bool) -> NDArray[np.void]:
    """Return the fingerprints to store, dtype FINGERPRINT, of frames.

    Frames have dtype FRAME, Versions.STORED, ascending.

    A frame whose versions are all near those of the frame stored before it extends that one's
    interval. Versions that are not usable are left out; a frame without any ends the interval
    before it. At most HASHES_PER_HOUR for each hour, and 240 at least: where there are more, frames
    count as near at up to 22 bits, and then some of them are left out, at uneven steps. ``small``:
    no frame has a side of over 512 px.
    """
    duration_ms = int(frames["end_ms"][-1]) if len(frames) else 0
    most_hashes = max(_HASHES_ALWAYS, HASHES_PER_HOUR * duration_ms // 3_600_000)
    for bits in _DISTINCT_BITS:
        kept = _pruned(frames, bits)
        if sum(len(rows) for rows, _ in kept) <= most_hashes:
            break
    # Even steps would keep the same picture every time where several alternate.
    order = np.argsort(np.arange(len(kept)) * _UNEVEN % 1)
    hashes = np.cumsum([len(kept[at][0]) for at in order])
    chosen = [kept[at] for at in np.sort(order[hashes <= most_hashes]).tolist()]
    rows = [row for rows, _ in chosen for row in rows]
    stored = np.zeros(len(rows), FINGERPRINT)
    for name in ("hash", "quality", "start_ms"):
        stored[name] = frames[name][rows]
    stored["end_ms"] = [end_ms for rows, end_ms in chosen for _ in rows]
    stored["profile"] = Profile.PDQ_512
    scale_side_px = ENLARGED.scale_side_px if small else 0
    whole, cut = (
        PLANS[0].index(Transform(scale_side_px=scale_side_px, plain_edges_cut=is_cut))
        for is_cut in (False, True)
    )
    stored["ordinal"] = np.where(frames["crop_permille"][rows].any(axis=1), cut, whole)
    return stored


def frames_of(rows: NDArray[np.void]) -> list[NDArray[np.void]]:
    """Split rows (dtype FRAME, ascending) into the versions of each frame."""
    firsts = np.flatnonzero(np.diff(rows["start_ms"].astype(np.int64), prepend=-1))
    return np.split(rows, firsts[1:])


def _pruned(frames: NDArray[np.void], bits: int) -> list[tuple[list[int], int]]:
    """Return for each moment the rows to store, and when it ends."""
    kept: list[tuple[list[int], int]] = []
    last: dict[tuple[bool, int], int] = {}
    rows: list[int] = []
    hashes = frames["hash"]
    cut = np.any(frames["crop_permille"], axis=1).tolist()
    versions = list(zip(cut, frames["dihedral"].tolist(), strict=True))
    is_last = np.append(np.diff(frames["start_ms"].astype(np.int64)) != 0, True)[: len(frames)]
    columns = (is_last.tolist(), frames["usable"].tolist(), frames["end_ms"].tolist())
    for row, (is_last_version, usable, end_ms) in enumerate(zip(*columns, strict=True)):
        if usable:
            rows.append(row)
        if not is_last_version:
            continue
        shown = {versions[at]: int.from_bytes(hashes[at].tobytes()) for at in rows}
        if rows and _near(shown, last, bits):
            kept[-1] = kept[-1][0], end_ms
        else:
            last = shown
            if rows:
                kept.append((rows, end_ms))
        rows = []
    return kept


def _near(
    shown: dict[tuple[bool, int], int], stored: dict[tuple[bool, int], int], bits: int
) -> bool:
    """Tell whether both are of the same versions and each pair is within ``bits``.

    Keys: whether the version is cut, and its dihedral.
    """
    if shown.keys() != stored.keys():
        return False
    return all((value ^ stored[version]).bit_count() <= bits for version, value in shown.items())
