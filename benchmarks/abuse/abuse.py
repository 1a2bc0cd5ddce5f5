"""Attack a server behind the proxy, in five ways, beside honest callers who must not notice.

Server and proxy are on one core, attackers and callers on another. Callers make a fifth of the
calls that the server could answer, in an open loop. Exit code 1 if an attack cost more than it may:
see BOUNDS. Needs HAProxy, and root, since HAProxy changes its user.

    sudo ./scripts/bench abuse --json FILE
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import click
import numpy as np

from benchmarks.abuse.attacks import ATTACKS, STRANGERS, Target, attack
from benchmarks.abuse.callers import Call, Callers
from benchmarks.harness import report
from rig.processes.running import cpu_s, memory_mb, session
from rig.servers import registries
from rig.servers.deployment import WITH_BYTECODE, Deployment, run
from rig.servers.proxied import Proxy, proxied, unusable

BOUNDS = {"answered": 0.8, "processor_time": 1.2, "withdrawal_p99_ms": 2000, "memory_mb": 1700}
"""Least share of the lookups that are answered, most processor time of each, of the baseline's;
most ms of a withdrawal; most memory, in units of 10⁶ bytes, as docs/what-a-key-can-cost.md says."""

_SHARE = 0.2
_SAMPLE_S = 0.25
_HASHES_PER_ITEM = 10


@dataclass(frozen=True, slots=True)
class Stretch:
    """Measurements of one stretch of time."""

    calls: list[Call]
    cpu_s: float
    peak_mb: float

    def of(self, kind: str) -> list[Call]:
        """Return the calls of a kind."""
        return [call for call in self.calls if call.kind == kind]

    def answered(self, kind: str) -> float:
        """Return the share of the calls of a kind that were answered well."""
        calls = self.of(kind)
        return sum(call.good for call in calls) / len(calls)

    def p99_ms(self, kind: str) -> float:
        """Return the 99th percentile of the time of calls."""
        return float(np.percentile([call.took_s for call in self.of(kind)], 99)) * 1000


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


class Site:
    """A server behind the proxy, and its callers. For one event loop."""

    def __init__(self, server: Deployment, proxy: Proxy) -> None:
        authority = proxy.authority.decode()
        ordinary, hostile = (server.make_key(name, "match") for name in ("ordinary", "hostile"))
        helpline = server.make_key("helpline", "register")
        self.callers = Callers(proxy.address, authority, ordinary, helpline)
        self.target = Target(proxy.address, authority, hostile)
        self._server, self._proxy = server.process.pid, proxy.pid

    async def measure(self, per_s: float, seconds: float) -> Stretch:
        """Let callers make ``per_s`` lookups a second, none for 0, and measure meanwhile."""
        peaks = [self.memory_mb()]

        async def sample() -> None:
            while True:
                await asyncio.sleep(_SAMPLE_S)
                peaks.append(self.memory_mb())

        sampling = asyncio.ensure_future(sample())
        began_s = self.cpu_s()
        calling = self.callers.call(per_s, seconds) if per_s else asyncio.sleep(seconds, [])
        calls = await calling
        taken_s = self.cpu_s() - began_s
        sampling.cancel()
        return Stretch(calls, taken_s, max(peaks))

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


async def play(site: Site, kind: str, per_s: float, seconds: float) -> Row:
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
    health = attacked.answered("health") == 1
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


async def _play_all(
    server: Deployment, proxy: Proxy, kinds: list[str], seconds: float
) -> list[Row]:
    site = Site(server, proxy)
    await site.callers.register()
    per_s = _SHARE * await site.callers.capacity(seconds / 4)
    click.echo(f"{per_s:.0f} lookups a second, a fifth of what the server answers", err=True)
    return [await play(site, kind, per_s, seconds) for kind in kinds]


@click.command(help=__doc__)
@report.outputs(
    cannot_show="Attackers have one machine and five ways; a distributed flood is not tried."
)
@click.option("--only", multiple=True, type=click.Choice([*ATTACKS]), help="Only these.")
@click.option("--seconds", default=15.0, show_default=True, help="Of each attack beside callers.")
@click.option("--size", default=100_000, show_default=True, help="Hashes to search in.")
def main(only: tuple[str, ...], seconds: float, size: int) -> None:
    """Attack, show the table, write the report; exit with 1 if an attack cost too much."""
    if why := unusable():
        raise click.ClickException(f"bench abuse {why}")
    codes = np.random.default_rng(1).integers(0, 256, (size, 32), np.uint8)
    cores = sorted(os.sched_getaffinity(0))
    pinned = ("taskset", "--cpu-list", str(cores[0]))
    with tempfile.TemporaryDirectory(prefix="disrupt-") as name, ExitStack() as stack:
        work = Path(name)
        registries.fill(work / "data", codes, _HASHES_PER_ITEM)
        run("disrupt-index", "rebuild", "--data-dir", work / "data")
        server = Deployment.start(work / "data", wrapper=(*pinned, *WITH_BYTECODE), workers=1)
        stack.callback(server.kill)
        proxy = stack.enter_context(proxied(server.address, work, wrapper=pinned))
        os.sched_setaffinity(0, cores[-1:])
        rows = asyncio.run(_play_all(server, proxy, [*(only or ATTACKS)], seconds))
    figures = {"attacks": [asdict(row) for row in rows], "bounds": [BOUNDS]}
    report.show(figures["attacks"])
    report.publish(
        figures, failures=[f"{row.attack} breaks {row.broken}" for row in rows if row.broken]
    )


if __name__ == "__main__":
    main()
