"""Video files to hashes of frames: what is registered, and what is looked up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import MIN_QUALITY
from disrupt.core.media import LowQuality
from disrupt.core.transforms import ENLARGED, IDENTITY, PLANS, Dihedral
from disrupt.core.videos import FRAME, VideoFingerprints, fingerprints_of
from disrupt.hashing.images import MAX_UNDECIDED_BITS
from disrupt.hashing.luma import SIDE_PX
from disrupt.hashing.pdq import hash_samples, reduced_samples
from disrupt.hashing.video_decode import DEFAULT_LIMITS, Sample, Video, VideoLimits

LOOKUP_INTERVAL_MS = 1000
REGISTRATION_INTERVAL_MS = 250
"""Registered frames are denser, and pruned: a lookup then meets one near to each of its own."""


class VideoHashing:
    """A video that is being hashed: iterate it for the rows of one frame after another.

    Rows have dtype FRAME; the last frame's interval ends when the video does. ``versions``, for
    lookups: each frame also mirrored. Once it is through, ``incomplete`` says that the file ended,
    or broke, before its end. Errors as of ``Video``.
    """

    def __init__(
        self,
        file: BinaryIO,
        limits: VideoLimits = DEFAULT_LIMITS,
        *,
        interval_ms: int,
        versions: bool,
        threads: int = 1,
    ) -> None:
        self._video = Video(file, limits, threads=threads)
        self._interval_ms = interval_ms
        self._turns = (Dihedral.IDENTITY, Dihedral.MIRROR) if versions else (Dihedral.IDENTITY,)
        self.small = True
        """Whether no frame had a side of over 512 px."""

    @property
    def declared_ms(self) -> int:
        """How long the file says that it lasts; 0 where it does not."""
        return self._video.declared_ms

    @property
    def incomplete(self) -> bool:
        """Whether the file ended, or broke, before its end."""
        return self._video.incomplete

    def __iter__(self) -> Iterator[NDArray[np.void]]:
        """Rows of each frame, one frame late: its interval ends where the next one's begins."""
        last: NDArray[np.void] | None = None
        for sample in self._video.samples(self._interval_ms):
            if last is not None:
                last["end_ms"] = sample.time_ms
                yield last
            last = self._rows(sample)
        if last is not None:
            last["end_ms"] = max(self._video.end_ms, int(last["start_ms"][0]))
            yield last

    def _rows(self, sample: Sample) -> NDArray[np.void]:
        shown = sample.shown
        self.small &= max(shown.width_px, shown.height_px) <= SIDE_PX
        rows = np.zeros(len(self._turns), FRAME)
        rows["start_ms"] = sample.time_ms
        for row, turn in zip(rows, self._turns, strict=True):
            samples = reduced_samples(
                shown.luma, shown.width_px, shown.height_px, _then(shown.orientation, turn)
            )
            hashed = hash_samples(samples * np.float32(sample.gain))
            row["hash"], row["quality"], row["dihedral"] = hashed.hashes, hashed.qualities, turn
            row["usable"] = (
                hashed.qualities >= MIN_QUALITY and hashed.undecided_bits <= MAX_UNDECIDED_BITS
            )
        return rows


def hash_video(
    file: BinaryIO,
    limits: VideoLimits = DEFAULT_LIMITS,
    *,
    interval_ms: int = LOOKUP_INTERVAL_MS,
    watched: Callable[[int, int], None] = lambda _time_ms, _declared_ms: None,
) -> tuple[NDArray[np.void], bool]:
    """Frames of a video file for a lookup, dtype FRAME, and whether it is incomplete.

    For one's own files, in this process and on all cores. ``watched`` is told where the work is,
    and how long the video says that it lasts (0: it does not say), both in ms. Errors as of
    ``Video``.
    """
    hashing = VideoHashing(file, limits, interval_ms=interval_ms, versions=True, threads=0)
    return _all(hashing, watched), hashing.incomplete


def fingerprint_video(
    file: BinaryIO,
    limits: VideoLimits = DEFAULT_LIMITS,
    *,
    watched: Callable[[int, int], None] = lambda _time_ms, _declared_ms: None,
) -> VideoFingerprints | LowQuality:
    """Fingerprints of a video file for registration; otherwise as ``hash_video``."""
    hashing = VideoHashing(
        file, limits, interval_ms=REGISTRATION_INTERVAL_MS, versions=False, threads=0
    )
    frames = _all(hashing, watched)
    return fingerprints(frames, small=hashing.small, incomplete=hashing.incomplete)


def fingerprints(
    frames: NDArray[np.void], *, small: bool, incomplete: bool
) -> VideoFingerprints | LowQuality:
    """What is registered of frames (dtype FRAME, one version each, at least one)."""
    ordinal = PLANS[0].index(ENLARGED if small else IDENTITY)
    stored = fingerprints_of(frames, ordinal=ordinal)
    if not len(stored):
        return LowQuality(
            int(frames["quality"].max()), advice="No frame of this video shows enough detail."
        )
    low_quality = len(frames) - int(frames["usable"].sum())
    return VideoFingerprints(stored, len(frames), low_quality, incomplete)


def _all(hashing: VideoHashing, watched: Callable[[int, int], None]) -> NDArray[np.void]:
    frames = []
    for rows in hashing:
        frames.append(rows)
        watched(int(rows["end_ms"][0]), hashing.declared_ms)
    return np.concatenate(frames)


def _then(first: Dihedral, turn: Dihedral) -> Dihedral:
    """The first, then another that is no turn or a mirroring."""
    if turn == Dihedral.IDENTITY:
        return first
    mirrored, quarters = divmod(int(first), 4)
    return Dihedral(4 * (1 - mirrored) + -quarters % 4)
