"""Make videos of random hashes, and look frames up among them."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np

from disrupt.core.changes import Addition, Cursor
from disrupt.core.lookups import VideoMatch, VideoMatches, VideoOptions
from disrupt.core.media import FINGERPRINT, Assurance, MediaKind, StoredItem
from disrupt.core.own_disputes import OwnDisputes
from disrupt.core.policy import ADULTS, Scope
from disrupt.core.videos import FRAME, fingerprints_of
from disrupt.index.generations import publish
from disrupt.index.live import LiveIndex
from disrupt.services.matching import Allowance
from disrupt.services.video_matching import (
    VideoLookup,
)

STEP_MS = 250
SCOPE = Scope({ADULTS.number: 31})
Codes: TypeAlias = "np.ndarray"
Find: TypeAlias = "Callable[..., VideoMatches]"


def shown(seed: int, seconds: float) -> Codes:
    """Return hashes of a video every 250 ms: 6 bits from the one before, a cut every 4 s."""
    chance = np.random.default_rng(seed)
    count = round(1000 * seconds / STEP_MS)
    changes = np.zeros((count, 256), np.uint8)
    for at, row in enumerate(changes):
        row[chance.permutation(256)[: 128 if at % 16 == 0 else 6]] = 1
    changes[0] ^= chance.integers(0, 2, 256, np.uint8)
    return np.packbits(np.bitwise_xor.accumulate(changes), axis=1)


def noisy(codes: Codes, bits: int, seed: int = 0) -> Codes:
    """Return codes ``bits`` bits away from these."""
    masks = np.zeros((len(codes), 256), np.uint8)
    masks[:, :bits] = 1
    return codes ^ np.packbits(np.random.default_rng(seed).permuted(masks, axis=1), axis=1)


def frames(codes: Codes, step_ms: float = STEP_MS) -> np.ndarray:
    rows = np.zeros(len(codes), FRAME)
    rows["hash"] = codes
    rows["usable"], rows["quality"] = 1, 100
    rows["start_ms"] = np.arange(len(codes)) * step_ms
    rows["end_ms"] = rows["start_ms"] + round(step_ms)
    return rows


def video(number: int, codes: Codes, bank: int = ADULTS.number) -> StoredItem:
    stored = fingerprints_of(frames(codes), small=False)
    return item(number, stored, MediaKind.VIDEO, bank)


def picture(number: int, code: Codes) -> StoredItem:
    stored = np.zeros(1, FINGERPRINT)
    stored["hash"] = code
    return item(number, stored, MediaKind.IMAGE)


def item(number: int, stored: np.ndarray, kind: MediaKind, bank: int = ADULTS.number) -> StoredItem:
    return StoredItem.of(number, number.to_bytes(16), bank, kind, Assurance.SELF_REPORTED, stored)


def sampled(codes: Codes, first: int = 0) -> Codes:
    """Return every fourth code, as a lookup takes one a second."""
    return codes[first::4]


def looking(
    live: LiveIndex,
    scope: Scope = SCOPE,
    options: VideoOptions | None = None,
    own: OwnDisputes | None = None,
) -> VideoLookup:
    return VideoLookup(live, scope, options or VideoOptions(), Allowance(math.inf), own or {})


def indexed(directory: Path, *items: StoredItem) -> LiveIndex:
    live = LiveIndex(publish(directory, [], Cursor(bytes(16), 0)))
    live.apply(
        [Addition(stored.number, stored) for stored in items],
        Cursor(bytes(16), max(len(items), 1) * 1000),
    )
    return live


def only(answer: VideoMatches) -> VideoMatch:
    (match,) = answer.matches
    return match


def edges(match: VideoMatch) -> list[tuple[float, float, float, float]]:
    """Return the segments, in seconds."""
    return [
        (
            segment.query_start_ms / 1000,
            segment.query_end_ms / 1000,
            segment.stored_start_ms / 1000,
            segment.stored_end_ms / 1000,
        )
        for segment in match.segments
    ]


def numbers_of(answer: VideoMatches) -> list[int]:
    return sorted(match.item_id[-1] for match in answer.matches)


def own_numbers_of(answer: VideoMatches) -> list[int]:
    """Return the items that match by more than a scene that many videos have."""
    return sorted(match.item_id[-1] for match in answer.matches if not match.common_only)


def peak_bytes(call: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def crowded(number: int, kind: MediaKind, hashes: int, times: str, bits: int) -> StoredItem:
    """Return an item of hashes ``bits`` from one code, as an old server stored them."""
    stored = np.zeros(hashes, FINGERPRINT)
    stored["hash"] = noisy(np.repeat(shown(1, 1)[:1], hashes, axis=0), bits, number)
    at = np.arange(hashes)
    if times == "unordered":
        at = np.random.default_rng(number).permutation(hashes)
    if times != "equal":
        stored["start_ms"] = at * (1 if times == "overlapping" else 2000)
    stored["end_ms"] = stored["start_ms"] + (5000 if times == "overlapping" else 1000)
    return item(number, stored, kind)


def flipped(code: Codes, first: int, bits: int) -> Codes:
    """So many bits away, from this one on."""
    mask = np.zeros(256, np.uint8)
    mask[first : first + bits] = 1
    return code ^ np.packbits(mask)
