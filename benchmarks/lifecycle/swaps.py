"""Measure the longest lookup while an index is built and taken up, and under the same load alone.

This process does what a worker does: one thread follows the registry, another looks up, one after
the other. A second process builds generations from the same registry: into the index that is
followed, or, as the control, into one that nobody follows.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import registries
from benchmarks.harness.brute_force import Codes, brute_force
from benchmarks.harness.deployment import BIN
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.feed.follower import Follower
from disrupt.index.live import LiveIndex
from disrupt.registry.sql import SqlRegistry

CONDITIONS = ("nothing", "a build", "a build and its swap")

_CHANGED_ITEMS = 500
_CHANGE_AFTER_S = 0.5
_FOLLOW_INTERVAL_S = 0.2
_AFTERWARDS_S = 1.0
_LIMITS_BITS = np.full(2**16, MAX_DISTANCE_BITS, np.int16)
_MOST_ITEMS = 100


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Lookups in the order they were made; ``waited_us`` of each was waiting for a core.

    ``swap``: which of them began while the follower took a generation up, and just after.
    """

    beside: str
    seconds: float
    took_us: NDArray[np.float64]
    waited_us: NDArray[np.float64]
    swap: NDArray[np.bool_]
    swap_s: float
    wrong: int


@dataclass(frozen=True, slots=True)
class Row:
    """All runs beside one load: ``longest_ms`` of all, and the median of the runs' longest.

    ``own`` leaves out the time that the lookup, or the follower, waited for a core while other
    processes had them: a follower that waits may hold what the lookup waits for.
    """

    beside: str
    runs: int
    lookups: int
    p50_us: float
    p999_us: float
    longest_ms: float
    longest_median_ms: float
    own_longest_ms: float
    own_longest_median_ms: float
    wrong: int


class Lookups:
    """A thread that looks up one query after the other and notes how long each took."""

    def __init__(
        self, live: LiveIndex, asked: Codes, expected: NDArray[np.int64], follower: int
    ) -> None:
        """Take ``expected``, how many items each query finds, and ``follower``, its thread's id."""
        self.began_s: list[float] = []
        self.took_s: list[float] = []
        self.waited_ns: list[int] = []
        self.wrong = 0
        self._live, self._asked, self._expected = live, asked, expected.tolist()
        self._follower = follower
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        queries = [self._asked[at : at + 1] for at in range(len(self._asked))]
        own = _schedstat(threading.get_native_id())
        follower = _schedstat(self._follower)
        search = self._live.search_items
        at = 0
        try:
            while not self._stop.is_set():
                waited_ns = _waited_ns(own) + _waited_ns(follower)
                began_s = time.perf_counter()
                near = search(queries[at], MAX_DISTANCE_BITS, _LIMITS_BITS, _MOST_ITEMS)
                self.took_s.append(time.perf_counter() - began_s)
                self.waited_ns.append(_waited_ns(own) + _waited_ns(follower) - waited_ns)
                self.began_s.append(began_s)
                self.wrong += len(near.hits) != self._expected[at]
                at = (at + 1) % len(queries)
        finally:
            os.close(own)
            os.close(follower)


class Following:
    """A thread that follows as a worker's does, and records when it took a generation up."""

    def __init__(self, follower: Follower, live: LiveIndex) -> None:
        self.taken_up: list[tuple[float, float]] = []
        """Beginning and end of each time that a generation was taken up."""
        self._follower, self._live = follower, live
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    @property
    def thread(self) -> int:
        """Id of the thread, once it runs."""
        return self._thread.native_id or 0

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        generation = self._live.snapshot.generation
        while not self._stop.wait(_FOLLOW_INTERVAL_S):
            began_s = time.perf_counter()
            self._follower.step()
            if self._live.snapshot.generation != generation:
                self.taken_up.append((began_s, time.perf_counter()))
                generation = self._live.snapshot.generation


def run(
    beside: str,
    follower: Follower,
    live: LiveIndex,
    asked: Codes,
    expected: NDArray[np.int64],
    build: Callable[[], object],
) -> Run:
    """Look up while ``build`` runs, and a little longer."""
    with Following(follower, live) as following:
        with Lookups(live, asked, expected, following.thread) as lookups:
            began_s = time.perf_counter()
            build()
            time.sleep(_AFTERWARDS_S)
        seconds = time.perf_counter() - began_s
    at_s = np.array(lookups.began_s)
    swap = np.zeros(len(at_s), np.bool_)
    for begin_s, end_s in following.taken_up:
        swap |= (at_s >= begin_s) & (at_s <= end_s + _FOLLOW_INTERVAL_S)
    return Run(
        beside,
        seconds,
        np.array(lookups.took_s) * 1e6,
        np.array(lookups.waited_ns) / 1e3,
        swap,
        sum(end_s - begin_s for begin_s, end_s in following.taken_up),
        lookups.wrong,
    )


