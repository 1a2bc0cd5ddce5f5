"""Measure what is left of recall where stored versions are narrowed, and which floor is right.

Platforms report false matches. Where two organisations dispute a version of an item, it answers
only nearer than that; but a version that shows at least 750 permille of the picture answers at up
to the floor, whatever is reported. The floor has to find copies of the whole picture, and to leave
out other pictures, even alike ones. Reports may be of decoys, which were changed to be near: so the
most that narrowing can do to one picture is measured, too.

    ./scripts/bench narrowing --json narrowing.json
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, TypeVar, get_args

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import report as figures
from benchmarks.recall.harder_edits import EVERY_EDIT
from benchmarks.recall.kinds import KINDS
from benchmarks.recall.narrowing_trials import (
    FAR_BITS,
    Copy,
    Decoy,
    Result,
    Stored,
    Work,
    alike,
    nearest_bits,
    run,
)
from benchmarks.recall.originals import Half, chosen, collection, folder_option
from disrupt.core.hashes import MAX_DISTANCE_BITS

FLOORS_BITS = (8, 10, 12, 14, 16, 18, 20)
_DECOYS_BITS = (0, *FLOORS_BITS, 24, 30)
_QUANTILES = {"median": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}

_UNRELATED = "photographs"
_GROUPS = (*dict.fromkeys(group for group, _ in EVERY_EDIT.values()), *KINDS, _UNRELATED)

_SILENT_SHARE = 0.1
"""Most of an item's versions that may fall silent before staff have looked."""


