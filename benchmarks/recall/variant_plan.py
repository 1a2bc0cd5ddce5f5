"""Choose the versions that a variant plan stores, by measured gain for each stored hash.

It draws edited copies of the development photographs at random, off any grid. The greedy choice
takes next the candidate that finds most of what is not found yet; then it exchanges each once for a
better one. It prints the recall of photographs that had no part in the choice, for more and more
stored hashes and lookups, and writes the plan. What earlier plans store counts as stored.

    ./scripts/bench variant_plan --plan 2 --write disrupt/core/variant_plan_2.py --json curve.json
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

_STEPS = ("whole", "side", "corner", "axis", "three", "all four", "middle")
_OF_WHOLE = (*_STEPS, "quadrants", "wider")

PLAN_LOOKUPS = {1: (*_STEPS, "quadrants"), 2: _OF_WHOLE}
"""Lookups for which a plan is chosen; for plan 1 without the wider steps, which only the whole has.
"""

PLAN_STORED = {1: 195, 2: 101}
"""Variants of a plan for a picture, beside those of the plans before it."""

_CURVE_STORED = {1: (20, 40, 80, 120, 160, 195), 2: (25, 50, 75, 101)}
_CURVE_LOOKUPS: dict[int, tuple[tuple[str, ...], ...]] = {
    1: (
        ("whole",),
        ("whole", "side", "all four", "middle"),
        ("whole", "side", "all four", "corner", "middle"),
        _STEPS,
        PLAN_LOOKUPS[1],
        _OF_WHOLE,
    ),
    2: (_STEPS, _OF_WHOLE, (*_OF_WHOLE, "axes")),
}

_HEAD = '''"""The published table of variant plan {plan}. Never edited: a successor is another plan.

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
@click.option("--plan", default=2, show_default=True, type=click.Choice([1, 2]))
@click.option("--stored", type=int, help="Versions to choose.  [default: the plan's]")
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
    plan: int,
    stored: int | None,
    draws: float,
    n_photographs: int | None,
    folder: Path | None,
    seed: int,
    plan_path: Path | None,
    json_path: Path | None,
) -> None:
    """Draw, choose, print, write."""
    photographs = chosen(collection(folder), "all" if folder else "development", n_photographs)
    stored = stored or PLAN_STORED[plan]
    measured = table(plan, photographs, candidates(plan, seed), draws, seed)
    points = []
    for families in _CURVE_LOOKUPS[plan]:
        for point in curve(measured, families, sorted({*_CURVE_STORED[plan], stored})):
            points.append(point)
            shares = " ".join(f"{name} {share:.3f}" for name, share in point.recall.items())
            click.echo(
                f"{point.lookups} lookups {point.stored} stored {point.weighed:.3f} {shares}"
            )
    places = choice(measured, PLAN_LOOKUPS[plan], stored)
    if plan_path:
        rows = "".join(f"    {measured.candidates[at]},\n" for at in places)
        plan_path.write_text(_HEAD.format(plan=plan) + rows + _FOOT, "utf-8")
    if json_path:
        report = {"points": [asdict(listed) for listed in points], "trials": len(measured.edits)}
        json_path.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def choice(measured: Table, families: Sequence[str], stored: int) -> list[int]:
    """Return places of the candidates to store beside those of earlier plans, by falling gain."""
    covered = measured.covered(families)
    weights = np.tile(measured.weights() / np.float32(4), 4)
    base = measured.stored_before
    return _exchanged(covered, weights, base, _greedy(covered, weights, base, stored))


def curve(measured: Table, families: Sequence[str], sizes: Sequence[int]) -> list[Point]:
    """Choose on every other photograph and measure on the others, both ways."""
    names = sorted(set(measured.photographs))
    halves = [measured.of(names[::2]), measured.of(names[1::2])]
    covered_tests: dict[int, list[NDArray[np.bool_]]] = {size: [] for size in sizes}
    for mine, theirs in (halves, halves[::-1]):
        covered = mine.covered(families)
        weights = np.tile(mine.weights() / np.float32(4), 4)
        base = mine.stored_before
        order = _greedy(covered, weights, base, max(sizes))
        test = theirs.covered(families)[: len(theirs.edits)]
        for size, parts in covered_tests.items():
            parts.append(np.logical_or.reduce(test[:, [*base, *order[:size]]], axis=1))
    edits = np.concatenate([half.edits for half in halves[::-1]])
    points = []
    for size, parts in covered_tests.items():
        every = np.concatenate(parts)
        drawn = DRAWN[measured.plan]
        recall = {name: round(float(every[edits == name].mean()), 4) for name in drawn}
        total = sum(edit.weight for edit in drawn.values())
        weighed = sum(recall[name] * edit.weight for name, edit in drawn.items()) / total
        lookups = sum(len(LOOKUPS[family]) for family in families)
        points.append(Point(size, lookups, tuple(families), recall, round(weighed, 4)))
    return points


def _greedy(
    covered: NDArray[np.bool_], weights: NDArray[np.float32], base: list[int], stored: int
) -> list[int]:
    """Choose, at each step, the candidate that finds most of what is not found yet."""
    gains = covered.astype(np.float32)
    left = weights * ~covered[:, base].any(axis=1)
    places: list[int] = []
    while len(places) < stored:
        best = int((left @ gains).argmax())
        places.append(best)
        left[covered[:, best]] = 0
    return places


def _exchanged(
    covered: NDArray[np.bool_], weights: NDArray[np.float32], base: list[int], places: list[int]
) -> list[int]:
    """Exchange each in turn for the candidate that, with all others stored, finds most."""
    gains = covered.astype(np.float32)
    counts = covered[:, [*base, *places]].sum(axis=1)
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