class Builds:
    """A data directory that is followed, and a control: the same registry, an index of its own."""

    def __init__(
        self,
        data_dir: Path,
        control_dir: Path,
        codes: Codes,
        hashes_per_item: int,
        writer: ProcessPoolExecutor,
    ) -> None:
        """Take a registry that ``registries.fill`` made of ``codes``; ``writer`` changes it."""
        self._writer = writer
        self.data_dir, self.codes, self.hashes_per_item = data_dir, codes, hashes_per_item
        self._control_dir = control_dir
        self._chance = np.random.default_rng(3)
        self._kept: set[int] = set()
        control_dir.mkdir()
        (control_dir / "registry.db").symlink_to(data_dir / "registry.db")

    def expected(self, asked: Codes) -> NDArray[np.int64]:
        """Return how many items each query finds, by brute force; those are never withdrawn."""
        answers = brute_force(self.codes, asked, MAX_DISTANCE_BITS)
        items = [{entry // self.hashes_per_item for entry, _ in answer} for answer in answers]
        self._kept = set[int]().union(*items)
        return np.array([len(numbers) for numbers in items])

    def change(self) -> None:
        """Register and withdraw some items, far from the queries."""
        size = (_CHANGED_ITEMS * self.hashes_per_item, 32)
        items = len(self.codes) // self.hashes_per_item
        gone = set(self._chance.integers(0, items, _CHANGED_ITEMS // 10).tolist()) - self._kept
        self._writer.submit(
            registries.change,
            self.data_dir,
            self._chance.integers(0, 256, size, np.uint8),
            self.hashes_per_item,
            [1 + item for item in gone],
        ).result()

    def build(self, command: str, *, followed: bool) -> None:
        """Run ``rebuild`` or ``compact``, while the registry changes."""
        late = threading.Timer(_CHANGE_AFTER_S, self.change)
        late.start()
        data_dir = self.data_dir if followed else self._control_dir
        subprocess.run(
            [BIN / "disrupt-index", command, "--data-dir", data_dir],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        late.join()


def measure(builds: Builds, asked: Codes, repeats: int) -> dict[str, Any]:
    """Measure lookups beside each load in turn and return the report."""
    expected = builds.expected(asked)
    builds.build("rebuild", followed=False)  # the control compacts this generation
    nothing, build, swap = CONDITIONS
    runs: dict[str, list[Run]] = {condition: [] for condition in CONDITIONS}
    with SqlRegistry.open_reader(builds.data_dir / "registry.db") as reader:
        live = LiveIndex()
        follower = Follower(reader, live, builds.data_dir / "index")
        follower.step()

        def look_up(beside: str, doing: Callable[[], object]) -> Run:
            builds.change()
            runs[beside].append(run(beside, follower, live, asked, expected, doing))
            return runs[beside][-1]

        for repeat in range(repeats):
            command = ("rebuild", "compact")[repeat % 2]
            look_up(swap, partial(builds.build, command, followed=True))
            took_s = look_up(build, partial(builds.build, command, followed=False)).seconds
            look_up(nothing, partial(time.sleep, took_s))
    return report(runs)


def row(runs: list[Run]) -> Row:
    """Return the row of runs beside the same load."""
    took_us = np.concatenate([measured.took_us for measured in runs])
    longest = [float(measured.took_us.max()) for measured in runs]
    own = [float(_own(measured).max()) for measured in runs]
    p50, p999 = np.percentile(took_us, (50, 99.9))
    return Row(
        runs[0].beside,
        len(runs),
        len(took_us),
        round(float(p50), 1),
        round(float(p999), 1),
        _ms(max(longest)),
        _ms(float(np.median(longest))),
        _ms(max(own)),
        _ms(float(np.median(own))),
        sum(measured.wrong for measured in runs),
    )


def _ms(us: float) -> float:
    return round(us / 1000, 2)


def _schedstat(thread: int) -> int:
    return os.open(f"/proc/self/task/{thread}/schedstat", os.O_RDONLY)


def _waited_ns(descriptor: int) -> int:
    """Return the nanoseconds that the thread has waited for a core so far."""
    return int(os.pread(descriptor, 64, 0).split()[1])


def report(runs: dict[str, list[Run]]) -> dict[str, Any]:
    """Return the report of equally many runs beside each load, in turn.

    ``swap_adds_ms``: the median, over the turns, of how much longer the longest lookup was with a
    swap than without; ``own_swap_adds_ms`` leaves out waiting for a core. ``in_swaps``: lookups
    that began while a generation was taken up.
    """
    turns = list(zip(runs[CONDITIONS[1]], runs[CONDITIONS[2]], strict=True))
    adds_us = [float(swap.took_us.max() - build.took_us.max()) for build, swap in turns]
    own_us = [_own(swap).max() - _own(build).max() for build, swap in turns]
    in_swaps = [measured for _, measured in turns if measured.swap.any()]
    return {
        "rows": [asdict(row(runs[beside])) for beside in CONDITIONS],
        "swap_adds_ms": _ms(float(np.median(adds_us))),
        "own_swap_adds_ms": _ms(float(np.median(own_us))),
        "swaps": len(in_swaps),
        "taking_up_s": [round(measured.swap_s, 2) for measured in in_swaps],
        "in_swaps_longest_ms": [
            _ms(float(measured.took_us[measured.swap].max())) for measured in in_swaps
        ],
        "in_swaps_own_longest_ms": [
            _ms(float(_own(measured)[measured.swap].max())) for measured in in_swaps
        ],
        "wrong": sum(measured.wrong for all_of in runs.values() for measured in all_of),
    }


def _own(measured: Run) -> NDArray[np.float64]:
    return np.maximum(measured.took_us - measured.waited_us, 0)
