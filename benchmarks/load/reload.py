"""Reload a server again and again under load, and count the calls that it dropped.

Callers look hashes up on lasting connections and on new ones, and register, each in a closed loop.
No call is made twice or waits for a connection. A call is dropped if it has no answer, unless it
found no connection; the server counts those that it has read, too. Each answer has to be right, and
at the end everything acknowledged has to match. Then the supervisor is killed and the server
started anew: the outage lasts until a lookup is answered.
"""

from __future__ import annotations

import asyncio
import math
import statistics
import time
import urllib.request
from collections import Counter
from functools import partial

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.harness.report import Rows
from benchmarks.load.arrivals import OK, Called, closed_loop
from benchmarks.load.calls import DROPPED, UNCONNECTED, WRONG, Callers
from benchmarks.load.site import Result, Settings, Site, quantiles_of
from disrupt.client import MatchClient
from rig.servers.deployment import FEW_DECODERS, Deployment, run

_CALLERS = {"lookup": 3, "lookup on a new connection": 1, "registration": 1}
"""Callers of each kind."""
_CALM_S = 1.0
"""Time under load before the first reload and after each."""
_READ, _HELD = "disrupt_key_calls_total", "disrupt_held_total"


def counted(server: Deployment, name: str) -> int:
    """Return the sum of a counter over its labels."""
    with urllib.request.urlopen(f"http://{server.metrics_address()}/metrics") as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return round(
        sum(sample.value for family in families for sample in family.samples if sample.name == name)
    )


def reload(settings: Settings) -> Result:
    """Reload under load, then kill the supervisor and start anew."""
    with Site.started(
        settings,
        proxy=settings.through_proxy,
        server_settings=f"{FEW_DECODERS}connection_max_age_s = {settings.age_s}\n",
    ) as site:
        result = asyncio.run(_reloaded(site, settings.reloads))
        result.figures["outage"] = [{"outage_s": outage_s(site)}]
        return result


async def _reloaded(site: Site, times: int) -> Result:
    called: list[Called] = []
    over, reloads_s = asyncio.Event(), []
    async with Callers(
        site.server, site.codes, site.seed, proxy=site.proxy, pictures=0, videos=0
    ) as callers:
        before = counted(site.server, _READ)
        async with asyncio.TaskGroup() as group:
            for kind, count in _CALLERS.items():
                draw = partial(callers.of, kind)
                group.create_task(closed_loop(draw, count, math.inf, called, over))
            await asyncio.sleep(_CALM_S)
            for _ in range(times):
                began_s = time.perf_counter()
                words = ("reload", "--data-dir", site.server.data_dir)
                await asyncio.to_thread(run, "disrupt", *words)
                reloads_s.append(time.perf_counter() - began_s)
                await asyncio.sleep(_CALM_S)
            over.set()
        read = await asyncio.to_thread(counted, site.server, _READ) - before
        held = await asyncio.to_thread(counted, site.server, _HELD)
        lost = await callers.lost()
    outcomes = Counter(call.outcome for call in called)
    dropped = sum(count for name, count in outcomes.items() if name.startswith(DROPPED))
    answered = outcomes.total() - dropped - outcomes[UNCONNECTED]
    checks = {
        f"{dropped} calls were dropped": dropped,
        f"{outcomes[WRONG]} answers are wrong": outcomes[WRONG],
        "calls were refused": answered - outcomes[OK] - outcomes[WRONG],
        f"{lost} acknowledged hashes do not match": lost,
        f"the server read {read} calls and answered {answered}": read != answered,
    }
    figures: dict[str, Rows] = {
        "reloads": [
            {
                "reloads": times,
                "median_s": statistics.median(reloads_s),
                "most_s": max(reloads_s),
                "answered": answered,
                "dropped": dropped,
                "unconnected": outcomes[UNCONNECTED],
                "held": held,
                "lost": lost,
            }
        ],
        "calls": [quantiles_of(kind, called) for kind in _CALLERS],
        "outcomes": [{"outcome": name, "calls": count} for name, count in outcomes.items()],
    }
    return Result(figures, [text for text, is_so in checks.items() if is_so])


def outage_s(site: Site) -> float:
    """Kill the supervisor, start a server; return the time until a lookup is answered."""
    key = site.server.make_key("outage", "match")
    began_s = time.perf_counter()
    site.server.kill_supervisor()
    with site.start(listen=site.server.address) as server:
        with MatchClient(server.address, key=key) as client:
            (answer,) = client.match_hashes(site.codes[:1])
        if not answer.matches:
            raise RuntimeError("a stored hash does not match after the outage")
        return time.perf_counter() - began_s
