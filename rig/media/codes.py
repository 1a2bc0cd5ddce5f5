"""Media items near to and far from each other, and answers by brute force."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from disrupt.core.changes import Cursor
from disrupt.core.hashes import HASH_BITS, distances_bits
from disrupt.core.media import FINGERPRINT, NOT_NARROWED, Assurance, MediaKind, StoredItem
from disrupt.index import manifest as manifests
from disrupt.index.columns import Columns, Hits, columns_of
from disrupt.index.generations import publish
from disrupt.index.live import LiveIndex
from disrupt.index.nearest import same_limits
from disrupt.index.snapshot import Snapshot

EPOCH = bytes(range(16))


@dataclass(frozen=True)
class Unmarked:
    """A history of changes without marks, up to a sequence of one epoch."""

    epoch: bytes
    sequence: int

    def knows(self, cursor: Cursor) -> bool:
        """Tell whether a cursor is of this history."""
        return cursor == Cursor(self.epoch, cursor.sequence) and cursor.sequence <= self.sequence

    def lacks(self) -> None:
        """Nothing is noted beside it."""


HEAD = Unmarked(EPOCH, 2**40)

Answer = tuple[int, ...]
"""query, distance, number, id, bank, kind, assurance, profile, plan, ordinal, start_ms, end_ms"""

Codes = NDArray[np.uint8]


def random_codes(count: int, seed: int = 0) -> Codes:
    """Return random hashes, uint8 (count, 32)."""
    return np.random.default_rng(seed).integers(0, 256, (count, 32), np.uint8)


def flipped(code: Codes, bits: int, seed: int = 0) -> Codes:
    """Return a code exactly ``bits`` away."""
    places = np.random.default_rng(seed).permutation(HASH_BITS)[:bits]
    mask = np.zeros(HASH_BITS, np.uint8)
    mask[places] = 1
    return code ^ np.packbits(mask)


def item(number: int, codes: Codes, bank: int = 1) -> StoredItem:
    """Return an item whose every column differs from those of its neighbours."""
    rng = np.random.default_rng(number)
    fingerprints = np.zeros(len(codes), FINGERPRINT)
    fingerprints["hash"] = codes
    fingerprints["quality"] = 100
    fingerprints["profile"] = rng.integers(0, 3, len(codes))
    fingerprints["plan"] = rng.integers(0, 2**16, len(codes))
    fingerprints["ordinal"] = np.arange(len(codes))
    fingerprints["start_ms"] = rng.integers(0, 2**32, len(codes))
    fingerprints["end_ms"] = rng.integers(0, 2**32, len(codes))
    return StoredItem.of(
        number,
        rng.bytes(16),
        bank,
        MediaKind(1 + number % 2),
        Assurance(1 + number % 3),
        fingerprints,
    )


def some_below_bits(count: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return narrowings of which half are none, and others answer the code at no distance."""
    below_bits = rng.integers(0, 80, count, np.uint8)
    below_bits[rng.random(count) < 0.5] = NOT_NARROWED
    return below_bits


def narrowed(stored: StoredItem, seed: int) -> StoredItem:
    """Return the item with another narrowing."""
    rng = np.random.default_rng(seed)
    return replace(stored, below_bits=some_below_bits(len(stored.fingerprints), rng))


def some_items(count: int, first: int = 1, hashes: int = 2) -> list[StoredItem]:
    """Return items with random hashes, numbered from ``first`` on."""
    return [item(number, random_codes(hashes, number)) for number in range(first, first + count)]


def answers(hits: Hits) -> list[Answer]:
    """Return hits as sorted rows; they must come ordered by query, distance and number."""
    item_ids = [int.from_bytes(item_id.tobytes()) for item_id in hits.item_id]
    columns = (
        hits.query,
        hits.distance,
        hits.number,
        np.array(item_ids, object),
        hits.bank,
        hits.kind,
        hits.assurance,
        hits.profile,
        hits.plan,
        hits.ordinal,
        hits.start_ms,
        hits.end_ms,
    )
    rows: list[Answer] = list(zip(*(column.tolist() for column in columns), strict=True))
    order = [row[:3] for row in rows]
    assert order == sorted(order)
    return sorted(rows)


def search(live: LiveIndex, queries: Codes, max_distance_bits: int) -> Hits:
    """Find the nearest hash of every item within a distance, in whatever bank."""
    limits_bits = same_limits(max_distance_bits)
    return live.search(queries, max_distance_bits, limits_bits, most_items=10**6).hits


def brute_force(
    items: Iterable[StoredItem], queries: Codes, max_distance_bits: int
) -> list[Answer]:
    """Return what ``search`` must answer, by comparing every hash."""
    hits: list[Answer] = []
    for stored in items:
        distances = distances_bits(queries[:, None], stored.fingerprints["hash"][None])
        narrow = stored.below_bits != NOT_NARROWED
        distances[narrow & (distances >= stored.below_bits)] = HASH_BITS + 1
        for query, row in enumerate(distances.argmin(axis=1).tolist()):
            if distances[query, row] > max_distance_bits:
                continue
            fingerprint = stored.fingerprints[row]
            hits.append(
                (
                    query,
                    int(distances[query, row]),
                    stored.number,
                    int.from_bytes(stored.item_id),
                    stored.bank,
                    stored.kind,
                    stored.assurance,
                    *(int(fingerprint[name]) for name in _SHOWN),
                )
            )
    return sorted(hits)


def blocks(items: Iterable[StoredItem]) -> Iterator[Columns]:
    """Yield items as columns, at most 4096 items each."""
    left = iter(items)
    while some := list(islice(left, 4096)):
        yield columns_of(some)


def published(index_dir: Path, items: Sequence[StoredItem], sequence: int) -> Snapshot:
    """Publish a generation that holds items."""
    return publish(index_dir, blocks(items), Cursor(EPOCH, sequence))


@st.composite
def near_codes(draw: st.DrawFn, max_size: int = 12) -> Codes:
    """Draw codes 0-70 bits from few centres, so on all sides of a threshold."""
    middles = random_codes(3, seed=7)
    chosen = draw(
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, 70), st.integers(0, 3)),
            min_size=1,
            max_size=max_size,
        )
    )
    return np.stack([flipped(middles[middle], bits, seed) for middle, bits, seed in chosen])


_SHOWN = ("profile", "plan", "ordinal", "start_ms", "end_ms")

thresholds = st.integers(0, 63) | st.sampled_from([0, 31, 63, 255, 256])


def rewrite_manifest(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest as its writer would, so that its checksum fits."""
    body = json.loads((path / "manifest.json").read_text())
    del body["checksum"]
    change(body)
    body["checksum"] = manifests._checksum(body)  # noqa: SLF001 as its writer does
    (path / "manifest.json").write_text(json.dumps(body, indent=2) + "\n")


def damage(path: Path, *, later_ns: int = 0) -> None:
    """Change a bit of a file in place, as a failing disk does, or so much later a process."""
    status, content = path.stat(), path.read_bytes()
    with path.open("r+b") as file:
        file.write(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + later_ns))