@dataclass(frozen=True, slots=True)
class Found:
    """Distances of a looked-up picture from an item, in bits.

    ``whole_bits`` is the distance of the nearest version that shows the whole, ``any_bits`` that of
    the nearest of all. ``group`` is that of the edit, or the kind of picture.
    """

    group: str
    whole_bits: int
    any_bits: int


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Outcome of a copy: found before, and with all versions of its item narrowed to a floor.

    ``tenth_silent``: and the tenth silent on which the copies of other trials depend most, as an
    abuser guesses; ``own_tenth_silent``: and the tenth on which this copy depends, as he knows.
    """

    group: str
    before: bool
    at_floor: bool
    tenth_silent: bool
    own_tenth_silent: bool


@click.command(help=__doc__)
@figures.outputs(cannot_show="Decoys are made by one method; an abuser may know a better one.")
@click.option(
    "--edit", "edits", multiple=True, type=click.Choice(list(EVERY_EDIT)), help="Only these."
)
@click.option("--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), help="Only these.")
@click.option("--trials", default=2, show_default=True, help="For each edit and photograph.")
@click.option(
    "--half",
    type=click.Choice([*get_args(Half), "all"]),
    default="held-out",
    show_default=True,
)
@click.option(
    "--photographs", "n_photographs", type=click.IntRange(2), help="At most.  [default: all]"
)
@folder_option
@click.option("--floor", "floor_bits", default=12, show_default=True, help="Of the last table.")
@click.option(
    "--targets", default=3, show_default=True, help="Versions of each that decoys aim at."
)
@click.option("--innocents", default=4, show_default=True, help="Decoys for each version.")
@click.option("--registered", default=4, show_default=True, help="Of each kind.")
@click.option("--lookups", default=12, show_default=True, help="Of each kind.")
@click.option("--processes", default=os.cpu_count() or 1, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(  # noqa: PLR0913 one for each option
    *,
    edits: tuple[str, ...],
    kinds: tuple[str, ...],
    trials: int,
    half: Half,
    n_photographs: int | None,
    folder: Path | None,
    floor_bits: int,
    targets: int,
    innocents: int,
    registered: int,
    lookups: int,
    processes: int,
    seed: int,
) -> None:
    """Measure, print, write."""
    every = collection(folder)
    photographs = {photograph.name: photograph for photograph in chosen(every, half, n_photographs)}
    if len(photographs) < 2:
        sys.exit(
            "Fewer than two photographs here: scripts/system-packages --photographs, or --folder."
        )
    work = Work(
        photographs, edits or tuple(EVERY_EDIT), trials, targets, innocents, _DECOYS_BITS, seed
    )
    among = partial(
        alike,
        registered=registered,
        lookups=lookups,
        photographs=every[: registered + lookups + 2],
    )
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        results = list(pool.map(partial(run, work=work), photographs))
        of_kinds = dict(zip(kinds or KINDS, pool.map(among, kinds or KINDS), strict=True))
    items = [item for result in results for item in result.items]
    copies = [
        _found(_group(copy), stored, copy.nearest) for stored, of_it in items for copy in of_it
    ]
    others = [_found(kind, *pair) for kind, pairs in of_kinds.items() for pair in pairs]
    others += _unrelated(results)
    decoys = [decoy for result in results for decoy in result.decoys]
    tables = {
        "copies": _by_group(copies, _shares),
        "others": _by_group(others, _matches),
        "decoys": [_decoys_at(bits, decoys) for bits in _DECOYS_BITS],
        "floors": [_at_floor(bits, items, copies, others, decoys) for bits in FLOORS_BITS],
        "narrowed": _by_group(_narrowed(items, floor_bits), _recall),
    }
    for rows in tables.values():
        figures.show(rows)
    figures.publish(tables, parameters={"photographs": len(photographs)})


def _narrowed(items: Sequence[tuple[Stored, Sequence[Copy]]], floor_bits: int) -> list[Narrowed]:
    """Narrow all versions of each item to the floor; those that show a part may fall silent."""
    narrowed = []
    for stored, copies in items:
        most = int(_SILENT_SHARE * len(stored.whole))
        finds = np.array([copy.nearest <= floor_bits for copy in copies])
        numbers = np.array([copy.number for copy in copies])
        silent = {
            number: silent_versions(finds[numbers != number], ~stored.whole, most)
            for number in set(numbers.tolist())
        }
        for copy, answers in zip(copies, finds, strict=True):
            whole = bool(answers[stored.whole].any())
            narrowed.append(
                Narrowed(
                    _group(copy),
                    before=bool((copy.nearest <= MAX_DISTANCE_BITS).any()),
                    at_floor=bool(answers.any()),
                    tenth_silent=bool(answers[~silent[copy.number]].any()),
                    own_tenth_silent=whole or int(answers.sum()) > most,
                )
            )
    return narrowed


def silent_versions(
    finds: NDArray[np.bool_], may_be: NDArray[np.bool_], most: int
) -> NDArray[np.bool_]:
    """Choose the versions on which most copies depend, at most so many, bool (n,).

    ``finds`` (copies, n) tell which version finds which copy, ``may_be`` (n,) which may be chosen.
    Greedy: each copy that is still found has one vote, divided among the versions that find it.
    """
    silent = np.zeros(len(may_be), np.bool_)
    for _ in range(most):
        left = finds & ~silent
        votes = (left / np.maximum(left.sum(axis=1, keepdims=True), 1)).sum(axis=0) * may_be
        if not votes.any():
            break
        silent[votes.argmax()] = True
    return silent


def _group(copy: Copy) -> str:
    return EVERY_EDIT[copy.edit][0]


def _found(group: str, stored: Stored, nearest: NDArray[np.uint8]) -> Found:
    return Found(group, int(nearest[stored.whole].min(initial=FAR_BITS)), int(nearest.min()))


def _unrelated(results: Sequence[Result]) -> list[Found]:
    """Look each photograph up among the items of each other."""
    return [
        _found(_UNRELATED, stored, nearest_bits(asked.queries, stored.codes))
        for asked in results
        for other in results
        if asked is not other
        for stored, _ in other.items
    ]


_Picture = TypeVar("_Picture", Found, Narrowed)


def _by_group(
    pictures: Sequence[_Picture], row: Callable[[Sequence[_Picture]], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return a row for each group, and one for all."""
    groups: dict[str, list[_Picture]] = {}
    for picture in pictures:
        groups.setdefault(picture.group, []).append(picture)
    rows: list[dict[str, Any]] = [
        {"group": name, **row(groups[name])} for name in _GROUPS if name in groups
    ]
    return [*rows, {"group": "all", **row(pictures)}]


