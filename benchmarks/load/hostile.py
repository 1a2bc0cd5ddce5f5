"""Attack a server behind the proxy, in five ways, beside honest callers who must not notice.

Server and proxy are on one core, attackers and callers on another. Callers make a fifth of the
lookups that the server could answer, in an open loop, and a withdrawal and a check of health each
second. A profile fails where an attack cost more than it may: see BOUNDS. Needs HAProxy, and root,
since HAProxy changes its user.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing.connection import Connection

import click
import numpy as np

from benchmarks.load.arrivals import (
    OK,
    Call,
    Called,
    arrivals,
    closed_loop,
    goodput_per_s,
    open_loop,
    quantile_ms,
)
from benchmarks.load.attacks import ATTACKS, STRANGERS, Target, attack
from benchmarks.load.calls import Callers
from benchmarks.load.site import Result, Settings, Site
from rig.processes.running import cpu_s, memory_mb, session
from rig.servers.proxied import Proxy, unusable

BOUNDS = {"answered": 0.8, "processor_time": 1.2, "withdrawal_p99_ms": 2000, "memory_mb": 1700}
"""Least share of the lookups that are answered, most processor time of each, of the baseline's;
most ms of a withdrawal; most memory, in units of 10⁶ bytes, as docs/what-a-key-can-cost.md says."""

_SHARE = 0.2
_SAMPLE_S = 0.25
_CALLERS = 16
"""Callers of the closed loop that finds how much the server answers."""
_PICTURES_EVERY = 20
"""Lookups from one picture to the next; the others are of 64 hashes."""
_PICTURE_PX = (512, 384)
_WITHIN_S = 10.0
"""Deadline of a lookup: one that is answered later is no answer."""
_EVERY_S = 1.0
"""From a withdrawal, and a check of health, to the next."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Measurements of one stretch of time."""

    calls: list[Called]
    cpu_s: float
    peak_mb: float

    def of(self, kind: str) -> list[Called]:
        """Return the calls of a kind."""
        return [call for call in self.calls if call.kind == kind]

    def answered(self, kind: str) -> float:
        """Return the share of the calls of a kind that were answered well."""
        calls = self.of(kind)
        return sum(call.outcome == OK for call in calls) / len(calls)

    def p99_ms(self, kind: str) -> float:
        """Return the 99th percentile of the time of calls."""
        return quantile_ms([call.took_s for call in self.of(kind)], 0.99)


@dataclass(frozen=True, slots=True)
class Row:
    """Effects of an attack on lookups, of the baseline's where they are shares, and on others.

    ``processor_time`` is that of server and proxy for each lookup. Of an attacker with a key, what
    its answers, or its bytes, take by themselves is left out. ``broken`` names bounds.
    """

    attack: str
    answered: float
    lookup_p99_ms: float
    baseline_p99_ms: float
    processor_time: float
    withdrawal_p99_ms: float
    health: bool
    memory_mb: float
    attackers_answers: str
    broken: str


class Stage:
    """A server behind the proxy, its callers, and whom to attack. For one event loop."""

    def __init__(self, site: Site, proxy: Proxy, callers: Callers) -> None:
        hostile_key = site.server.make_key("hostile", "match")
        self.target = Target(proxy.address, proxy.authority.decode(), hostile_key)
        self._callers = callers
        self._chance, self._number = random.Random(site.seed), itertools.count()
        self._server, self._proxy = site.server.process.pid, proxy.pid

    def lookup(self) -> Call:
        """Draw a lookup: one in so many of a picture, others of a batch of hashes."""
        is_picture = next(self._number) % _PICTURES_EVERY == 0
        return Call("lookup", self._callers.of("picture" if is_picture else "batch").make)

    async def measure(self, per_s: float, seconds: float) -> Stretch:
        """Let callers make ``per_s`` lookups a second, none for 0, and measure meanwhile."""
        if per_s:
            await self._callers.register(math.ceil(seconds / _EVERY_S))
        peaks = [self.memory_mb()]

        async def sample() -> None:
            while True:
                await asyncio.sleep(_SAMPLE_S)
                peaks.append(self.memory_mb())

        sampling = asyncio.ensure_future(sample())
        began_s = self.cpu_s()
        called: list[Called] = []
        if per_s:
            regular_s = np.arange(0, seconds, _EVERY_S).tolist()
            async with asyncio.TaskGroup() as group:
                times_s = arrivals(per_s, seconds, self._chance)
                group.create_task(open_loop(self.lookup, times_s, called))
                for kind in ("withdrawal", "health check"):
                    draw = partial(self._callers.of, kind)
                    group.create_task(open_loop(draw, regular_s, called))
        else:
            await asyncio.sleep(seconds)
        taken_s = self.cpu_s() - began_s
        sampling.cancel()
        return Stretch(called, taken_s, max(peaks))

    def cpu_s(self) -> float:
        """Return the processor time that server and proxy have taken."""
        taken_s = 0.0
        for process in self._processes():
            with suppress(OSError):  # it has ended
                taken_s += cpu_s(process)
        return taken_s

    def memory_mb(self) -> float:
        """Return the size of the pages that server and proxy have of their own."""
        return sum(memory_mb(process)[0] for process in self._processes())

    def _processes(self) -> list[int]:
        return [self._proxy, *session(self._server)]


