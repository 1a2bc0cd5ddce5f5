"""Kill the real server under concurrent registration, or the indexer under lookups.

With --target server nothing acknowledged may be lost. Each kill is a SIGKILL to all processes, to
the writer, or to the supervisor, with at least one write in flight: sent, and not answered. After
each, everything acknowledged so far must be in the registry unchanged. Registered items must match
at distance 0 through the public API, withdrawn ones must not. A write in flight must be stored
wholly or not at all, and sending it again must give one answer. `disrupt-index verify` must find
no difference.

With --target indexer the old snapshot must always serve, and none may ever be loaded in part. Each
kill is a SIGKILL to a rebuild or a compaction, every other one in place of a system call: each
write, fsync and rename in turn. Lookups go on all the while. After each kill, the server and a
process that starts then must answer rightly for every hash that is registered or withdrawn.
`disrupt-index verify` must find no difference.

SIGKILL leaves the page cache alive, so the order of writing is proved as well, see
benchmarks.proofs.ordering and benchmarks.harness.killing. Exit code 0 if all of it held.

    ./scripts/bench crash --kills 200 --json -

    ./scripts/bench crash --target indexer --kills 100 --json -
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from benchmarks.harness import strace
from benchmarks.proofs import crash_indexer
from benchmarks.proofs.crash_server import crash
from benchmarks.proofs.ordering import SABOTAGES, ordering
from benchmarks.sabotages import broken_by
from disrupt import logs


@click.command(help=__doc__)
@click.option("--target", type=click.Choice(["server", "indexer"]), default="server")
@click.option("--kills", default=200, show_default=True, help="How often to kill it.")
@click.option(
    "--acknowledgements",
    default=100,
    show_default=True,
    help="Of the server: how many to check for the order of writing.",
)
@click.option(
    "--hashes",
    default=crash_indexer.HASHES,
    show_default=True,
    help="Of the indexer: how many to index.",
)
@click.option(
    "--json", "json_path", required=True, help="File for the report, - for standard output."
)
@click.option(
    "--sabotage",
    type=click.Choice([*SABOTAGES, *crash_indexer.SABOTAGES]),
    help="Break the target: must be found.",
)
@click.option("--seed", default=1, show_default=True)
def main(
    target: str,
    kills: int,
    acknowledgements: int,
    hashes: int,
    json_path: str,
    sabotage: str | None,
    seed: int,
) -> None:
    """Kill, check, write the report; exit with 1 if anything was lost."""
    if sabotage not in {None, *(SABOTAGES if target == "server" else crash_indexer.SABOTAGES)}:
        raise click.UsageError(f"--sabotage {sabotage} is not one of the {target}")
    logs.configure("crash", "warning")
    of_server, of_indexer = partial(_kill_server, acknowledgements), partial(_kill_indexer, hashes)
    kill = of_server if target == "server" else of_indexer
    with tempfile.TemporaryDirectory(prefix="disrupt-crash-") as work:
        report, failed = kill(Path(work), kills, seed, sabotage)
    report |= {"target": target, "sabotage": sabotage, "seed": seed}
    with click.open_file(json_path, "w") as file:
        file.write(json.dumps(report, indent=2) + "\n")
    sys.exit(failed)


def _kill_server(
    acknowledgements: int, work: Path, kills: int, seed: int, sabotage: str | None
) -> tuple[dict[str, Any], bool]:
    tally = crash(work / "data", kills, seed=seed, wrapper=broken_by(sabotage))
    order = None
    if strace.is_there():
        (work / "order").mkdir()
        order = ordering(work / "order", acknowledgements, seed=seed, sabotage=sabotage)
    failed = tally.failed or bool(order and order.violations)
    return asdict(tally) | {"order": order and vars(order)}, failed


def _kill_indexer(
    hashes: int, work: Path, kills: int, seed: int, sabotage: str | None
) -> tuple[dict[str, Any], bool]:
    wrapper = broken_by(sabotage)
    tally = crash_indexer.crash(work / "data", kills, seed=seed, hashes=hashes, wrapper=wrapper)
    return asdict(tally), tally.failed


if __name__ == "__main__":
    main()
