"""Whether a server lives, is ready, or is stale, from the figures of its processes."""

from __future__ import annotations

import time
from collections.abc import Iterator

from disrupt.server.metrics import families
from disrupt.server.metrics.figures import Figures

_SILENT_S = 10.0
"""Age of a process's figures from which on it hangs, or is being started anew."""


def faults(figures: Figures, erase_within_h: float) -> Iterator[str]:
    """Yield, for people, each reason why the server is not ready."""
    now_s = time.time()
    seen = figures.read(families.SEEN)[:, 0, 0]
    serving = figures.read(families.SERVING)[:, :, 0]
    for row, name in enumerate(figures.rows):
        if name == families.SUPERVISOR:
            continue
        if now_s - seen[row] > _SILENT_S:
            yield f"{name}: no figures for {_SILENT_S:g} s, or none yet."
            continue
        for place, service in enumerate(families.SERVICES):
            if name.startswith(families.WORKER) and not serving[row, place]:
                yield f"{name}: {families.FAULTS[service]}"
    pending_h = figures.read(families.ERASURE_PENDING).max() / 3600
    if pending_h > erase_within_h:
        yield (
            f"Withdrawn items are on disk for {pending_h:.1f} h, and {erase_within_h:g} are"
            " promised: see the log of housekeeping, or run `disrupt erase`."
        )
