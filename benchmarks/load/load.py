"""Load a server with the calls of platforms and of people, in one of several profiles.

- ``steady``: callers that wait for each answer find the peak (a closed loop). Then calls arrive at
  random times, at shares of the peak (open loops), and each is timed from when it was due;
  ``served`` times it from when it was sent, as many tools do.
- ``soak``: so many minutes at 70 % of the peak, which is found again in each tenth of them, with
  new generations of the index. Fails on any error, on memory that may grow by more than a byte a
  call (upper bound of the 95 % interval), on other processes, on more open files, and on a p99 that
  doubles.
- ``overload``: five times the pictures and videos that the server sustains, and half of them again.
  The server has to answer 80 % of its peak, to refuse the rest within 100 ms and with a time to try
  again, to answer all within 5 s of its end, and to look hashes up meanwhile.
- ``reload``: reloads under load, of which no call may notice; then the outage after a kill.
- ``hostile``: five attacks through the proxy, of which other callers must notice little. Needs
  HAProxy and root.

Every answer is checked; a wrong one, and a promise that is broken, make the exit code 1.

    ./scripts/bench load --profile soak --minutes 30 --json soak.json
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from typing import Any

import click

from benchmarks.harness import report
from benchmarks.load.arrivals import Called, arrivals, closed_loop, goodput_per_s, open_loop
from benchmarks.load.attacks import ATTACKS
from benchmarks.load.calls import SHARES, WRONG, Callers
from benchmarks.load.hostile import hostile
from benchmarks.load.overload import overload
from benchmarks.load.reload import reload
from benchmarks.load.site import Profile, Result, Settings, Site, quantiles_of
from benchmarks.load.soak import soak

_CALLERS = 16
"""Callers of the closed loop."""
_LOADS = (0.3, 0.5, 0.7, 0.9)


def steady(settings: Settings) -> Result:
    """Find the peak, and measure at shares of it."""
    with Site.started(settings) as site:
        return asyncio.run(_loops(site, settings.seconds))


async def _loops(site: Site, seconds: float) -> Result:
    chance = random.Random(site.seed)
    rows: list[dict[str, object]] = []
    wrong = 0

    def note(load: str, called: Sequence[Called]) -> None:
        nonlocal wrong
        for kind in SHARES:
            row = quantiles_of(kind, called)
            if row["calls"]:
                rows.append({"load": load, **row})
        wrong += sum(call.outcome == WRONG for call in called)

    async with Callers(site.server, site.codes, site.seed) as callers:
        called: list[Called] = []
        await closed_loop(callers.mixed, _CALLERS, seconds, called)
        peak_per_s = goodput_per_s(called, seconds)
        note("closed", called)
        for share in _LOADS if peak_per_s else ():
            called = []
            times_s = arrivals(share * peak_per_s, seconds, chance)
            await open_loop(callers.mixed, times_s, called)
            note(f"{share:.0%}", called)
    figures: dict[str, report.Rows] = {"rows": rows, "peak": [{"peak_per_s": peak_per_s}]}
    return Result(figures, [f"{wrong} answers are wrong"] if wrong else [])


PROFILES: dict[str, Profile] = {
    "steady": steady,
    "soak": soak,
    "overload": overload,
    "reload": reload,
    "hostile": hostile,
}

SABOTAGES = ("empty-answers", "leaky-lookups", "endless-queues", "hasty-ends")


@click.command(help=__doc__)
@click.option("--profile", type=click.Choice([*PROFILES]), default="steady", show_default=True)
@click.option("--size", default=100_000, show_default=True, help="Hashes stored.")
@click.option("--seconds", default=20.0, show_default=True, help="Length of each loop or attack.")
@click.option("--workers", default=2, show_default=True, help="Workers of the server.")
@click.option("--minutes", default=30.0, show_default=True, help="Length of the soak.")
@click.option("--reloads", default=20, show_default=True, help="Times that it reloads.")
@click.option("--age-s", default=5.0, show_default=True, help="connection_max_age_s of reloads.")
@click.option("--proxy", "through_proxy", is_flag=True, help="Reload behind deploy/haproxy.cfg.")
@click.option(
    "--attack", "attacks", multiple=True, type=click.Choice([*ATTACKS]), help="Only these."
)
@click.option("--seed", default=1, show_default=True, help="Seed of arrivals and of calls.")
@click.option("--sabotage", type=click.Choice(SABOTAGES), help="Break the server: it has to fail.")
@report.outputs(
    cannot_show="Callers share one machine with the server; real networks lose and delay."
)
def main(*, profile: str, **settings: Any) -> None:  # noqa: ANN401 options, as click gives them
    """Load, print, write; exit with 1 where something failed."""
    result = PROFILES[profile](Settings(**settings))
    for rows in result.figures.values():
        report.show(rows)
    report.publish(result.figures, failures=result.failures)


if __name__ == "__main__":
    main()
