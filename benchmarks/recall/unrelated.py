"""Count false matches: look up pictures that are unrelated to everything stored.

Half of all sources (photographs, drawings, screenshots, pages, textures, scenes, screens) are
stored, in views that are registered as pictures are; views of the other half are looked up as
files. Every match is a false one, and makes the exit code 1. The report is rewritten during the
run, so that an interrupted run has its figures; --show makes pictures of the matches.

    ./scripts/bench unrelated --json unrelated.json --show found
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import click
import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from benchmarks.harness import report as figures
from benchmarks.recall.originals import folder_option
from benchmarks.recall.recall_trials import SCOPE, index_of, item_id_of
from benchmarks.recall.sources import Source, Split, file_of, sources, square, views
from benchmarks.recall.unrelated_stored import Stored, kept, shares
from benchmarks.recall.unrelated_tail import SAMPLED, Tail
from disrupt.core.hashes import stack
from disrupt.core.lookups import Effort, extent_of
from disrupt.core.media import LowQuality
from disrupt.core.transforms import PLANS, Transform
from disrupt.hashing import hash_image
from disrupt.hashing.regions.quadrilaterals import straightened
from disrupt.services.matching import UNBOUNDED, complete, hash_steps, picture_steps

Sabotage = Literal["both_sides"]
"""Store what is looked up, too."""

_PASSES = 2
"""Each source has a part of its views looked up before any source has the rest."""

_REPORT_EVERY_S = 20
_COUNTED = ("sources", "lookups", "hashes", "found", "found_sources", "found_hashes")
_EXAMPLES = 200
_MATCHES = 5


@dataclass(slots=True)
class Kind:
    """Results for the lookups of one kind of source; sets hold names of sources."""

    asked: set[str] = field(default_factory=set)
    lookups: int = 0
    hashes: int = 0
    matched: int = 0
    matched_hashes: int = 0
    matched_sources: set[str] = field(default_factory=set)


class Count:
    """Look views up among everything stored, and count the matches."""

    def __init__(self, stored: Stored, lookups: int, seed: int, effort: Effort) -> None:
        self._stored = stored
        self._effort = effort
        self._index = index_of(stored.items)
        self._places = {item_id_of(at): at for at in range(len(stored.items))}
        self._kinds: dict[str, Kind] = {}
        self._versions: dict[str, Counter[str]] = {"hashes": Counter(), "found_hashes": Counter()}
        self._examples: list[dict[str, Any]] = []
        self._tail = Tail(stored)
        self._rng = np.random.default_rng(seed)
        self._sampled = SAMPLED / lookups
        self._searched_s = 0.0
        self._began_s = time.process_time()

    def look_up(self, source: Source, place: int, luma: NDArray[np.uint8]) -> None:
        """Look up one view of a source; skip it where it is too featureless."""
        query = hash_image(file_of(luma), effort=self._effort)
        if isinstance(query, LowQuality):
            return
        codes = stack(hash_ for hash_, _ in query.hashes)
        kind = self._kinds.setdefault(source.kind, Kind())
        kind.asked.add(source.name)
        kind.lookups += 1
        kind.hashes += len(codes)
        if self._rng.random() < self._sampled:
            self._tail.add(codes[self._rng.integers(len(codes))])
        before_s = time.thread_time()
        transforms = [transform for _, transform in query.hashes]
        versions = [_version(transform) for transform in transforms]
        self._versions["hashes"].update(versions)
        matches = complete(
            picture_steps(self._index, codes, transforms, SCOPE, _MATCHES, UNBOUNDED)
        )
        self._searched_s += time.thread_time() - before_s
        if not len(matches):
            return
        kind.matched += 1
        kind.matched_sources.add(source.name)
        hits = complete(
            hash_steps(self._index, codes, SCOPE, 1, most_matches=len(codes), allowance=UNBOUNDED)
        )
        near = np.unique(hits.query).tolist()
        kind.matched_hashes += len(near)
        self._versions["found_hashes"].update(versions[place] for place in near)
        for at, item_id in enumerate(matches.item_ids):
            stored_at = self._places[item_id.tobytes()]
            origin = self._stored.sources[stored_at]
            asked = query.hashes[int(matches.version[at])][1]
            variant = PLANS[int(matches.plan[at])][int(matches.ordinal[at])]
            self._examples.append(
                {
                    "asked": [source.kind, source.name, place],
                    "stored": [origin.kind, origin.name, self._stored.places[stored_at]],
                    "distance_bits": int(matches.distance_bits[at]),
                    "extent": extent_of(
                        int(matches.query_area_permille[at]), int(matches.stored_area_permille[at])
                    ),
                    "looked_up": str(asked),
                    "variant": str(variant),
                    "steps": [list(asked), list(variant)],
                }
            )

    def report(self) -> dict[str, Any]:
        """Return the figures so far."""
        bounds = _bounds(self._kinds)
        return {
            **bounds,
            "versions": {
                name: {counted: of[name] for counted, of in self._versions.items()}
                for name in sorted(self._versions["hashes"])
            },
            "stored": self._stored.counts,
            "cpu_s": time.process_time() - self._began_s,
            "search_us_per_hash": 1e6 * self._searched_s / max(bounds["hashes"], 1),
            "examples": self._examples[:_EXAMPLES],
            **self._tail.counts(),
        }


def false_matches(
    every: Sequence[Source],
    hashes: int,
    lookups: int,
    minutes: float,
    seed: int,
    sabotage: Sabotage | None = None,
    effort: Effort = Effort.STANDARD,
) -> Iterator[dict[str, Any]]:
    """Store about so many hashes, look so many pictures up or as many as time allows; reports."""
    until_s = time.monotonic() + 60 * minutes
    stored = kept([media for media in every if media.stored or sabotage], hashes, seed)
    count = Count(stored, lookups, seed, effort)
    asked = [media for media in every if not media.stored]
    order = list(zip(asked, shares(asked, lookups), strict=True))
    order = [order[at] for at in np.random.default_rng(seed).permutation(len(order))]
    shown_s = time.monotonic()
    for part in range(_PASSES):
        for source, shown in order:  # mixed, so that an early end leaves no kind out
            places = range(part, shown, _PASSES)
            if not places:
                continue
            for place, luma in zip(places, views(source, places, seed + 1), strict=True):
                count.look_up(source, place, luma)
            if time.monotonic() > until_s:
                yield count.report()
                return
            if time.monotonic() > shown_s + _REPORT_EVERY_S:
                shown_s = time.monotonic()
                yield count.report()
    yield count.report()


def said(report: dict[str, Any]) -> str:
    """Return a line that sums up the report."""
    return (
        f"{report['found']} of {report['lookups']} unrelated lookups, of {report['sources']}"
        f" sources, found something among {report['stored']['hashes']} hashes;"
        f" {report['cpu_s']:.0f} s of processor time."
    )


def rows_of(report: dict[str, Any]) -> list[dict[str, object]]:
    """Return a row for each kind of source, and of all, with upper 95 % bounds of shares."""
    kinds = report["kinds"] | {"all": report}
    columns = (*_COUNTED, "upper_95", "upper_95_sources", "upper_95_hashes")
    return [{"looked up": name} | {key: row[key] for key in columns} for name, row in kinds.items()]


def tables_of(report: dict[str, Any]) -> dict[str, list[dict[str, object]]]:
    """Return the aggregates of the report as tables."""
    return {
        "false_matches": rows_of(report),
        "versions": [{"looked up": name, **of} for name, of in report["versions"].items()],
        "pairs": [{"within": name, **of} for name, of in report["pairs"].items()],
        "nearest": [
            {"bits": bits, "hashes": count} for bits, count in report["nearest_distances"].items()
        ],
        "stored": [{name: of for name, of in report["stored"].items() if not isinstance(of, dict)}],
        "cost": [{name: report[name] for name in ("cpu_s", "search_us_per_hash")}],
    }


def _version(transform: Transform) -> str:
    """Name the kind of version that a hash is looked up of; cells of a grid are parts."""
    name = "straightened" if transform.corners else "part" if any(transform.crop) else "whole"
    return f"{name}, negative" if transform.negative else name


def _bounds(kinds: dict[str, Kind]) -> dict[str, Any]:
    """Return upper 95 % bounds of shares: of sources, which alone are independent, and of parts."""

    def upper_95(count: int, of: int) -> float:
        return float(chi2.ppf(0.95, 2 * count + 2)) / 2 / max(of, 1)

    def row(counts: dict[str, int]) -> dict[str, Any]:
        return {
            **counts,
            "upper_95": upper_95(counts["found"], counts["lookups"]),
            "upper_95_sources": upper_95(counts["found_sources"], counts["sources"]),
            "upper_95_hashes": upper_95(counts["found_hashes"], counts["hashes"]),
        }

    counts = {
        name: {
            "sources": len(kind.asked),
            "lookups": kind.lookups,
            "hashes": kind.hashes,
            "found": kind.matched,
            "found_sources": len(kind.matched_sources),
            "found_hashes": kind.matched_hashes,
        }
        for name, kind in sorted(kinds.items())
    }
    total = {name: sum(kind[name] for kind in counts.values()) for name in _COUNTED}
    return {**row(total), "kinds": {name: row(kind) for name, kind in counts.items()}}


def pairs_shown(every: Sequence[Source], report: dict[str, Any], seed: int, folder: Path) -> None:
    """Write PNG files of what was found: both views, and the parts that are near each other."""
    folder.mkdir(parents=True, exist_ok=True)
    by_name = {(source.kind, source.name): source for source in every}
    for at, example in enumerate(report["examples"]):
        shown = []
        sides = (example["asked"], seed + 1), (example["stored"], seed)
        for ((kind, name, place), of), steps in zip(sides, example["steps"], strict=True):
            luma = next(views(by_name[kind, name], [place], of))
            shown += [square(luma), square(version(luma, Transform(*steps)))]
        cv2.imwrite(str(folder / f"{at:03}-{example['distance_bits']}.png"), np.hstack(shown))


def version(luma: NDArray[np.uint8], transform: Transform) -> NDArray[np.uint8]:
    """Return what a version shows of a picture, (height, width); turned by right angles only."""
    if transform.corners:
        luma = straightened(luma, transform.corners)
    mirrored, quarters = divmod(transform.dihedral, 4)
    turned = np.rot90(luma[:, ::-1] if mirrored else luma, -quarters)
    left, top, right, bottom = (permille / 1000 for permille in transform.crop)
    height, width = turned.shape
    part = turned[
        int(top * height) : max(math.ceil((1 - bottom) * height), 1),
        int(left * width) : max(math.ceil((1 - right) * width), 1),
    ]
    return 255 - part if transform.negative else part


@click.command(help=__doc__)
@figures.outputs(
    cannot_show="Sources here are not what people upload to a platform: pictures of one meme"
    " or screen match each other there. Views of one source are not independent."
)
@click.option(
    "--lookups",
    type=click.IntRange(1),
    default=100_000,
    show_default=True,
    help="Pictures looked up.",
)
@click.option(
    "--stored",
    type=click.IntRange(1000),
    default=1_000_000,
    show_default=True,
    help="Hashes they search in.",
)
@click.option("--minutes", default=600.0, show_default=True, help="Most time for them.")
@click.option("--show", type=click.Path(path_type=Path), help="Folder for pictures of it.")
@folder_option
@click.option(
    "--sabotage",
    type=click.Choice(get_args(Sabotage)),
    help="Store what is looked up, too: matches must be reported.",
)
@click.option("--seed", default=1, show_default=True)
@click.option(
    "--split",
    type=click.Choice(get_args(Split)),
    default=1,
    show_default=True,
    help="How sources are split; each split looks up other pairs of them.",
)
@click.option(
    "--effort",
    type=click.Choice([Effort.STANDARD.name, Effort.THOROUGH.name]),
    default=Effort.STANDARD.name,
    show_default=True,
    help="Of the lookups.",
)
def main(  # noqa: PLR0913 options
    *,
    lookups: int,
    stored: int,
    minutes: float,
    show: Path | None,
    folder: Path | None,
    sabotage: Sabotage | None,
    seed: int,
    split: Split,
    effort: str,
) -> None:
    """Count, print, write."""
    every = sources(folder, split)
    report: dict[str, Any] = {}
    for report in false_matches(every, stored, lookups, minutes, seed, sabotage, Effort[effort]):
        click.echo(said(report))
        figures.publish(
            tables_of(report), details={"examples": report["examples"]}, is_complete=False
        )
    tables = tables_of(report)
    for name in ("false_matches", "versions", "pairs"):
        figures.show(tables[name])
    if show:
        pairs_shown(every, report, seed, show)
    failures = ["unrelated pictures match"] if report["found"] else []
    figures.publish(tables, failures=failures, details={"examples": report["examples"]})


if __name__ == "__main__":
    main()
