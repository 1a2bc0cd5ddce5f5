"""Choose the versions that variant plan 1 stores, by measured gain for each stored hash.

It draws edited copies of the development photographs at random, off any grid. The greedy choice
takes next the candidate that finds most of what is not found yet; then it exchanges each once for a
better one. It prints the recall of photographs that had no part in the choice, for more and more
stored hashes and lookups, and writes the plan.

    ./scripts/bench variant_plan --write disrupt/core/variant_plan_1.py --json curve.json
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.recall.originals import chosen, collection
from benchmarks.recall.variant_pool import LOOKUPS, candidates
from benchmarks.recall.variant_table import DRAWN, Table, table

PLAN_LOOKUPS = tuple(LOOKUPS)[:-1]
"""Lookups for which the plan is chosen: all but the wider steps, which only the whole has."""

PLAN_STORED = 195
"""Variants of plan 1 for a picture, beside plan 0."""

_CURVE_STORED = (20, 40, 80, 120, 160, 195)
_CURVE_LOOKUPS = (
    ("whole",),
    ("whole", "side", "all four", "middle"),
    ("whole", "side", "all four", "corner", "middle"),
    PLAN_LOOKUPS[:-1],
    PLAN_LOOKUPS,
    tuple(LOOKUPS),
)

_HEAD = '''"""The published table of variant plan 1. Never edited: a successor is another plan.

Chosen by benchmarks/recall/variant_plan.py.
"""

VARIANTS: tuple[tuple[int, int, int, int, int], ...] = (
'''
_FOOT = ''')
"""Cut off left, top, right, bottom, in thousandths, of a picture at least as wide as tall, and
turned clockwise, in thousandths of a degree."""
'''


@dataclass(frozen=True, slots=True)
class Point:
    """Recall of photographs that had no part in the choice, by edit, and weighed."""

    stored: int
    lookups: int
    families: tuple[str, ...]
    recall: dict[str, float]
    weighed: float


@click.command(help=__doc__)
@click.option("--stored", default=PLAN_STORED, show_default=True, help="Versions to choose.")
@click.option("--draws", default=1.0, show_default=True, help="More or fewer edited copies.")
@click.option("--photographs", "n_photographs", type=int, help="At most.  [default: all]")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Pictures to use, all of them, instead of the packages'.",
)
@click.option("--seed", default=1, show_default=True)
@click.option("--write", "plan_path", type=click.Path(path_type=Path), help="Python file.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="File for the curve.")
def main(
    *,
    stored: int,
    draws: float,
    n_photographs: int | None,
    folder: Path | None,
    seed: int,
    plan_path: Path | None,
    json_path: Path | None,
) -> None:
    """Draw, choose, print, write."""
    photographs = chosen(collection(folder), "all" if folder else "development", n_photographs)
    measured = table(photographs, candidates(seed), draws, seed)
    points = []
    for families in _CURVE_LOOKUPS:
        for point in curve(measured, families, sorted({*_CURVE_STORED, stored})):
            points.append(point)
            shares = " ".join(f"{name} {share:.3f}" for name, share in point.recall.items())
            click.echo(
                f"{point.lookups} lookups {point.stored} stored {point.weighed:.3f} {shares}"
            )
    places = choice(measured, PLAN_LOOKUPS, stored)
    if plan_path:
        rows = "".join(f"    {measured.candidates[at]},\n" for at in places)
        plan_path.write_text(_HEAD + rows + _FOOT, "utf-8")
    if json_path:
        report = {"points": [asdict(listed) for listed in points], "trials": len(measured.edits)}
        json_path.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def choice(measured: Table, families: Sequence[str], stored: int) -> list[int]:
    """Return places of the candidates to store beside the picture itself, by falling gain."""
    covered = measured.covered(families)
    weights = np.tile(measured.weights() / np.float32(4), 4)
    return _exchanged(covered, weights, _greedy(covered, weights, stored))


def curve(measured: Table, families: Sequence[str], sizes: Sequence[int]) -> list[Point]:
    """Choose on every other photograph and measure on the others, both ways."""
    names = sorted(set(measured.photographs))
    halves = [measured.of(names[::2]), measured.of(names[1::2])]
    covered_tests: dict[int, list[NDArray[np.bool_]]] = {size: [] for size in sizes}
    for mine, theirs in (halves, halves[::-1]):
        covered = mine.covered(families)
        weights = np.tile(mine.weights() / np.float32(4), 4)
        order = _greedy(covered, weights, max(sizes))
        test = theirs.covered(families)[: len(theirs.edits)]
        for size, parts in covered_tests.items():
            parts.append(np.logical_or.reduce(test[:, [0, *order[:size]]], axis=1))
    edits = np.concatenate([half.edits for half in halves[::-1]])
    points = []
    for size, parts in covered_tests.items():
        every = np.concatenate(parts)
        recall = {name: round(float(every[edits == name].mean()), 4) for name in DRAWN}
        total = sum(weight for _, _, weight in DRAWN.values())
        weighed = sum(recall[name] * weight for name, (_, _, weight) in DRAWN.items()) / total
        lookups = sum(len(LOOKUPS[family]) for family in families)
        points.append(Point(size, lookups, tuple(families), recall, round(weighed, 4)))
    return points


def _greedy(covered: NDArray[np.bool_], weights: NDArray[np.float32], stored: int) -> list[int]:
    """Choose, at each step, the candidate that finds most of what is not found yet."""
    gains = covered.astype(np.float32)
    left = weights * ~covered[:, 0]
    places: list[int] = []
    while len(places) < stored:
        best = int((left @ gains).argmax())
        places.append(best)
        left[covered[:, best]] = 0
    return places


def _exchanged(
    covered: NDArray[np.bool_], weights: NDArray[np.float32], places: list[int]
) -> list[int]:
    """Exchange each in turn for the candidate that, with all others stored, finds most."""
    gains = covered.astype(np.float32)
    counts = covered[:, [0, *places]].sum(axis=1)
    kept = list(places)
    for turn, place in enumerate(places):
        counts -= covered[:, place]
        gained = (weights * (counts == 0)) @ gains
        best = int(gained.argmax())
        kept[turn] = best if gained[best] > gained[place] else place
        counts += covered[:, kept[turn]]
    return kept


if __name__ == "__main__":
    main()
