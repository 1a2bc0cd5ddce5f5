"""Note what callers' hashes matched, count who probes, and let those answers wait."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import Matches, VideoMatches
from disrupt.core.policy import TEST_BANK, ApiKey
from disrupt.server.config import Config
from disrupt.server.edge.interceptors import allowed_s
from disrupt.server.edge.receiving import Context
from disrupt.server.metrics import families
from disrupt.server.worker.state import WorkerState
from disrupt.services.probing import NOTHING, Probing, Sighting, sightings, sightings_of_video


class ProbingWatch:
    """Notes the matches of a worker's lookups. Its methods return how long an answer waits, in s.

    Not those of the test bank.
    """

    def __init__(self, config: Config, state: WorkerState) -> None:
        """Notice nothing on a mirror, whose operator has all hashes."""
        varied_bits = 0 if config.role == "mirror" else config.probing_varied_bits
        self._probing = Probing(varied_bits, config.probing_delay_s)
        self._state = state

    def hashes(
        self,
        key: ApiKey,
        matches: Matches,
        queries: NDArray[np.uint8],
        rows: NDArray[np.uint32],
    ) -> float:
        """Note matches, each of its row of ``queries``, uint8 (n, 32). For any thread."""
        if not len(matches) or not self._probing.is_on:
            return 0.0
        return self._noted(key, sightings(matches, queries, rows, self._untold()))

    def video(self, key: ApiKey, result: VideoMatches) -> float:
        """Note the nearest pair of frames of each match. For any thread."""
        if not self._probing.is_on:
            return 0.0
        return self._noted(key, sightings_of_video(result, self._untold()))

    def _untold(self) -> Collection[int]:
        names = self._state.ring.bank_names
        return [bank for bank, name in names.items() if name == TEST_BANK]

    def _noted(self, key: ApiKey, seen: Iterable[Sighting]) -> float:
        noted = self._probing.note(key.organisation, seen)
        if noted is NOTHING:
            return 0.0
        if noted.probed:
            self._state.uploads.add_probed(self._state.ring.day, key.organisation, noted.probed)
            families.count_probed(key.organisation, noted.probed)
        return noted.wait_s


async def wait(wait_s: float, context: Context) -> None:
    """Let an answer wait, at most half of the time until the caller's deadline."""
    if wait_s:
        await asyncio.sleep(min(wait_s, allowed_s(context, 2 * wait_s) / 2))
