"""Kills the real server under concurrent registration: nothing acknowledged may be lost.

Each kill is a SIGKILL to all processes, to the writer, or to the supervisor, with at least one
write in flight: sent, and not answered. After each, everything acknowledged so far must be in the
registry unchanged, and registered items be matched at distance 0 through the public API, withdrawn
ones not. What was in flight must be stored wholly or not at all, and sending it again must give one
answer. `disrupt-index verify` must find nothing.

SIGKILL leaves the page cache alive, so the order of writing is proved as well, see
benchmarks.ordering. Exit code 0 if all of it held.

    python -m benchmarks.crash --kills 200 --json -
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from benchmarks import strace
from benchmarks.crash_server import crash
from benchmarks.ordering import SABOTAGES, ordering
from benchmarks.sabotages import broken_by

_ORDER_ACKNOWLEDGEMENTS = 100


@click.command(help=__doc__)
@click.option("--kills", default=200, show_default=True, help="How often to kill it.")
@click.option(
    "--json", "json_path", required=True, help="File for the report, - for standard output."
)
@click.option("--sabotage", type=click.Choice(SABOTAGES), help="Break the server: must be found.")
@click.option("--target", type=click.Choice(["server"]), default="server", show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(kills: int, json_path: str, sabotage: str | None, target: str, seed: int) -> None:
    """Kill, check, write the report; exit with 1 if anything was lost."""
    with tempfile.TemporaryDirectory(prefix="disrupt-crash-") as made:
        work = Path(made)
        tally = crash(work / "data", kills, seed=seed, wrapper=broken_by(sabotage))
        order = None
        if strace.is_there():
            (work / "order").mkdir()
            order = ordering(work / "order", _ORDER_ACKNOWLEDGEMENTS, seed=seed, sabotage=sabotage)
    report: dict[str, Any] = asdict(tally) | {"order": order and asdict(order)}
    report |= {"target": target, "sabotage": sabotage, "seed": seed}
    with click.open_file(json_path, "w") as file:
        file.write(json.dumps(report, indent=2) + "\n")
    sys.exit(tally.failed or bool(order and order.violations))


if __name__ == "__main__":
    main()
