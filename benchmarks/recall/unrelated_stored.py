"""Make the stored side of the unrelated lookups: views of sources, registered as pictures are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.hash_sets import cache_dir
from benchmarks.recall.recall_trials import code_version
from benchmarks.recall.sources import Source, square, views
from disrupt.core.media import Fingerprint, LowQuality, Profile, columns
from disrupt.distinctiveness.shape_distance import REGISTERED_SHAPE_BITS
from disrupt.hashing.pdq.linear import hash_luma
from disrupt.hashing.selection import single
from disrupt.hashing.variants import variants

_VIEWS = {"photograph": 400, "drawing": 40, "texture": 100, "stamp": 4, "illustration": 1}
"""Views of a source of each kind, in proportion; of other kinds four."""

_HASHES_A_VIEW = 170

_CODE = (
    *("disrupt/hashing/*.py", "disrupt/hashing/pdq/*.py", "disrupt/hashing/regions/*.py"),
    *("disrupt/distinctiveness/*.*", "disrupt/core/*.py"),
    *("benchmarks/recall/sources.py", "benchmarks/recall/unrelated_stored.py"),
)
"""Code that stored hashes depend on."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """All that is registered: of each view its fingerprints, dtype FINGERPRINT, source, place."""

    items: list[NDArray[np.void]] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    places: list[int] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, Any]:
        """Sources, pictures and hashes of each kind."""
        kinds: dict[str, dict[str, int]] = {}
        for kind in sorted({source.kind for source in self.sources}):
            mine = [at for at, source in enumerate(self.sources) if source.kind == kind]
            kinds[kind] = {
                "sources": len({self.sources[at].name for at in mine}),
                "pictures": len(mine),
                "hashes": sum(len(self.items[at]) for at in mine),
            }
        return {"hashes": sum(map(len, self.items)), "kinds": kinds}


def kept(sources: Sequence[Source], hashes: int, seed: int) -> Stored:
    """Store as ``store`` does, or load it if this code has stored the same before."""
    named = " ".join(f"{source.kind} {source.name}" for source in sources)
    key = f"{code_version(_CODE)} {hashes} {seed} {named}"
    path = cache_dir() / f"unrelated-{hashlib.sha256(key.encode()).hexdigest()[:12]}.npz"
    if not path.exists():
        stored = store(sources, hashes, seed)
        numbers = {(source.kind, source.name): at for at, source in enumerate(sources)}
        np.savez(
            path,
            fingerprints=np.concatenate(stored.items),
            ends=np.cumsum([len(item) for item in stored.items]),
            sources=[numbers[source.kind, source.name] for source in stored.sources],
            places=stored.places,
        )
    with np.load(path) as arrays:
        items = np.split(arrays["fingerprints"], arrays["ends"][:-1])
        own = [sources[at] for at in arrays["sources"]]
        return Stored(items, own, arrays["places"].tolist())


def store(sources: Sequence[Source], hashes: int, seed: int) -> Stored:
    """Store views of all sources: about ``hashes`` hashes."""
    stored = Stored()
    for source, shown in zip(sources, shares(sources, hashes // _HASHES_A_VIEW), strict=True):
        for place, luma in enumerate(views(source, range(shown), seed) if shown else ()):
            small = square(luma)
            itself = single(hash_luma(small), shape_bits=REGISTERED_SHAPE_BITS)
            if isinstance(itself, LowQuality):
                continue
            own = [Fingerprint(*itself, Profile.PDQ_512)]
            aspect = luma.shape[1] / luma.shape[0]
            stored.items.append(columns([*own, *variants(small, aspect, own)]))
            stored.sources.append(source)
            stored.places.append(place)
    return stored


def shares(sources: Sequence[Source], total: int) -> list[int]:
    """Return how many views of each source make ``total``; where it is small, some make none."""
    weights = np.array([_VIEWS.get(source.kind, 4) for source in sources], np.float64)
    ends = np.round(weights.cumsum() * (total / weights.sum())).astype(int)
    counts: list[int] = np.diff(ends, prepend=0).tolist()
    return counts
