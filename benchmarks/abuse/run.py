"""Run `bench abuse` once: a server, its ordinary callers, a sink, and attackers in turn."""

from __future__ import annotations

import math
import random
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.abuse import callers as abuse_callers
from benchmarks.abuse import sink as abuse_sink
from benchmarks.abuse.attack import Keys, Target
from benchmarks.abuse.attacks import TOGETHER, attack
from benchmarks.abuse.measured_process import MeasuredProcess, child
from benchmarks.abuse.rows import (
    MAX_MESSAGE_BYTES,
    Row,
    Stretch,
    compare,
)
from benchmarks.harness import registries
from benchmarks.harness.deployment import WITH_BYTECODE, Deployment, run
from benchmarks.harness.processes import cpu_s, processes, session
from benchmarks.harness.videos import Codec, encode, footage
from benchmarks.harness.writes import Desk, Write
from benchmarks.sabotages import broken_by

_HASHES_PER_ITEM = 10
_WARM_UP_S = 3.0
_BEGINNING_S = 5.0
"""Time for attackers to begin, all at once; it is not part of what is compared."""
_QUIET_S = 1.0
_QUIET_SHARE = 0.2
"""Processor time, beyond that of the idle server, with which it has nothing left to do."""
_QUIET_WITHIN_S = 90.0


class Memory:
    """Resident memory of the writer and the workers: idle, and the peak since."""

    def __init__(self, server: Deployment) -> None:
        self._server = server
        self._of = {
            process: _resident_mb(process, "VmRSS")
            for role in ("worker", "writer")
            for process in processes(server.process.pid, role)
        }

    def forget_peaks(self) -> None:
        """Let peaks begin anew."""
        for process in self._of:
            with suppress(OSError):  # not permitted: the peak is since the start then
                Path(f"/proc/{process}/clear_refs").write_text("5")

    def peak_mb(self, role: str) -> tuple[float, float]:
        """Return peak and idle memory of the process of a role that grew most."""
        memory = [
            (_resident_mb(process, "VmHWM"), self._of.get(process, 0.0))
            for process in processes(self._server.process.pid, role)
        ]
        return max(memory, key=lambda sizes: sizes[0] - sizes[1], default=(0.0, 0.0))

    def ended(self) -> int:
        """Return how many of the processes have ended."""
        here = {
            process
            for role in ("worker", "writer")
            for process in processes(self._server.process.pid, role)
        }
        return len(self._of.keys() - here)


