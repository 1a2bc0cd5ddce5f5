"""Make hashes to search in and queries: random, or of photographs' crops or anchored regions."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pdqhash
from numpy.typing import NDArray
from skimage import data

from disrupt.distinctiveness.cosines import COSINES
from disrupt.hashing.anchors.hashes import candidates, sample_regions
from disrupt.hashing.anchors.pages import pages
from rig.media.photographs import photographs

Distribution = Literal["uniform", "real", "anchored"]
Codes = NDArray[np.uint8]

MAX_REGIONS = 20_000
"""Most regions that are hashed; further hashes blend two of them, see ``real``."""

PLANTED_EVERY = 10
"""Every tenth query has a stored hash near it, at each distance from 0 to 31 bits in turn."""

_BATCH = 50_000
_MIN_QUALITY = 50
_PHOTOGRAPHS = (
    *("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "grass", "gravel"),
    *("hubble_deep_field", "immunohistochemistry", "moon", "retina", "rocket"),
)


def cache_dir() -> Path:
    """Return the directory that keeps sets between runs, outside the repository."""
    path = Path(tempfile.gettempdir()) / f"disrupt-benchmarks-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def stored(distribution: Distribution, size: int, seed: int = 1) -> Path:
    """Return a .npy file of uint8 (size, 32); make it unless it exists."""
    name = f"{distribution}-{size}-{seed}-{_version()}.npy"
    path = cache_dir() / name
    if not path.exists():
        aside = path.with_suffix(f".{os.getpid()}")
        rows = np.lib.format.open_memmap(aside, "w+", np.uint8, (size, 32))
        at = 0
        for batch in _MAKERS[distribution](size, seed):
            rows[at : at + len(batch)] = batch
            at += len(batch)
        rows.flush()
        aside.rename(path)
    return path


def queries(distribution: Distribution, codes: Codes, count: int, seed: int = 2) -> Codes:
    """Make fresh hashes, which mostly match nothing; each PLANTED_EVERY-th is near a stored one."""
    asked = np.array(np.load(stored(distribution, count, seed)))
    rng = np.random.default_rng(seed)
    for turn, at in enumerate(range(0, count, PLANTED_EVERY)):
        asked[at] = flipped(codes[rng.integers(len(codes))], planted_bits(turn), rng)
    return asked


def planted_bits(turn: int) -> int:
    """Return the distance of the turn-th planted query: 31 first, all 32 before any repeats."""
    return (31 + 13 * turn) % 32


def flipped(code: Codes, bits: int, rng: np.random.Generator) -> Codes:
    """Return a code ``bits`` away."""
    mask = np.zeros(256, np.uint8)
    mask[rng.permutation(256)[:bits]] = 1
    return code ^ np.packbits(mask)


def uniform(size: int, seed: int) -> Iterator[Codes]:
    """Yield random codes in batches."""
    rng = np.random.default_rng(seed)
    for first in range(0, size, _BATCH):
        yield rng.integers(0, 256, (min(_BATCH, size - first), 32), np.uint8)


def real(size: int, seed: int) -> Iterator[Codes]:
    """Yield hashes of random crops of photographs in batches; see ``_blended``."""
    return _blended(_crops, size, seed)


def anchored(size: int, seed: int) -> Iterator[Codes]:
    """Yield hashes of anchored regions of photographs in batches; see ``_blended``."""
    return _blended(_anchors, size, seed)


_MAKERS = {"uniform": uniform, "real": real, "anchored": anchored}

_Maker = Callable[[int, int], Iterator[NDArray[np.float32]]]
"""Yields so many rows of 256 coefficients, chosen by a seed."""


def _blended(make: _Maker, size: int, seed: int) -> Iterator[Codes]:
    """Yield hashes of regions, and beyond MAX_REGIONS of two regions at once.

    PDQ is linear until its last step. So the coefficients of two photographs laid over each other
    are sums of those of each, and the hash of such a double exposure costs no image processing.
    """
    regions = min(size, MAX_REGIONS)
    coefficients = np.stack(list(make(regions, seed)))
    yield _hashes(coefficients)
    rng = np.random.default_rng(seed)
    for first in range(regions, size, _BATCH):
        count = min(_BATCH, size - first)
        share = rng.uniform(0.3, 0.7, (count, 1)).astype(np.float32)
        upper, lower = (coefficients[rng.integers(0, regions, count)] for _ in range(2))
        yield _hashes(share * upper + (1 - share) * lower)


def _hashes(coefficients: NDArray[np.float32]) -> Codes:
    # the lower of the two middle values, as in PDQ
    middle = np.partition(coefficients, 127, axis=1)[:, 127:128]
    return np.packbits(coefficients > middle, axis=1)


def _crops(count: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Yield coefficients of regions that are good enough to be registered, all of one contrast."""
    rng = np.random.default_rng(seed)
    photographs = [np.atleast_3d(getattr(data, name)()) for name in _PHOTOGRAPHS]
    yielded = 0
    while yielded < count:
        photograph = photographs[rng.integers(len(photographs))]
        height, width = photograph.shape[:2]
        sides = rng.integers(96, 1 + min(256, height, width), 2)
        top, left = rng.integers(0, 1 + np.array([height, width]) - sides)
        region = photograph[top : top + sides[0], left : left + sides[1], :3]
        if region.shape[2] == 1:
            region = np.repeat(region, 3, axis=2)
        floats, quality = pdqhash.compute_float(np.ascontiguousarray(region))
        if quality < _MIN_QUALITY:
            continue
        row = np.asarray(floats, np.float32)
        yield row / row.std()
        yielded += 1


def _anchors(count: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Yield coefficients of anchored regions that may be registered, all of one contrast."""
    rng = np.random.default_rng(seed)
    coefficients: list[NDArray[np.float32]] = []
    pictures = dict(photographs())
    names = sorted(pictures)
    while len(coefficients) < count:
        picture = pictures[names[rng.integers(len(names))]]()
        picture.thumbnail((2048, 2048))
        luma = np.asarray(picture.convert("L"))
        height, width = rng.integers(1 + np.array(luma.shape) // 2, 1 + np.array(luma.shape))
        top, left = (rng.integers(0, 1 + np.array(luma.shape) - (height, width))).tolist()
        page = pages(luma[top : top + height, left : left + width], width / height)
        regions, _, are_good = candidates(page)
        samples = sample_regions(page, regions.take(np.flatnonzero(are_good)))
        rows = (COSINES @ samples @ COSINES.T).reshape(len(samples), 256)
        coefficients += list(rows / rows.std(axis=1, keepdims=True))
    yield from coefficients[:count]


def _version() -> str:
    """Return a hash of this file, so that no set of an older version is used."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
