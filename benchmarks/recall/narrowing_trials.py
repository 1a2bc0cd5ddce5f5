"""Compare copies, decoys and alike pictures with each stored version, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.recall.decoys import decoy, mean_change
from benchmarks.recall.kinds import drawn
from benchmarks.recall.originals import Photograph, encoded
from benchmarks.recall.recall_trials import Task, edited, register
from disrupt.core.hashes import MAX_DISTANCE_BITS, stack
from disrupt.core.lookups import Effort, Extent, extent_of
from disrupt.core.media import Fingerprint, LowQuality
from disrupt.core.transforms import PLANS
from disrupt.distinctiveness.limits import limits_bits
from disrupt.hashing import ImageFingerprints, fingerprint_image, hash_image
from rig.media.layouts import Pixels

FAR_BITS = 255
"""Distance of hashes that are nearer, but match nothing there by their own limit."""

_INNOCENT_PX = 640
_INNOCENT_QUALITY = 85


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Hashes of the versions of an item, uint8 (n, 32), and which show the whole, bool (n,)."""

    codes: NDArray[np.uint8]
    whole: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """A copy by an edit: the nearest distance to each version of its item, in bits, uint8 (n,)."""

    edit: str
    number: int
    nearest: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Decoy:
    """A picture changed to be within ``bits`` of a version, as a platform looks it up.

    ``target`` is the version's index. ``nearest_bits`` is its distance from it, ``versions`` counts
    the versions of the item that it matches, ``mean_change`` is of 255.
    """

    photograph: str
    target: int
    innocent: str
    bits: int
    nearest_bits: int
    versions: int
    mean_change: float


@dataclass(frozen=True, slots=True)
class Work:
    """Plan of the trials of each photograph.

    ``targets`` versions of it are approached by decoys of ``innocents`` others, at each of
    ``bits``.
    """

    photographs: dict[str, Photograph]
    edits: tuple[str, ...]
    trials: int
    targets: int
    innocents: int
    bits: tuple[int, ...]
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Items of a photograph, each with its copies; decoys for the first, and its lookup."""

    items: list[tuple[Stored, list[Copy]]]
    decoys: list[Decoy]
    queries: NDArray[np.uint8]


def run(name: str, work: Work) -> Result:
    """Do the work for the photograph of a name."""
    originals = register(work.photographs[name])
    if not originals:
        return Result([], [], stack([]))
    items: dict[int, tuple[Stored, list[Copy]]] = {
        original.number: (_stored(original.fingerprints), []) for original in originals
    }
    for edit in work.edits:
        task = Task(edit, name, tuple(range(work.trials)), work.seed)
        for at in task.numbers:
            original, data, _ = edited(task, at, work.photographs, originals)
            stored, copies = items[original.number]
            copies.append(Copy(edit, at, nearest_bits(_looked_up(data), stored.codes)))
    first = originals[0].number
    decoys = list(_decoys(name, items[first][0], work))
    queries = _looked_up(encoded(work.photographs[name].original(first)))
    return Result(list(items.values()), decoys, queries)


def alike(
    kind: str, registered: int, lookups: int, photographs: Sequence[Photograph]
) -> list[tuple[Stored, NDArray[np.uint8]]]:
    """Look pictures of a kind up among others of the kind.

    Returns, of each lookup and registered picture, the versions of this, and the nearest distance
    to each, in bits, uint8 (n,).
    """
    pixels = [photograph.pixels for photograph in photographs]
    files = [encoded(drawn(kind, number, pixels)) for number in range(registered + lookups)]
    outcomes = [fingerprint_image(file) for file in files[:registered]]
    items = [_stored(of.fingerprints) for of in outcomes if isinstance(of, ImageFingerprints)]
    queries = [_looked_up(file) for file in files[registered:]]
    return [(of, nearest_bits(query, of.codes)) for query in queries for of in items]


def nearest_bits(queries: NDArray[np.uint8], codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the distance of each of ``codes`` (n, 32) from the nearest query (m, 32), (n,).

    Queries do not count where they are beyond the limit of their own distinctiveness.
    """
    asked, stored = queries.view(np.uint64), codes.view(np.uint64)
    bits = np.zeros((len(asked), len(stored)), np.uint16)
    for word in range(asked.shape[1]):
        bits += np.bitwise_count(asked[:, word, None] ^ stored[:, word])
    near = np.flatnonzero((bits <= MAX_DISTANCE_BITS).any(axis=1))
    limits = limits_bits(queries[near], compiled=True)[:, None]
    bits[near] = np.where(
        (bits[near] > limits) & (bits[near] <= MAX_DISTANCE_BITS), FAR_BITS, bits[near]
    )
    nearest: NDArray[np.uint8] = bits.min(axis=0, initial=FAR_BITS).astype(np.uint8)
    return nearest


def _stored(fingerprints: Sequence[Fingerprint]) -> Stored:
    areas = [PLANS[of.plan][of.ordinal].area_permille for of in fingerprints]
    whole = [extent_of(0, area) == Extent.WHOLE for area in areas]
    return Stored(stack(of.hash for of in fingerprints), np.array(whole))


def _looked_up(data: bytes) -> NDArray[np.uint8]:
    query = hash_image(data, effort=Effort.STANDARD)
    return stack([] if isinstance(query, LowQuality) else (code for code, _ in query.hashes))


def _decoys(name: str, stored: Stored, work: Work) -> Iterator[Decoy]:
    rng = np.random.default_rng([work.seed, *name.encode()])
    others = [other for other in work.photographs if other != name]
    targets = rng.choice(len(stored.codes), min(work.targets, len(stored.codes)), replace=False)
    for target in targets.tolist():
        for place in rng.choice(len(others), min(work.innocents, len(others)), replace=False):
            innocent = _innocent(work.photographs[others[place]])
            for bits in work.bits:
                changed = decoy(innocent, stored.codes[target], bits)
                queries = _looked_up(encoded(changed, _INNOCENT_QUALITY))
                nearest = nearest_bits(queries, stored.codes)
                yield Decoy(
                    name,
                    target,
                    others[place],
                    bits,
                    int(nearest[target]),
                    int((nearest <= MAX_DISTANCE_BITS).sum()),
                    mean_change(innocent, changed),
                )


def _innocent(photograph: Photograph) -> Pixels:
    pixels = photograph.pixels
    scale = _INNOCENT_PX / max(pixels.shape)
    return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA))