def _resident_mb(process: int, name: str) -> float:
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text("ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


class Run:
    """One server with its ordinary callers, and a sink."""

    def __init__(
        self, server: Deployment, callers: MeasuredProcess, sink: str, target: Target
    ) -> None:
        self._server = server
        self._callers = callers
        self._attacked, self._sink = target, replace(target, address=sink)
        self._idle_share = self._share()
        self._settle(_WARM_UP_S)
        self._memory = Memory(server)

    def measure(self, kinds: Sequence[str], seconds: float, rounds: int) -> Row:
        """Measure under attack and in the baseline, in turn."""
        attacked: list[Stretch] = []
        baseline: list[Stretch] = []
        peaks: list[tuple[tuple[float, float], tuple[float, float]]] = []
        for turn in range(rounds):
            # A B, B A, and so on. A baseline takes the processor time of the last attack.
            for is_attack in (True, False) if turn % 2 == 0 else (False, True):
                if is_attack:
                    self._memory.forget_peaks()
                    attacked.append(
                        self._stretch(self._attacked, dict.fromkeys(kinds, math.inf), seconds)
                    )
                    peaks.append((self._memory.peak_mb("worker"), self._memory.peak_mb("writer")))
                else:
                    shares = {
                        kind: toll.cpu_share
                        for kind, toll in zip(kinds, attacked[-1].tolls, strict=True)
                    }
                    baseline.append(self._stretch(self._sink, shares, seconds))
        worker, writer = (
            max(column, key=lambda sizes: sizes[0] - sizes[1])
            for column in zip(*peaks, strict=True)
        )
        return compare(
            kinds[0] if len(kinds) == 1 else TOGETHER,
            attacked,
            baseline,
            worker_mb=worker,
            writer_mb=writer,
            ended=self._memory.ended(),
        )

    def _stretch(self, target: Target, shares: dict[str, float], seconds: float) -> Stretch:
        """Attack in the given ways; each may take its share of a core."""
        with ExitStack() as stack:
            attackers = [
                stack.enter_context(child(attack, kind, target, share))
                for kind, share in shares.items()
            ]
            self._callers.ask("go")
            for attacker in attackers:
                attacker.hear()
            time.sleep(min(_BEGINNING_S, seconds / 4))
            self._callers.ask("take")
            began_s = time.monotonic()
            time.sleep(seconds)
            ended_s = time.monotonic()
            self._callers.ask("pause")  # calls in flight are attacked to their end
            tolls = [attacker.ask("end") for attacker in attackers]
        stretch = Stretch(began_s, ended_s, self._callers.ask("take"), tolls)
        self._quiet()
        return stretch

    def _settle(self, seconds: float) -> None:
        self._callers.ask("go")
        time.sleep(seconds)
        self._callers.ask("pause")
        self._callers.ask("take")
        self._quiet()

    def _quiet(self) -> None:
        """Wait until the server has nothing left to do."""
        give_up_s = time.monotonic() + _QUIET_WITHIN_S
        while time.monotonic() < give_up_s:
            share = self._share()
            self._idle_share = min(share, self._idle_share)
            if share < self._idle_share + _QUIET_SHARE:
                return

    def _share(self) -> float:
        """Return the share of a core that the server takes in the next moment."""
        began_s, before_s = time.monotonic(), self._cpu_s()
        time.sleep(_QUIET_S)
        return (self._cpu_s() - before_s) / (time.monotonic() - began_s)

    def _cpu_s(self) -> float:
        taken_s = 0.0
        for process in session(self._server.process.pid):
            with suppress(OSError):
                taken_s += cpu_s(process)
        return taken_s


@contextmanager
def running(work: Path, size: int, every_s: float, sabotage: str | None) -> Iterator[Run]:
    """Start a server over ``size`` random hashes in a new directory, its callers, and a sink."""
    codes = np.random.default_rng(1).integers(0, 256, (size, 32), np.uint8)
    registries.fill(work / "data", codes, _HASHES_PER_ITEM)
    run("disrupt-index", "rebuild", "--data-dir", work / "data")
    with ExitStack() as stack:
        server = Deployment.start(
            work / "data", wrapper=(*WITH_BYTECODE, *broken_by(sabotage)), workers=2
        )
        stack.callback(_end, server)
        ordinary, hostile = (
            Keys(*(server.make_key(f"{right} {whose}", right) for right in ("match", "register")))
            for whose in ("ordinary", "hostile")
        )
        with Desk(server.address, ordinary.register).open() as desk:
            victim = Write.new(random.Random(7), items=1, hashes=2)
            case = desk.register(victim).case_number
        target = Target(
            server.address,
            hostile,
            MAX_MESSAGE_BYTES,
            victim.request.SerializeToString(),
            case,
            encode(footage(1, seconds=4), codec=Codec("matroska")),
        )
        sink = stack.enter_context(child(abuse_sink.serve))
        address = sink.hear()
        callers = stack.enter_context(child(abuse_callers.call, server.address, ordinary, every_s))
        callers.hear()
        yield Run(server, callers, address, target)


def _end(server: Deployment) -> None:
    if server.process.poll() is None:
        server.kill()


def commit() -> str:
    """Return the short name of the commit that is checked out; empty outside a repository."""
    words = ("git", "rev-parse", "--short", "HEAD")
    place = Path(__file__).parent
    done = subprocess.run(words, cwd=place, capture_output=True, text=True, check=False)
    return done.stdout.strip()
