"""Switch items off and on for thousands of steps, and compare all that is read with a plain model.

Steps are drawn at random: people register, register again and withdraw; items change their state,
move to another bank and are confirmed; workers follow, lag and restart; the index is rebuilt,
compacted, erased from and rolled back; mirrors of all banks and of one read pages of the feed; a
writer is killed, and a backup restored. After each step the registry must hold exactly what the
model says, a worker that follows must find exactly the items that are LIVE, in their banks and with
their assurance, and after an erasure no file of the index may hold what was withdrawn. Stops at the
first difference, and then exits with 1.

    ./scripts/bench states --steps 10000 --json -
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click

from benchmarks.proofs.states_model import Difference
from benchmarks.proofs.states_run import Report, Run
from benchmarks.proofs.states_sabotages import SABOTAGES
from disrupt import logs


def states(work: Path, steps: int, seed: int) -> Report:
    """Take so many steps, or fewer up to the first difference; return what was done."""
    # No worker of this process follows while an erasure waits for that.
    with patch("disrupt.feed.erasure._TAKE_UP_S", 0.0), closing(Run(work, seed)) as run:
        try:
            for _ in range(steps):
                run.step()
            run.finish()
        except Difference as difference:
            run.report.differences.append(f"step {run.report.steps}: {difference}")
    return run.report


@click.command(help=__doc__)
@click.option("--steps", default=10_000, show_default=True, help="How many steps to take.")
@click.option(
    "--json", "json_path", required=True, help="File for the report, - for standard output."
)
@click.option("--sabotage", type=click.Choice([*SABOTAGES]), help="Break it: must be found.")
@click.option("--seed", default=1, show_default=True)
def main(steps: int, json_path: str, sabotage: str | None, seed: int) -> None:
    """Run, write the report; exit with 1 if anything differed."""
    logs.configure("states", "critical")  # a restore logs an error, as it should
    began_s = time.monotonic()
    broken = SABOTAGES[sabotage]() if sabotage else nullcontext()
    with broken, tempfile.TemporaryDirectory(prefix="disrupt-states-") as work:
        report = states(Path(work), steps, seed)
    with click.open_file(json_path, "w") as file:
        values: dict[str, Any] = {
            "steps": report.steps,
            "differences": len(report.differences),
            "problems": report.differences,
            "acts": dict(sorted(report.acts.items())),
            "killed_between": report.killed_between,
            "seed": seed,
            "sabotage": sabotage,
            "seconds": round(time.monotonic() - began_s, 1),
        }
        file.write(json.dumps(values, indent=2) + "\n")
    sys.exit(bool(report.differences))


if __name__ == "__main__":
    main()
