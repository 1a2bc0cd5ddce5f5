"""Let a video that arrives slowly keep its place, whoever waits for it."""

from __future__ import annotations

from disrupt.fair_queue import FairQueue


def _are_wanted(_queue: FairQueue) -> bool:
    return False


FairQueue.are_wanted = _are_wanted  # type: ignore[assignment,method-assign]
