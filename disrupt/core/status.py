"""Contents of an index, and the limits of the server that searches it."""

from __future__ import annotations

from dataclasses import dataclass

from disrupt.core.changes import Cursor


@dataclass(frozen=True, slots=True)
class IndexStatus:
    """Counts of what can match now.

    ``items`` and ``hashes`` in all, ``delta_hashes`` among them added since the snapshot, in so
    many ``segments``; ``tombstones``: items of the snapshot removed since.
    """

    generation: int
    cursor: Cursor
    items: int
    hashes: int
    delta_hashes: int
    segments: int
    tombstones: int
    engine: str


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a server."""

    message_bytes: int
    image_pixels: int
    hashes_per_lookup: int
    items_per_registration: int
    hashes_per_item: int
    items_per_case: int
    hashes_per_registration: int
    video_bytes: int
    video_pixels: int
    video_seconds: int
