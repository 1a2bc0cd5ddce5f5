"""Measure recall of edited copies, with parameters off any grid, beside python-threatexchange.

It takes photographs of packages (scripts/system-packages --photographs, scikit-image, scikit-learn)
or of --folder, makes them distinct and splits them in two halves: parameters are chosen on the
development half, and recall is reported on the other. Photographs that were added after all had
been chosen are in neither half, but unseen. It keeps finished trials beside the report, so that a
run can be interrupted, or split by --edit. Then it looks up pictures that have nothing to do with
what is stored, and counts the false matches.

    ./scripts/bench recall --json recall.json
"""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import get_args

import click
import numpy as np

from benchmarks.harness import report as figures
from benchmarks.recall.harder_edits import EVERY_EDIT
from benchmarks.recall.originals import Half, Photograph, chosen, collection, folder_option
from benchmarks.recall.promises import PROMISES
from benchmarks.recall.recall_trials import (
    EFFORTS,
    Registered,
    Task,
    Trial,
    begin,
    code_version,
    register,
    run,
)
from benchmarks.recall.sources import sources
from benchmarks.recall.unrelated import false_matches, said, tables_of
from disrupt.core.lookups import Effort

_TRIALS_A_TASK = 8
_TIMES = {"two_edits": 6, "crop_sides": 4, "rotation": 3}
"""Factor of trials for edits that stand for many: all pairs of edits, four sides at once."""


@dataclass(frozen=True, slots=True)
class Row:
    """Recall of an edit or group of edits at an effort, with its 95 % interval."""

    edit: str
    effort: str
    recall: float
    low: float
    high: float
    threatexchange: float
    trials: int
    photographs: int


@click.command(help=__doc__)
@figures.outputs(
    cannot_show="Photographs of packages are not those of a hotline: no bodies, no bedrooms."
    " One program made every edit; others blur, round and sharpen otherwise."
)
@click.option(
    "--edit", "edits", multiple=True, type=click.Choice(list(EVERY_EDIT)), help="Only these."
)
@click.option("--trials", default=6, show_default=True, help="For each edit and photograph.")
@click.option(
    "--half",
    type=click.Choice([*get_args(Half), "all"]),
    default="held-out",
    show_default=True,
)
@click.option("--photographs", "n_photographs", type=int, help="At most.  [default: all]")
@folder_option
@click.option("--unrelated", default=100_000, show_default=True, help="Unrelated lookups.")
@click.option("--stored", default=1_000_000, show_default=True, help="Hashes they search in.")
@click.option("--minutes", default=600.0, show_default=True, help="Most time for them.")
@click.option("--processes", default=os.cpu_count() or 1, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(  # noqa: PLR0913 one for each option
    *,
    edits: tuple[str, ...],
    trials: int,
    half: Half,
    n_photographs: int | None,
    folder: Path | None,
    unrelated: int,
    stored: int,
    minutes: float,
    processes: int,
    seed: int,
) -> None:
    """Measure, print, write."""
    photographs = chosen(collection(folder), half, n_photographs)
    if len(photographs) < 2:
        sys.exit(
            "Fewer than two photographs here: scripts/system-packages --photographs, or --folder."
        )
    path = figures.json_path()
    kept = path.with_suffix(".trials.jsonl") if path else None
    settings: dict[str, object] = {
        "half": half,
        "seed": seed,
        "photographs": [photograph.name for photograph in photographs],
        "version": code_version(),
    }
    done = _kept_trials(kept, settings)
    tasks = list(_tasks(edits or tuple(EVERY_EDIT), photographs, trials, seed, done))
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=spawn) as pool:
        registered = [
            original for originals in pool.map(register, photographs) for original in originals
        ]
    with ProcessPoolExecutor(
        processes, mp_context=spawn, initializer=begin, initargs=(registered, photographs)
    ) as pool:
        for results in pool.map(run, tasks):
            done.extend(results)
            _keep(kept, results)
    rows = rows_of(done)
    shown = [(row, PROMISES.get(row.effort, {}).get(row.edit)) for row in rows]
    figures.show(
        [
            asdict(row) | {"promised": promised}
            for row, promised in shown
            if row.effort == Effort.STANDARD.name or promised is not None
        ]
    )
    groups = {group for group, _ in EVERY_EDIT.values()}
    tables = {
        "groups": [asdict(row) for row in rows if row.edit in groups],
        "edits": [asdict(row) for row in rows if row.edit not in groups],
        **cost_of(registered, done),
    }
    publish = partial(
        figures.publish,
        parameters={"photographs": len(photographs), "version": settings["version"]},
    )
    # Now, so that it is there if the rest is interrupted.
    publish(tables, is_complete=not unrelated)
    if unrelated:
        for result in false_matches(sources(folder), stored, unrelated, minutes, seed):
            publish(tables | tables_of(result), is_complete=False)
        click.echo(said(result))
        publish(tables | tables_of(result))


