"""Compare rules on how near a hash must be: unrelated pairs left, edited copies lost, time.

It first gathers hits as if no rule held: of unrelated pictures, of drawn shapes, and of edited
copies with their originals. --hits keeps them, so that the rule of another commit judges the same.

    ./scripts/bench match_limits --hits hits.npz --json limits.json
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, product
from pathlib import Path
from typing import Any, get_args
from unittest import mock

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.recall.drawn_shapes import SHAPES, drawn
from benchmarks.recall.edits import Scene, upload
from benchmarks.recall.harder_edits import EVERY_EDIT
from benchmarks.recall.layouts import Pixels
from benchmarks.recall.originals import Half, Photograph, chosen, collection
from benchmarks.recall.recall_trials import code_version, index_of, register
from benchmarks.recall.sources import Source, Split, file_of, sources, views
from benchmarks.recall.unrelated_stored import shares, store
from disrupt.core.hashes import MAX_DISTANCE_BITS, distances_bits, stack, unpack
from disrupt.core.lookups import Effort
from disrupt.core.media import LowQuality, columns
from disrupt.core.policy import ADULTS, Scope
from disrupt.distinctiveness.nearness import limits_bits
from disrupt.hashing import hash_image, images
from disrupt.hashing.images import usable
from disrupt.hashing.pdq import linear
from disrupt.index.flat import FlatIndex
from disrupt.services.matching import limits_bits_of

_MOST_ITEMS = 20
"""Nearest items of a hash that is looked up that count as its hits."""

_WIDER_BITS = 6
"""Unrelated pairs are also counted as if each limit were so much wider: there are more of them."""

_EFFORTS = (Effort.FAST, Effort.STANDARD)
_HIT = np.dtype([("lookup", "u4"), ("query", "V32"), ("stored", "V32"), ("distance", "u2")])
_KINDS = ("unrelated", "drawn", "copy")


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """Hits of lookups: ``kinds`` and ``groups`` by lookup, and ``rows`` of dtype _HIT."""

    kinds: NDArray[np.str_]
    groups: NDArray[np.str_]
    rows: NDArray[np.void]

    @property
    def queries(self) -> NDArray[np.uint8]:
        """Hashes that were looked up, (n, 32)."""
        return unpack(self.rows["query"].tobytes())

    @property
    def stored(self) -> NDArray[np.uint8]:
        """Stored hashes that are near to them, (n, 32)."""
        return unpack(self.rows["stored"].tobytes())


@dataclass(slots=True)
class Lookup:
    """A lookup of some kind and group, and its hits: query, stored hash, distance."""

    kind: str
    group: str
    hits: list[tuple[bytes, bytes, int]]


def gathered(lookups: Iterator[Lookup]) -> Hits:
    """Collect the hits of lookups."""
    kinds, groups, rows = [], [], []
    for at, lookup in enumerate(lookups):
        kinds.append(lookup.kind)
        groups.append(lookup.group)
        rows += [(at, *hit) for hit in lookup.hits]
    return Hits(np.array(kinds), np.array(groups), np.array(rows, _HIT))


def unrelated(every: list[Source], hashes: int, lookups: int, seed: int) -> Iterator[Lookup]:
    """Look up views of the sources that are not stored among views of those that are."""
    stored = store([source for source in every if source.stored], hashes, seed)
    index = index_of(stored.items)
    farthest_bits = MAX_DISTANCE_BITS + _WIDER_BITS
    by_bank = limits_bits_of(Scope({ADULTS.number: farthest_bits}))
    asked = [source for source in every if not source.stored]
    for source, shown in zip(asked, shares(asked, lookups), strict=True):
        for luma in views(source, range(shown), seed + 1) if shown else ():
            query = hash_image(file_of(luma))
            if isinstance(query, LowQuality):
                continue
            codes = stack(hash_ for hash_, _ in query.hashes)
            near = index.search_items(codes, farthest_bits, by_bank, _MOST_ITEMS).hits
            hits = []
            for at in range(len(near)):
                own = unpack(stored.items[int(near.number[at]) - 1]["hash"].tobytes())
                code = codes[near.query[at]]
                nearest = own[distances_bits(code, own).argmin()]
                hits.append((code.tobytes(), nearest.tobytes(), int(near.distance[at])))
            yield Lookup("unrelated", source.kind, hits)


def shapes(count: int, seed: int) -> Iterator[Lookup]:
    """Look up ``count`` pictures of each drawn shape among as many."""
    farthest_bits = MAX_DISTANCE_BITS + _WIDER_BITS
    stored = np.concatenate([_distinct(shape, count, seed) for shape in SHAPES])
    index = FlatIndex.of(stored)
    for shape in SHAPES:
        for code in _distinct(shape, count, seed + 1):
            near = index.search(code[None], farthest_bits)
            yield Lookup(
                "drawn",
                shape,
                [
                    (code.tobytes(), stored[entry].tobytes(), int(distance))
                    for entry, distance in zip(near.entry, near.distance, strict=True)
                ],
            )


def _distinct(shape: str, count: int, seed: int) -> NDArray[np.uint8]:
    hashed = linear.hash_luma(drawn(shape, count, seed))
    return hashed.hashes[usable(hashed)]


def copies(
    photographs: list[Photograph], edits: Sequence[str], trials: int, seed: int
) -> Iterator[Lookup]:
    """Look up edited copies of each photograph among the hashes of its original."""
    for photograph in photographs:
        registered = register(photograph)
        others = [other for other in photographs if other is not photograph]
        for edit, at in product(edits if registered else (), range(trials)):
            rng = np.random.default_rng([seed, at, *f"{edit} {photograph.name}".encode()])
            original = registered[rng.integers(len(registered))]
            other = partial(_pixels_of_any, others, rng)
            scene = Scene(photograph.original(original.number), rng, other)
            group, function = EVERY_EDIT[edit]
            data, _ = upload(function, scene)
            own = unpack(columns(original.fingerprints)["hash"].tobytes())
            for effort in _EFFORTS:
                yield Lookup("copy", f"{group}, {effort.name}", _hits_of(data, effort, own))


def _pixels_of_any(photographs: list[Photograph], rng: np.random.Generator) -> Pixels:
    return photographs[rng.integers(len(photographs))].pixels


def _hits_of(
    data: bytes, effort: Effort, stored: NDArray[np.uint8]
) -> list[tuple[bytes, bytes, int]]:
    query = hash_image(data, effort=effort)
    if isinstance(query, LowQuality):
        return []
    codes = stack(hash_ for hash_, _ in query.hashes)
    distances = distances_bits(codes[:, None], stored)
    return [
        (codes[at].tobytes(), stored[place].tobytes(), int(distances[at, place]))
        for at, place in np.argwhere(distances <= MAX_DISTANCE_BITS)
    ]


@contextmanager
def without_rule() -> Iterator[None]:
    """Let hashing leave no degenerate hash out."""

    def none(hashes: NDArray[np.uint8], _least_bits: int = 0) -> NDArray[np.bool]:
        return np.zeros(hashes.shape[:-1], np.bool)

    with (
        mock.patch.object(images, "are_degenerate", none),
        mock.patch("disrupt.hashing.queries.are_degenerate", none),
    ):
        yield


def judged(hits: Hits) -> dict[str, Any]:
    """Count lookups with a hit, without a rule and by the rule, in each kind and group."""
    queries, place = np.unique(hits.queries, axis=0, return_inverse=True)
    stored, stored_place = np.unique(hits.stored, axis=0, return_inverse=True)
    limits_bits(queries[:2])  # compiles, and draws the shapes
    before_s = time.process_time()
    limits = limits_bits(queries)
    took_s = time.process_time() - before_s
    limit = limits[place.ravel()]
    degenerate = (limit < 0) | (limits_bits(stored)[stored_place.ravel()] < 0)
    distance = hits.rows["distance"]
    counted = {
        "without_rule": distance <= MAX_DISTANCE_BITS,
        "by_rule": (distance <= limit) & ~degenerate,
        "wider": (distance <= limit + _WIDER_BITS) & ~degenerate,
    }
    report: dict[str, Any] = {
        "us_per_hash": 1e6 * took_s / max(len(queries), 1),
        "hashes": len(queries),
        "limits": np.bincount(limits.clip(0, MAX_DISTANCE_BITS), minlength=32).tolist(),
    }
    for kind in _KINDS:
        of_kind = hits.kinds == kind
        report[kind] = {
            str(group): {"lookups": int((of_kind & (hits.groups == group)).sum())}
            | {name: _lookups(hits, group, where) for name, where in counted.items()}
            for group in np.unique(hits.groups[of_kind])
        }
    return report


def _lookups(hits: Hits, group: str, where: NDArray[np.bool]) -> int:
    return int((hits.groups[np.unique(hits.rows["lookup"][where])] == group).sum())


@click.command(help=__doc__)
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the report.")
@click.option(
    "--hits",
    "hits_path",
    type=click.Path(path_type=Path),
    help="File of hits: read if it exists, written otherwise.",
)
@click.option(
    "--half",
    type=click.Choice(["held-out", "development", "all"]),
    default="held-out",
    show_default=True,
    help="Photographs copied.",
)
@click.option("--split", type=click.Choice(get_args(Split)), default=2, help="Of the sources.")
@click.option(
    "--edit", "edits", multiple=True, type=click.Choice(list(EVERY_EDIT)), help="Only these."
)
@click.option("--trials", default=1, show_default=True, help="Copies of a photograph and edit.")
@click.option("--photographs", type=int, help="At most.  [default: all]")
@click.option("--lookups", default=6000, show_default=True, help="Unrelated pictures looked up.")
@click.option("--stored", default=400_000, show_default=True, help="Hashes they search in.")
@click.option("--drawn", "n_drawn", default=3000, show_default=True, help="Of each drawn shape.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Photographs to use instead of the packages' pictures.",
)
@click.option("--seed", default=1, show_default=True)
def main(  # noqa: PLR0913 options
    *,
    json_path: Path | None,
    hits_path: Path | None,
    half: Half,
    split: Split,
    edits: tuple[str, ...],
    trials: int,
    photographs: int | None,
    lookups: int,
    stored: int,
    n_drawn: int,
    folder: Path | None,
    seed: int,
) -> None:
    """Gather, judge, print, write."""
    if hits_path and hits_path.exists():
        with np.load(hits_path) as arrays:
            hits = Hits(arrays["kinds"], arrays["groups"], arrays["rows"])
    else:
        with without_rule():
            every = sources(folder, split)
            own = chosen(collection(folder), half, photographs)

            hits = gathered(
                chain(
                    copies(own, edits or tuple(EVERY_EDIT), trials, seed),
                    unrelated(every, stored, lookups, seed),
                    shapes(n_drawn, seed),
                )
            )
        if hits_path:
            np.savez(hits_path, kinds=hits.kinds, groups=hits.groups, rows=hits.rows)
    rule = judged(hits)
    for kind in _KINDS:
        for group, row in rule[kind].items():
            print(f"{kind:10} {group:32}", *(f"{count:6}" for count in row.values()))
    print(f"{rule['us_per_hash']:.1f} us a hash")
    if json_path:
        report = {"rule": rule, "version": code_version(("disrupt/distinctiveness/*.*",))}
        json_path.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
