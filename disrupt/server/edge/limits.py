"""Limits of what a call may send, derived from the configuration, with their reasons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from disrupt.core.videos import HELD_BYTES_MAX
from disrupt.server.config import Config
from disrupt.server.edge.shares import Capacities, Resource

CHUNK_BYTES_MAX = 1 << 20
"""Largest part of a video's file, which the server holds while a slow client sends it."""

FRAMES_MAX = 100_000
"""Most hashes of frames in one lookup by video: 27 hours at one a second."""

RECEIVE_WITHIN_S = 20.0
"""Longest that the only message of a call may take to arrive: the largest picture needs 14 Mbit/s,
one of 3 MB 1.2."""

FINGERPRINT_BYTES = 64
"""A hash with its columns: 55 bytes where each number is the largest, and none is packed."""
_ITEM_BYTES = 64
"""Bytes that a media item adds to its fingerprints, with room for fields to come."""

_LEAST_PACE_S = 1e-6

_READS = 64
"""Messages that are slow to arrive in one worker: a caller alone may have 32, and gRPC holds up to
``max_message_bytes`` of each."""
_BATCHES = 32
"""Batches of the largest size that are searched, or wait for it, in one worker."""
_ANSWER_BYTES = 256 * 2**20
"""A batch in which everything matches has an answer of 5 MB."""
_WRITES = 128
"""Calls at the writer. If all of them open cases the last waits 3 s, for 22 ms a PIN."""
_REGISTRATIONS = 8
"""Registrations of the largest size at the writer, which holds each about three times."""


WAIT_S = {Resource.PICTURES: 0.5, Resource.VIDEOS: 20.0}
"""Longest that the pictures or videos of a caller alone may wait for a decoder. With others, who
have more together, it is up to twice as long."""


class Queue(Protocol):
    """Calls that wait for a thread or a decoder."""

    @property
    def waiting(self) -> int:
        """Number of calls that wait."""

    @property
    def pace_s(self) -> float:
        """Time by which each of them delays those behind it."""


def by_delay(resource: Resource, queue: Queue, at_once: int) -> Callable[[], int]:
    """Return how much there is of a resource that waits in a queue, as a function.

    ``at_once`` of it are worked on; of the others as many may wait as keeps to WAIT_S, and at least
    one. It is twice that, so that a caller alone has that.
    """
    most_s = WAIT_S[resource]

    def capacity() -> int:
        pace_s = max(queue.pace_s, _LEAST_PACE_S)
        return 2 * (at_once + max(int(most_s / pace_s), 1))

    return capacity


def capacities(config: Config) -> Capacities:
    """Derive how much there is of each resource in one process."""
    return {
        Resource.CALLS: config.max_concurrent_calls,
        Resource.READS: _READS,
        Resource.HASHES: config.max_hashes_per_lookup * _BATCHES,
        # twice what the settings name, so that a caller alone has that
        Resource.PICTURES: 2 * (config.hashing_workers + config.hashing_queue),
        Resource.VIDEOS: 2 * (config.video_workers + config.video_queue),
        # so that a caller alone has one of the largest lookups
        Resource.VIDEO_BYTES: 2 * HELD_BYTES_MAX,
        Resource.ANSWER_BYTES: _ANSWER_BYTES,
        Resource.WRITES: _WRITES,
        Resource.WRITTEN_BYTES: _REGISTRATIONS * registration_bytes(config),
    }


def registration_bytes(config: Config) -> int:
    """Return the most bytes of the items of one registration."""
    return (
        config.max_items_per_registration * _ITEM_BYTES
        + config.max_hashes_per_registration * FINGERPRINT_BYTES
    )
