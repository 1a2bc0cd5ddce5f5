"""Hash a person's files, pictures and videos, on their device."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from disrupt.client.media import open_media, read_whole, shows_video
from disrupt.core.media import LowQuality, MediaKind, columns
from disrupt.core.registrations import MediaItem
from disrupt.errors import DisruptError, InvalidMediaError, OverloadedError
from disrupt.hashing import ImageFingerprints
from disrupt.hashing.videos.frames import fingerprint_video
from disrupt.submission.results import Rejected

_REASONS = {"TOO_MANY_FRAMES", "NO_VIDEO_DECODER", "NO_HEIC_DECODER"}
"""Causes that are reported as reasons, too."""


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file with its fingerprints.

    ``incomplete`` marks a video that ends early, is broken or is not alone in its
    file, ``first_frame_only`` one of several frames, pages or pictures of which a single
    one is fingerprinted.
    """

    source: str
    item: MediaItem
    incomplete: bool = False
    first_frame_only: bool = False


@dataclass(frozen=True, slots=True)
class Hashing:
    """Settings with which files are hashed."""

    picture: Callable[[bytes], ImageFingerprints | LowQuality]
    within: Callable[[int, int], None]
    rejected: list[Rejected]

    def each(self, sources: Iterable[str]) -> Iterator[Hashed]:
        """Yield files with their fingerprints; those that have none go to ``rejected``."""
        for source in sources:
            try:
                hashed = self._hashed(source)
            except DisruptError as error:
                self.rejected.append(_rejected(source, error))
                continue
            if isinstance(hashed, LowQuality):
                self.rejected.append(too_plain(source, hashed))
            else:
                yield hashed

    def _hashed(self, source: str) -> Hashed | LowQuality:
        with open_media(source) as file:
            if shows_video(file):
                video = fingerprint_video(file, watched=self.within)
                if isinstance(video, LowQuality):
                    return video
                item = MediaItem(MediaKind.VIDEO, video.fingerprints)
                return Hashed(source, item, video.incomplete)
            picture = self.picture(read_whole(file))
        if isinstance(picture, LowQuality):
            return picture
        item = MediaItem(picture.kind, columns(picture.fingerprints))
        return Hashed(source, item, first_frame_only=picture.frames_left > 0)


def _rejected(source: str, error: DisruptError) -> Rejected:
    """Describe a file that could not be hashed; pictures and videos have different advice."""
    cause = error.metadata.get("cause", "")
    reason = cause if cause in _REASONS else error.reason
    if isinstance(error, InvalidMediaError) and error.violations[0].field == "video":
        reason = "INVALID_VIDEO"
        cause = cause and f"VIDEO_{cause}"
    if isinstance(error, OverloadedError):
        cause = "NO_MEMORY"
    return Rejected(source, reason, error.message, cause=_obstacle(source) or cause)


def _obstacle(source: str) -> str:
    """Name what keeps a path from being read as a file; empty if nothing does."""
    if not source:
        return "UNNAMED"
    try:
        status = Path(source).stat()
    except (FileNotFoundError, NotADirectoryError):
        return "MISSING"
    except (OSError, ValueError):
        return "UNREADABLE"
    if stat.S_ISDIR(status.st_mode):
        return "FOLDER"
    if not stat.S_ISREG(status.st_mode) or not os.access(source, os.R_OK):
        return "UNREADABLE"
    return "" if status.st_size else "EMPTY"


def too_plain(source: str, low: LowQuality) -> Rejected:
    """Describe a file whose hashes would be of low quality, or of too regular a picture."""
    cause = "TOO_REGULAR" if low.is_too_regular else ""
    return Rejected(source, "LOW_QUALITY", low.message, low.quality, cause)
