"""False matches: pictures that have nothing to do with what is stored, looked up all the same.

Half of all sources (photographs, drawings, screenshots, pages, textures, scenes, screens) are
stored, in views that are registered as pictures are; the other half is looked up. Whatever is found
is a false match, unless both sources as a whole are alike already: collections of drawings hold the
same ones in other colours, and those are counted apart.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from benchmarks.hash_sets import cache_dir
from benchmarks.recall_trials import SCOPE, code_version, index_of, item_id_of
from benchmarks.sources import Source, file_of, square, views
from disrupt.core.hashes import distances_bits, stack
from disrupt.core.media import Fingerprint, LowQuality, Profile, columns
from disrupt.core.transforms import PLANS
from disrupt.hashing import hash_image
from disrupt.hashing.images import single
from disrupt.hashing.pdq import hash_dihedral, hash_luma
from disrupt.hashing.variants import variants
from disrupt.services.matching import Allowance, match_picture

_VIEWS = {"photograph": 400, "drawing": 40, "texture": 100, "stamp": 4, "illustration": 1}
"""Views of a source of each kind, in proportion; of other kinds four."""

_CODE = (
    *(f"disrupt/hashing/{name}.py" for name in ("variants", "turning", "crops", "pdq")),
    *("disrupt/core/plan_1.py", "disrupt/core/transforms.py", "benchmarks/sources.py"),
)
"""What stored hashes depend on."""

_ALIKE_BITS = 60
"""Wholes within this, in any orientation, are versions of one drawing: a millionth of others is."""

_SAMPLED = 2000
"""Hashes looked up that are compared with every stored one, for the tail of distances."""

_EXAMPLES = 20


@dataclass(slots=True)
class Kind:
    """What became of the lookups of one kind of source."""

    sources: int = 0
    lookups: int = 0
    hashes: int = 0
    found: int = 0
    found_sources: int = 0
    alike: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """Everything registered: of each view its fingerprints, dtype FINGERPRINT, and its source."""

    items: list[NDArray[np.void]] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)


def false_matches(
    sources: Sequence[Source], hashes: int, lookups: int, minutes: float, seed: int
) -> dict[str, Any]:
    """Store about so many hashes, and look so many pictures up, or as many as time allows."""
    stored = _kept([one for one in sources if one.stored], hashes, seed)
    until_s = time.monotonic() + 60 * minutes
    rng = np.random.default_rng(seed)
    # in any order, so that an early end leaves no kind out
    asked = [one for one in rng.permutation(np.array(sources, object)) if not one.stored]
    index = index_of(stored.items)
    places = {item_id_of(at): at for at in range(len(stored.items))}
    kinds: dict[str, Kind] = {}
    sample: list[NDArray[np.uint8]] = []
    examples: list[dict[str, Any]] = []
    alike = _Alike()
    searched_s = 0.0
    for source, shown in zip(asked, _shares(asked, lookups), strict=True):
        if time.monotonic() > until_s:
            break
        if not shown:
            continue
        kind = kinds.setdefault(source.kind, Kind())
        kind.sources += 1
        found_before = kind.found
        for luma in views(source, shown, seed + 1):
            query = hash_image(file_of(luma))
            if isinstance(query, LowQuality):
                continue
            codes = stack(one for one, _ in query.hashes)
            kind.lookups += 1
            kind.hashes += len(codes)
            if rng.random() < _SAMPLED / lookups:
                sample.append(codes[rng.integers(len(codes))])
            before_s = time.thread_time()
            matches = match_picture(index, codes, SCOPE, 5, Allowance(math.inf))
            searched_s += time.thread_time() - before_s
            near = [places[item_id.tobytes()] for item_id in matches.item_ids]
            false = [at for at, one in enumerate(near) if not alike(source, stored.sources[one])]
            kind.found += len(false) > 0
            kind.alike += len(false) < len(near)
            examples += [
                {
                    "asked": f"{source.kind} {source.name}",
                    "stored": f"{stored.sources[near[at]].kind} {stored.sources[near[at]].name}",
                    "distance_bits": int(matches.distance_bits[at]),
                    "looked_up": str(query.hashes[int(matches.version[at])][1]),
                    "variant": f"{matches.plan[at]}.{matches.ordinal[at]}",
                }
                for at in false
            ]
        kind.found_sources += kind.found > found_before
    bounds = _bounds(kinds)
    return {
        **bounds,
        "stored": _counts(stored),
        "search_us_per_hash": 1e6 * searched_s / max(bounds["hashes"], 1),
        "examples": examples[:_EXAMPLES],
        **_tail(stored, sample),
    }


class _Alike:
    """Whether two sources as a whole look alike already."""

    def __init__(self) -> None:
        self._wholes: dict[tuple[str, str], NDArray[np.uint8]] = {}

    def __call__(self, one: Source, other: Source) -> bool:
        distances = distances_bits(self._whole(one)[:, None], self._whole(other)[None, :1])
        return bool(distances.min() <= _ALIKE_BITS)

    def _whole(self, source: Source) -> NDArray[np.uint8]:
        name = (source.kind, source.name)
        if name not in self._wholes:
            self._wholes[name] = hash_dihedral(square(next(views(source, 1, 0)))).hashes
        return self._wholes[name]


def _kept(sources: Sequence[Source], hashes: int, seed: int) -> Stored:
    """As ``store``, from a file if this code has stored the same before."""
    named = " ".join(f"{one.kind} {one.name}" for one in sources)
    digest = hashlib.sha256(f"{code_version(_CODE)} {hashes} {seed} {named}".encode()).hexdigest()[
        :12
    ]
    path = cache_dir() / f"unrelated-{digest}.npz"
    if not path.exists():
        stored = store(sources, hashes, seed)
        numbers = {(one.kind, one.name): at for at, one in enumerate(sources)}
        np.savez(
            path,
            fingerprints=np.concatenate(stored.items),
            ends=np.cumsum([len(one) for one in stored.items]),
            sources=[numbers[one.kind, one.name] for one in stored.sources],
        )
    with np.load(path) as kept:
        items = np.split(kept["fingerprints"], kept["ends"][:-1])
        return Stored(items, [sources[at] for at in kept["sources"]])


def store(sources: Sequence[Source], hashes: int, seed: int) -> Stored:
    """Views of all sources: about so many hashes."""
    stored = Stored()
    for source, shown in zip(sources, _shares(sources, hashes // 100), strict=True):
        for luma in views(source, shown, seed) if shown else ():
            small = square(luma)
            itself = single(hash_luma(small))
            if isinstance(itself, LowQuality):
                continue
            own = [Fingerprint(*itself, Profile.PDQ_512)]
            aspect = luma.shape[1] / luma.shape[0]
            stored.items.append(columns([*own, *variants(small, aspect, own)]))
            stored.sources.append(source)
    return stored


def _shares(sources: Sequence[Source], total: int) -> list[int]:
    """How many views of each source make so many together; of some none where these are few."""
    weights = np.array([_VIEWS.get(one.kind, 4) for one in sources], np.float64)
    ends = np.round(weights.cumsum() * (total / weights.sum())).astype(int)
    shares: list[int] = np.diff(ends, prepend=0).tolist()
    return shares


def _bounds(kinds: dict[str, Kind]) -> dict[str, Any]:
    """Shares at most found, 95 % sure: of lookups, and of sources, which alone are independent."""

    def upper_95(found: int, of: int) -> float:
        return float(chi2.ppf(0.95, 2 * found + 2)) / 2 / max(of, 1)

    def row(kind: Kind) -> dict[str, Any]:
        return {
            "sources": kind.sources,
            "lookups": kind.lookups,
            "hashes": kind.hashes,
            "found": kind.found,
            "found_sources": kind.found_sources,
            "alike": kind.alike,
            "upper_95": upper_95(kind.found, kind.lookups),
            "upper_95_sources": upper_95(kind.found_sources, kind.sources),
        }

    every = list(kinds.values())
    names = ("sources", "lookups", "hashes", "found", "found_sources", "alike")
    total = Kind(*(sum(getattr(one, name) for one in every) for name in names))
    return {**row(total), "kinds": {name: row(kind) for name, kind in sorted(kinds.items())}}


def _counts(stored: Stored) -> dict[str, Any]:
    kinds: dict[str, dict[str, int]] = {}
    for kind in sorted({one.kind for one in stored.sources}):
        mine = [at for at, one in enumerate(stored.sources) if one.kind == kind]
        kinds[kind] = {
            "sources": len({stored.sources[at].name for at in mine}),
            "pictures": len(mine),
            "hashes": sum(len(stored.items[at]) for at in mine),
        }
    return {"hashes": sum(map(len, stored.items)), "kinds": kinds}


def _tail(stored: Stored, sample: Sequence[NDArray[np.uint8]]) -> dict[str, Any]:
    """Distances of sampled lookup hashes from every stored hash.

    ``nearest_distances`` counts, by bits, the nearest one of each lookup hash; ``pairs`` all pairs
    within so many bits, by what the stored hash is of.
    """
    every = np.concatenate(stored.items)
    codes = np.ascontiguousarray(every["hash"]).view(np.uint64)
    classes = np.array([_class_of(int(plan), int(at)) for plan, at in every[["plan", "ordinal"]]])
    nearest = np.zeros(257, np.int64)
    pairs = np.zeros((4, 257), np.int64)
    for code in sample:
        bits = np.bitwise_count(codes ^ code.view(np.uint64)).sum(axis=1)
        nearest[bits.min()] += 1
        np.add.at(pairs, (classes, bits), 1)
    return {
        "nearest_distances": {bits: int(n) for bits, n in enumerate(nearest) if n},
        "pairs": {
            name: {bits: int(pairs[at, : bits + 1].sum()) for bits in range(30, 94, 4)}
            | {"all": int(pairs[at].sum())}
            for at, name in enumerate(_CLASSES)
        },
    }


_CLASSES = ("whole", "crop", "part", "turned")


def _class_of(plan: int, ordinal: int) -> int:
    transform = PLANS[plan][ordinal]
    kept = (1000 - transform.crop[0] - transform.crop[2]) * (
        1000 - transform.crop[1] - transform.crop[3]
    )
    if not any(transform.crop):
        return 0
    return 3 if transform.rotation_millidegrees else 2 if kept < 300_000 else 1
