"""Measure the cost of videos, recall of edited videos, segments and false matches.

Sources are the real videos of packages (scripts/system-packages --videos) and, for each distinct
photograph of this machine, a video of a camera that moves over it, with cuts. Each is registered,
edited at random parameters, and looked up as the service does it. It exits with 1 if
videos match that show nothing of each other.

    ./scripts/bench video --json video.json
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import click
import numpy as np

from benchmarks.harness import report as figures
from benchmarks.recall.recall import interval
from benchmarks.videos.costs import hashing_cost, lookup_cost
from benchmarks.videos.edits import EDITS
from benchmarks.videos.sources import sources
from benchmarks.videos.trials import Trial, attempt, false_matches, hour_of, register

PARTS = ("cost", "lookup", "recall", "false_matches")
_SIZES = ("480p", "720p", "1080p")


@click.command(help=__doc__)
@figures.outputs(cannot_show="Most sources are a camera over a photograph; few videos are real.")
@click.option("--only", "parts", multiple=True, type=click.Choice(PARTS), help="Only these.")
@click.option("--edit", "edits", multiple=True, type=click.Choice(list(EDITS)), default=list(EDITS))
@click.option("--trials", default=2, show_default=True, help="For each edit and source.")
@click.option("--sources", "most", type=int, help="At most, of each kind.  [default: all]")
@click.option("--seconds", default=15.0, show_default=True, help="Length of sources, at most.")
@click.option("--size", "sizes", multiple=True, type=click.Choice(_SIZES), default=_SIZES)
@click.option("--stored", default=1_000_000, show_default=True, help="Frames that are searched.")
@click.option("--seed", default=1, show_default=True)
def main(
    *,
    parts: tuple[str, ...],
    edits: tuple[str, ...],
    trials: int,
    most: int | None,
    seconds: float,
    sizes: tuple[str, ...],
    stored: int,
    seed: int,
) -> None:
    """Measure, print, write."""
    parts = parts or PARTS
    tables: dict[str, list[dict[str, Any]]] = {}
    details: dict[str, object] = {}
    if "cost" in parts:
        tables["cost"] = list(hashing_cost(seconds, sizes))
    if "lookup" in parts:
        tables["lookup"] = list(lookup_cost(stored))
    unrelated: list[tuple[str, str]] = []
    if {"recall", "false_matches"} & set(parts):
        videos = sources(seconds, most)
        registered = register(videos)
        usable = [video for video in videos if video.name not in registered.unusable]
        stored_hashes = {"most_of_a_source": max(registered.hashes), "of_an_hour": hour_of(usable)}
        tables["stored_hashes"] = [stored_hashes]
        kinds = Counter(video.kind for video in usable)
        tables["sources"] = [{"kind": kind, "sources": count} for kind, count in kinds.items()]
        details["not_registered"] = registered.unusable
        if "recall" in parts:
            done: list[Trial] = []
            tables["recall"] = []
            for edit in edits:
                some = [
                    attempt(
                        registered,
                        edit,
                        source,
                        [video for video in usable if video is not source],
                        [seed, list(EDITS).index(edit), trial, number],
                    )
                    for number, source in enumerate(usable)
                    for trial in range(trials)
                ]
                tables["recall"].append(recall_of(edit, some))
                done += some
            tables["segments"] = [segments_of(done)]
            details["missed"] = [[trial.edit, trial.source] for trial in done if not trial.matched]
            unrelated += [(trial.source, name) for trial in done for name in trial.unrelated]
        if "false_matches" in parts:
            looked = false_matches(registered, usable)
            unrelated += looked.matches
            details["pairs"] = sorted(set(unrelated))
            tables["false_matches"] = [
                {
                    "found": len(unrelated),
                    "lookups": looked.lookups,
                    "sources": len(usable),
                    # 95 % bound on the share of sources, by the rule of three
                    "bound": 3 / len(usable) if not unrelated else None,
                    "real_sources": sum(video.kind != "made" for video in usable),
                }
            ]
    for rows in tables.values():
        figures.show(rows)
    failures = ["videos match that show nothing of each other"] if unrelated else []
    figures.publish(tables, failures=failures, details=details)


def recall_of(edit: str, trials: Sequence[Trial]) -> dict[str, object]:
    """Return recall of an edit with its 95 % interval; graphics apart, as few details are."""
    some = [trial for trial in trials if trial.kind != "drawn"]
    low, recall, high = interval([(trial.source, trial.matched) for trial in some])
    drawn = [trial.matched for trial in trials if trial.kind == "drawn"]
    return {
        "edit": edit,
        "recall": recall,
        "low": low,
        "high": high,
        "trials": len(some),
        "one_segment": float(np.mean([trial.segments == 1 for trial in some])),
        "of_drawn": float(np.mean(drawn)) if drawn else None,
    }


def segments_of(trials: Iterable[Trial]) -> dict[str, float]:
    """Return how far the ends of segments are off, in s: in the query and the stored video."""
    matched = [trial for trial in trials if trial.matched and trial.kind != "drawn"]
    sides = {
        "query": [error for trial in matched for error in trial.query_errors_s],
        "stored": [error for trial in matched for error in trial.stored_errors_s],
    }
    both = sides["query"] + sides["stored"]
    report = {"median_error_s": _quantile(both, 0.5), "p95_error_s": _quantile(both, 0.95)}
    for side, errors in sides.items():
        report[f"{side}_p95_error_s"] = _quantile(errors, 0.95)
    return report


def _quantile(errors: Sequence[float], share: float) -> float:
    return float(np.quantile(errors, share)) if errors else math.nan


if __name__ == "__main__":
    main()
