"""Play hostile callers against a real server, beside ordinary ones who must not notice.

Each attack runs alone, then all together. In the baseline the same attackers call a sink, which
drops what they send and ends calls that last, while the same ordinary callers call the server.
Attackers begin calls at the same pace in both, and burn no more processor time in the baseline, so
the difference is what an attack costs beyond that. Attack and baseline
take turns in coming first, so that drift cancels. Exit code 0 if others kept four fifths of the
baseline's throughput, withdrawals took at most 2 s, writer and workers at most four messages of
memory, PINs were checked at most at the promised rate, and health was always true.

    ./scripts/bench abuse --json FILE
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from benchmarks.abuse.attacks import ATTACKS

SABOTAGES = {
    "unthrottled-pins": "pin-guessing",
    "unlimited-messages": "large-video-messages",
    "greedy-callers": "unfinished-calls",
    "unreserved-health": "strangers",
    "patient-videos": "slow-videos",
    "endless-messages": "slow-uploads",
    "endless-headers": "endless-headers",
    "unbounded-comparisons": "degenerate-videos",
}
"""The attack in which each sabotage shows."""


@click.command(help=__doc__)
@click.option("--json", "json_path", required=True, help="File for the report.")
@click.option("--only", multiple=True, type=click.Choice([*ATTACKS]), help="Only these attacks.")
@click.option("--seconds", default=20.0, show_default=True, help="Each round of each attack.")
@click.option("--rounds", default=3, show_default=True, help="Of each alone; 0: only at once.")
@click.option("--seconds-together", default=300.0, show_default=True, help="All attacks at once.")
@click.option("--size", default=100_000, show_default=True, help="Hashes to search in.")
@click.option(
    "--every-s", default=0.0, show_default=True, help="From a lookup of each caller to its next."
)
@click.option(
    "--sabotage", type=click.Choice([*SABOTAGES]), help="Lift a limit: the attack must be found."
)
def main(
    *,
    json_path: str,
    only: tuple[str, ...],
    seconds: float,
    rounds: int,
    seconds_together: float,
    size: int,
    every_s: float,
    sabotage: str | None,
) -> None:
    """Attack, compare, write the report; exit with 1 if anything promised was not kept."""
    # Imported here, since each attacker is a process that imports this module.
    from benchmarks.abuse import rows as abuse_rows  # noqa: PLC0415
    from benchmarks.abuse.run import commit, running  # noqa: PLC0415

    rows: list[abuse_rows.Row] = []
    settings = {
        "sabotage": sabotage,
        "limits": {
            "others_throughput_share": abuse_rows.LEAST_SHARE,
            "withdrawal_p99_ms": abuse_rows.MOST_WITHDRAWAL_MS,
            "pin_checks_per_s": abuse_rows.MOST_PIN_CHECKS_PER_S,
            "max_message_bytes": abuse_rows.MAX_MESSAGE_BYTES,
            "messages_of_memory": abuse_rows.MOST_MESSAGES,
        },
        "size": size,
        "every_s": every_s,
        "seconds": seconds,
        "rounds": rounds,
        "seconds_together": seconds_together,
        "commit": commit(),
        "machine": {"cores": os.cpu_count(), "os": platform.platform()},
    }
    kinds = only or ((SABOTAGES[sabotage],) if sabotage else (*ATTACKS,))
    alone = [((kind,), seconds, rounds) for kind in kinds if rounds]
    at_once = [(kinds, seconds_together, 1)] if not rounds or len(kinds) == len(ATTACKS) else []
    for measured in alone + at_once:
        # Each has a server of its own, so that no attack finds what another left.
        with (
            tempfile.TemporaryDirectory(prefix="disrupt-abuse-") as work,
            running(Path(work), size, every_s, sabotage) as run,
        ):
            row = run.measure(*measured)
        rows.append(row)
        click.echo(f"{row.kind}: {', '.join(row.failed) or 'kept'}", err=True)
        # Written after each, since all of them take the better part of an hour.
        failed = any(row.failed for row in rows)
        report = {"attacks": [asdict(row) for row in rows], "failed": failed} | settings
        Path(json_path).write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    sys.exit(failed)


if __name__ == "__main__":
    main()
