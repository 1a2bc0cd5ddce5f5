"""Video files to hashes of frames, for registrations and lookups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from disrupt.core.media import LowQuality
from disrupt.core.transforms import Crop, Dihedral, turned_crop
from disrupt.core.videos import (
    FRAME,
    Versions,
    VideoFingerprints,
    fingerprints_of,
    frames_of,
)
from disrupt.hashing.decoding.video_luma import Luma
from disrupt.hashing.decoding.videos import (
    DEFAULT_LIMITS,
    SHORT_INTERVAL_MS,
    SHORT_MS,
    Video,
    VideoLimits,
)
from disrupt.hashing.pdq.linear import Hashed, hash_samples, reduced_samples
from disrupt.hashing.pdq.luma import SIDE_PX
from disrupt.hashing.selection import distinctive
from disrupt.hashing.videos.borders import Borders, Box

LOOKUP_INTERVAL_MS = 1000
REGISTRATION_INTERVAL_MS = 250
"""Registered frames are denser, and pruned, so that each frame of a lookup has one near it."""

_LATE = 8
"""Frames that are examined for borders before the first one is hashed without them."""


class _Entry(NamedTuple):
    """A sample: its pixels, and the hash of all of them, upright."""

    time_ms: int
    for_short_video: bool
    luma: Luma
    whole: Hashed


class VideoHashing:
    """A video that is being hashed: iterate it for the rows of one frame after another.

    Rows have dtype FRAME; the last frame's interval ends when the video does. Once it is through,
    ``incomplete`` is that of ``Video``. Errors as of ``Video``.
    """

    def __init__(
        self,
        file: BinaryIO,
        limits: VideoLimits = DEFAULT_LIMITS,
        *,
        interval_ms: int,
        versions: Versions,
        threads: int = 1,
    ) -> None:
        unedited = versions != Versions.STORED
        self._video = Video(file, limits, threads=threads, unedited=unedited)
        self._interval_ms = interval_ms
        self._versions = versions
        self._borders = Borders()
        self.small = True
        """True until a frame has a side of over 512 px."""

    @property
    def declared_ms(self) -> int:
        """Return the duration that the file declares; 0 where it declares none."""
        return self._video.declared_ms

    @property
    def incomplete(self) -> bool:
        """Tell whether the file ended or broke early, or holds another video."""
        return self._video.incomplete

    def __iter__(self) -> Iterator[NDArray[np.void]]:
        """Yield rows of each frame, a few frames late: later ones show its end, and the borders."""
        waiting: list[_Entry] = []
        for entry in self._chosen():
            if self._versions and not entry.for_short_video:
                self._borders.see(entry.luma.plane)
            waiting.append(entry)
            if self._interval_ms > SHORT_INTERVAL_MS and entry.time_ms < SHORT_MS:
                continue  # The video may end before SHORT_MS.
            waiting = [entry for entry in waiting if not entry.for_short_video]
            while len(waiting) > (_LATE if self._versions else 1):
                yield self._rows(waiting.pop(0), end_ms=waiting[0].time_ms)
        if self._video.end_ms > SHORT_MS:  # The loop had no later sample at which to drop these.
            waiting = [entry for entry in waiting if not entry.for_short_video]
        if self._versions:
            for entry in waiting:
                if entry.for_short_video:
                    self._borders.see(entry.luma.plane)
        while waiting:
            entry = waiting.pop(0)
            end_ms = max(self._video.end_ms, entry.time_ms)
            yield self._rows(entry, end_ms=waiting[0].time_ms if waiting else end_ms)

    def _chosen(self) -> Iterator[_Entry]:
        """Yield samples, each later one in its interval if it is not usable and that one is."""
        unusable: _Entry | None = None
        for sample in self._video.samples(self._interval_ms):
            if sample.substitute and not unusable:
                continue
            luma = sample.luma()
            whole = _hashed(luma, luma.orientation)
            scheduled = unusable if sample.substitute and unusable else sample
            entry = _Entry(sample.time_ms, scheduled.for_short_video, luma, whole)
            is_usable = bool(distinctive(whole))
            if sample.substitute:
                if is_usable:
                    unusable = None
                    yield entry
                continue
            if unusable:
                yield unusable
            unusable = None if is_usable else entry
            if is_usable:
                yield entry
        if unusable:
            yield unusable

    def _rows(self, entry: _Entry, *, end_ms: int) -> NDArray[np.void]:
        luma = entry.luma
        self.small &= max(luma.plane.shape) <= SIDE_PX
        views: list[tuple[Luma, Crop]] = [(luma, (0, 0, 0, 0))]
        turns = [Dihedral.IDENTITY]
        if luma.disputed or self._versions != Versions.STORED:
            turns.append(luma.orientation.inverse)  # as players show it that do not turn it
        if self._versions == Versions.STORED:
            views += [_cut(luma, box) for box in self._borders.plain()]
        elif self._versions == Versions.SEARCHED:
            turns += [turn.then(Dihedral.MIRROR) for turn in turns]
            views += [_cut(luma, box) for box in self._borders.boxes()]
        # Borders of larger frames that came later may leave nothing of this one.
        views = [(view, crop) for view, crop in views if view.plane.size]
        turns = list(dict.fromkeys(turns))
        rows = np.zeros(len(views) * len(turns), FRAME)
        rows["start_ms"], rows["end_ms"] = entry.time_ms, end_ms
        for row, ((view, crop), turn) in zip(rows, product(views, turns), strict=True):
            hashed = entry.whole
            if view is not luma or turn:
                hashed = _hashed(view, view.orientation.then(turn))
            row["hash"], row["quality"] = hashed.hashes, hashed.qualities
            row["dihedral"], row["crop_permille"] = turn, crop
            row["usable"] = distinctive(hashed)
        return rows


def hash_video(
    file: BinaryIO,
    limits: VideoLimits = DEFAULT_LIMITS,
    *,
    interval_ms: int = LOOKUP_INTERVAL_MS,
    versions: bool = True,
    watched: Callable[[int, int], None] = lambda _time_ms, _declared_ms: None,
) -> tuple[NDArray[np.void], bool]:
    """Hash the frames of a video file for a lookup: dtype FRAME, and whether it is incomplete.

    For one's own files, in this process and on all cores. ``watched`` gets the position
    reached and the duration that the video declares (0: none), both in ms. Errors as of
    ``Video``.
    """
    hashing = VideoHashing(
        file,
        limits,
        interval_ms=interval_ms,
        versions=Versions.SEARCHED if versions else Versions.NONE,
        threads=0,
    )
    return _all(hashing, watched), hashing.incomplete


def fingerprint_video(
    file: BinaryIO,
    limits: VideoLimits = DEFAULT_LIMITS,
    *,
    watched: Callable[[int, int], None] = lambda _time_ms, _declared_ms: None,
) -> VideoFingerprints | LowQuality:
    """Fingerprint a video file for registration; otherwise as ``hash_video``."""
    hashing = VideoHashing(
        file, limits, interval_ms=REGISTRATION_INTERVAL_MS, versions=Versions.STORED, threads=0
    )
    frames = _all(hashing, watched)
    return fingerprints(frames, small=hashing.small, incomplete=hashing.incomplete)


def fingerprints(
    frames: NDArray[np.void], *, small: bool, incomplete: bool
) -> VideoFingerprints | LowQuality:
    """Choose the fingerprints to register of frames (FRAME, Versions.STORED, at least one)."""
    stored = fingerprints_of(frames, small=small)
    if not len(stored):
        return LowQuality(
            int(frames["quality"].max()), advice="No frame of this video shows enough detail."
        )
    usable = [bool(versions["usable"].any()) for versions in frames_of(frames)]
    return VideoFingerprints(stored, len(usable), usable.count(False), incomplete)


def _all(hashing: VideoHashing, watched: Callable[[int, int], None]) -> NDArray[np.void]:
    frames = []
    for rows in hashing:
        frames.append(rows)
        watched(int(rows["end_ms"][0]), hashing.declared_ms)
    return np.concatenate(frames)


def _hashed(luma: Luma, orientation: Dihedral) -> Hashed:
    height_px, width_px = luma.plane.shape
    samples = reduced_samples(
        lambda top, bottom: luma.plane[top:bottom], width_px, height_px, orientation
    )
    return hash_samples(samples * np.float32(luma.gain))


def _cut(luma: Luma, box: Box) -> tuple[Luma, Crop]:
    """Cut the borders off; return also the crop of the shown frame, in thousandths."""
    height, width = luma.plane.shape
    inner = luma.plane[
        round(box.top * height) : round((1 - box.bottom) * height),
        round(box.left * width) : round((1 - box.right) * width),
    ]
    left, top, right, bottom = (round(1000 * side) for side in box)
    crop = turned_crop((left, top, right, bottom), luma.orientation)
    return replace(luma, plane=inner), crop