def rows_of(trials: Sequence[Trial]) -> list[Row]:
    """Return rows of each group of edits, then of each edit, at each effort."""
    rows = []
    by_edit: dict[str, list[Trial]] = {}
    for trial in trials:
        by_edit.setdefault(trial.edit, []).append(trial)
    groups: dict[str, list[str]] = {}
    for edit, (group, _) in EVERY_EDIT.items():
        if edit in by_edit:
            groups.setdefault(group, []).append(edit)
    for group, names in groups.items():
        for name, of in [(group, names), *((edit, [edit]) for edit in names if len(names) > 1)]:
            some = [trial for edit in of for trial in by_edit[edit]]
            for effort in EFFORTS if some else ():
                low, recall, high = interval(
                    [
                        (counted.photograph, counted.distances[effort.name] is not None)
                        for counted in some
                    ]
                )
                peer = float(np.mean([counted.threatexchange for counted in some]))
                rows.append(
                    Row(
                        name,
                        effort.name,
                        recall,
                        low,
                        high,
                        peer,
                        len(some),
                        len({counted.photograph for counted in some}),
                    )
                )
    return rows


def interval(results: Iterable[tuple[str, bool]]) -> tuple[float, float, float]:
    """Return low, share, high: the share found in its 95 % interval, clustered by photograph.

    Wilson's interval over as many independent trials as these are worth: n divided by the design
    effect of the clusters, and no more than there are photographs where all or none were found.
    """
    clusters: dict[str, list[bool]] = {}
    for photograph, is_found in results:
        clusters.setdefault(photograph, []).append(is_found)
    n = sum(map(len, clusters.values()))
    share = sum(map(sum, clusters.values())) / n
    worth = float(len(clusters))
    if 0 < share < 1 and len(clusters) > 1:
        errors = [sum(cluster) - share * len(cluster) for cluster in clusters.values()]
        variance = sum(error**2 for error in errors) * len(errors) / (len(errors) - 1) / n**2
        worth = max(min(share * (1 - share) / variance, n), len(clusters)) if variance else n
    z = 1.96
    centre = (share + z**2 / (2 * worth)) / (1 + z**2 / worth)
    half = z / (1 + z**2 / worth) * (share * (1 - share) / worth + z**2 / (4 * worth**2)) ** 0.5
    return max(centre - half, 0.0), share, min(centre + half, 1.0)


def cost_of(
    registered: Sequence[Registered], trials: Sequence[Trial]
) -> dict[str, list[dict[str, object]]]:
    """Return hashes stored and looked up for a picture, and the processor time to make them."""
    stored = [len(original.fingerprints) for original in registered]
    registration_ms = [original.registration_ms for original in registered]
    return {
        "registrations": [
            {
                "mean_hashes": float(np.mean(stored)),
                "most_hashes": max(stored),
                "pictures": len(stored),
                "mean_ms": float(np.mean(registration_ms)),
            }
        ],
        "lookups": [
            {
                "effort": effort.name,
                "mean_hashes": float(np.mean([trial.lookups[effort.name] for trial in trials])),
                "most_hashes": max(trial.lookups[effort.name] for trial in trials),
                "hashing_ms": float(np.mean([trial.hashing_ms[effort.name] for trial in trials])),
            }
            for effort in EFFORTS
        ],
    }


def _tasks(
    edits: Sequence[str],
    photographs: Sequence[Photograph],
    trials: int,
    seed: int,
    done: Sequence[Trial],
) -> Iterable[Task]:
    known = {(trial.edit, trial.photograph, trial.number) for trial in done}
    for photograph in photographs:
        for edit in edits:
            wanted = trials * _TIMES.get(edit, 1)
            left = [at for at in range(wanted) if (edit, photograph.name, at) not in known]
            for first in range(0, len(left), _TRIALS_A_TASK):
                numbers = tuple(left[first : first + _TRIALS_A_TASK])
                yield Task(edit, photograph.name, numbers, seed)


def _kept_trials(path: Path | None, settings: dict[str, object]) -> list[Trial]:
    """Load trials of an earlier run; begin the file anew where its settings differ."""
    if path is None:
        return []
    if path.exists():
        first, *lines = path.read_text("utf-8").splitlines()
        if json.loads(first) == settings:
            return [Trial(**json.loads(line)) for line in lines]
    path.write_text(json.dumps(settings) + "\n", "utf-8")
    return []


def _keep(path: Path | None, trials: Sequence[Trial]) -> None:
    if path:
        with path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(asdict(trial)) + "\n" for trial in trials)


if __name__ == "__main__":
    main()
