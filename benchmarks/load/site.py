"""The server under load of a profile, with its settings, stored hashes and result."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.hash_sets import stored
from benchmarks.harness.report import Rows
from benchmarks.load.arrivals import OK, Called, quantile_ms
from rig.faults.sabotages import broken_by
from rig.servers.deployment import WITH_BYTECODE, Deployment, run
from rig.servers.proxied import Proxy, proxied
from rig.servers.registries import fill


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of ``bench load``."""

    size: int
    seconds: float
    workers: int
    seed: int
    sabotage: str | None
    minutes: float
    reloads: int
    age_s: float
    through_proxy: bool
    attacks: tuple[str, ...]


@dataclass(slots=True)
class Result:
    """Tables of a profile, and the promises that were broken."""

    figures: dict[str, Rows]
    failures: list[str] = field(default_factory=list)


Profile: TypeAlias = Callable[[Settings], Result]
"""Loads a server in one way."""


@dataclass(slots=True)
class Site:
    """A server with hashes stored, with the proxy before it where a profile asks for it."""

    server: Deployment
    codes: NDArray[np.uint8]
    seed: int
    proxy: Proxy | None
    start: Any
    """Starts the server again."""

    @classmethod
    @contextmanager
    def started(
        cls,
        settings: Settings,
        *,
        proxy: bool = False,
        core: int | None = None,
        server_settings: str = "",
    ) -> Iterator[Self]:
        """Start it, on one core where that is given; the caller keeps to the last of all then."""
        codes = np.load(stored("uniform", settings.size), mmap_mode="r")
        pinned = () if core is None else ("taskset", "--cpu-list", str(core))
        with tempfile.TemporaryDirectory(prefix="disrupt-") as name, ExitStack() as stack:
            work = Path(name)
            fill(work / "data", codes)
            run("disrupt-index", "rebuild", "--data-dir", work / "data")
            start = partial(
                Deployment.start,
                work / "data",
                workers=settings.workers,
                settings=server_settings,
                wrapper=(*pinned, *WITH_BYTECODE, *broken_by(settings.sabotage)),
            )
            server = stack.enter_context(start())
            before = (
                stack.enter_context(proxied(server.address, work, wrapper=pinned))
                if proxy
                else None
            )
            if core is not None:
                cores = os.sched_getaffinity(0)
                os.sched_setaffinity(0, {max(cores)})
                stack.callback(os.sched_setaffinity, 0, cores)
            yield cls(server, codes, settings.seed, before, start)


def quantiles_of(kind: str, called: Sequence[Called]) -> dict[str, object]:
    """Return how many calls of a kind were made, how many failed, and their times."""
    calls = [call for call in called if call.kind == kind]
    answered = [call for call in calls if call.outcome == OK]
    took_s = [call.took_s for call in answered]
    return {
        "kind": kind,
        "calls": len(calls),
        "errors": len(calls) - len(answered),
        "p50_ms": quantile_ms(took_s, 0.5),
        "p99_ms": quantile_ms(took_s, 0.99),
        "p999_ms": quantile_ms(took_s, 0.999),
        "served_p99_ms": quantile_ms([call.served_s for call in answered], 0.99),
    }