async def play(site: Stage, kind: str, per_s: float, seconds: float) -> Row:
    """Measure the callers, an attack, and both; judge."""
    baseline = await site.measure(per_s, seconds / 2)
    idle_mb = site.memory_mb()
    with attacking(kind, site.target) as pipe:
        first = await _answers(pipe, at_least=1)
        alone = await site.measure(0, seconds / 2)
        second = await _answers(pipe)
        attacked = await site.measure(per_s, seconds)
        answers = await _answers(pipe) - second
    own_s = 0.0
    if kind not in STRANGERS:
        answered_alone = (second - first)["OK"]
        own_s = alone.cpu_s * (answers["OK"] / answered_alone if answered_alone else 2)
    each_s = (attacked.cpu_s - own_s) / len(attacked.of("lookup"))
    figures = {
        "answered": attacked.answered("lookup") / baseline.answered("lookup"),
        "processor_time": each_s / (baseline.cpu_s / len(baseline.of("lookup"))),
        "withdrawal_p99_ms": attacked.p99_ms("withdrawal"),
        "memory_mb": max(alone.peak_mb, attacked.peak_mb) - idle_mb,
    }
    broken = [
        name
        for name, figure in figures.items()
        if (figure < BOUNDS[name] if name == "answered" else figure > BOUNDS[name])
    ]
    health = attacked.answered("health check") == 1
    return Row(
        kind,
        lookup_p99_ms=attacked.p99_ms("lookup"),
        baseline_p99_ms=baseline.p99_ms("lookup"),
        health=health,
        attackers_answers=", ".join(f"{count} {name}" for name, count in sorted(answers.items())),
        broken=", ".join(broken + ([] if health else ["health"])),
        **figures,
    )


@contextmanager
def attacking(kind: str, target: Target) -> Iterator[Connection]:
    """Run an attack in a process on the core of the callers; yield its pipe."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=attack, args=(theirs, kind, target), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        process.kill()
        process.join()


async def _answers(pipe: Connection, at_least: int = 0) -> Counter[str]:
    """Return what an attacker was answered, once that is ``at_least`` so much."""
    while True:
        pipe.send("answers")
        answers: Counter[str] = await asyncio.to_thread(pipe.recv)
        if answers.total() >= at_least:
            return answers
        await asyncio.sleep(_SAMPLE_S)


def hostile(settings: Settings) -> Result:
    """Play each attack beside callers, and judge it."""
    if why := unusable():
        raise click.ClickException(f"This profile {why}")
    core = min(os.sched_getaffinity(0))
    one_worker = replace(settings, workers=1)
    with Site.started(one_worker, proxy=True, core=core) as site:
        rows = asyncio.run(_play_all(site, settings.attacks or (*ATTACKS,), settings.seconds))
    failures = [f"{row.attack} breaks {row.broken}" for row in rows if row.broken]
    return Result({"attacks": [asdict(row) for row in rows], "bounds": [BOUNDS]}, failures)


async def _play_all(site: Site, kinds: Sequence[str], seconds: float) -> list[Row]:
    if site.proxy is None:
        raise RuntimeError("attacks are on a server behind the proxy")
    callers = Callers(
        *(site.server, site.codes, site.seed),
        proxy=site.proxy,
        pictures=1,
        size_px=_PICTURE_PX,
        videos=0,
        lookup_within_s=_WITHIN_S,
    )
    async with callers:
        stage = Stage(site, site.proxy, callers)
        called: list[Called] = []
        await closed_loop(stage.lookup, _CALLERS, seconds / 4, called)
        per_s = _SHARE * goodput_per_s(called, seconds / 4)
        return [await play(stage, kind, per_s, seconds) for kind in kinds]