def _shares(copies: Sequence[Found]) -> dict[str, Any]:
    """Return distances of copies from the whole, and the shares that versions of it find."""
    bits = np.array([copy.whole_bits for copy in copies])
    return {
        "copies": len(copies),
        **{name: int(np.quantile(bits, at, method="higher")) for name, at in _QUANTILES.items()},
        **{f"within_{at}": float((bits <= at).mean()) for at in (*FLOORS_BITS, MAX_DISTANCE_BITS)},
    }


def _matches(others: Sequence[Found]) -> dict[str, Any]:
    """Count other pictures that match, and those that still do at floors."""
    bits = np.array([other.whole_bits for other in others])
    return {
        "pairs": len(others),
        "nearest_bits": min(other.any_bits for other in others),
        "matches": sum(other.any_bits <= MAX_DISTANCE_BITS for other in others),
        **{f"within_{at}": int((bits <= at).sum()) for at in (*FLOORS_BITS, MAX_DISTANCE_BITS)},
    }


def _recall(copies: Sequence[Narrowed]) -> dict[str, Any]:
    """Return the shares of copies that are found, before and after."""
    return {
        "copies": len(copies),
        **{
            name: float(np.mean([getattr(copy, name) for copy in copies]))
            for name in ("before", "at_floor", "tenth_silent", "own_tenth_silent")
        },
    }


def _decoys_at(bits: int, decoys: Sequence[Decoy]) -> dict[str, Any]:
    """Return the change that decoys take to be within ``bits``, and what they reach.

    ``least_change`` is the median of the least for each version, since an abuser has the choice.
    """
    some = [decoy for decoy in decoys if decoy.bits == bits]
    by_target: dict[tuple[str, int], list[float]] = {}
    for decoy in some:
        by_target.setdefault((decoy.photograph, decoy.target), []).append(decoy.mean_change)
    return {
        "bits": bits,
        "decoys": len(some),
        "within_bits": float(np.mean([decoy.nearest_bits <= bits for decoy in some])),
        "matches": float(np.mean([decoy.nearest_bits <= MAX_DISTANCE_BITS for decoy in some])),
        "median_change": median(decoy.mean_change for decoy in some),
        "least_change": median(map(min, by_target.values())),
        "versions": median(decoy.versions for decoy in some),
    }


def _at_floor(
    bits: int,
    items: Sequence[tuple[Stored, Sequence[Copy]]],
    copies: Sequence[Found],
    others: Sequence[Found],
    decoys: Sequence[Decoy],
) -> dict[str, Any]:
    """Return what a floor finds of copies, at the least and by versions of the whole alone.

    Beside it, the share of other pictures' matches that it leaves, and the change of a decoy that
    it lets pass.
    """
    of_photometric = [copy for copy in copies if copy.group == "photometric"]
    matches = [other for other in others if other.any_bits <= MAX_DISTANCE_BITS]
    changes = _decoys_at(bits, decoys)
    return {
        "floor_bits": bits,
        **{
            f"{name}_by_whole": float(np.mean([copy.whole_bits <= bits for copy in some]))
            for name, some in (("photometric", of_photometric), ("all", copies))
            if some
        },
        **{
            name: share
            for name, share in _recall(_narrowed(items, bits)).items()
            if name not in {"copies", "before"}
        },
        "others_left": float(np.mean([other.whole_bits <= bits for other in matches]))
        if matches
        else None,
        "median_change": changes["median_change"],
        "least_change": changes["least_change"],
    }


if __name__ == "__main__":
    main()
