"""Note what callers' hashes matched, count who probes, and let those answers wait."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import Matches, VideoMatches
from disrupt.core.policy import TEST_BANK, ApiKey
from disrupt.server.config import Config
from disrupt.server.edge.interceptors import allowed_s
from disrupt.server.edge.receiving import Context
from disrupt.server.metrics import families
from disrupt.server.worker.state import WorkerState
from disrupt.services.probing import NOTHING, Probing, Sighting


class ProbingWatch:
    """Notes the matches of a worker's lookups. Its methods return how long an answer waits, in s.

    Not those of the test bank, nor of pictures in common use, which unlike pictures match.
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
        names = self._state.ring.bank_names
        columns = (
            *(matches.bank, matches.is_common),
            *(matches.plan, matches.ordinal, matches.start_ms),
        )
        item_ids, queried = matches.item_ids.tobytes(), queries[rows].tobytes()
        return self._noted(
            key,
            [
                Sighting(
                    item_ids[16 * at : 16 * at + 16],
                    *(plan, ordinal, start_ms),
                    queried[32 * at : 32 * at + 32],
                )
                for at, (bank, is_common, plan, ordinal, start_ms) in enumerate(
                    zip(*(column.tolist() for column in columns), strict=True)
                )
                if not is_common and names[bank] != TEST_BANK
            ],
        )

    def video(self, key: ApiKey, result: VideoMatches) -> float:
        """Note the nearest pair of frames of each match. For any thread."""
        if not self._probing.is_on:
            return 0.0
        names = self._state.ring.bank_names
        return self._noted(
            key,
            [
                Sighting(each.item_id, each.plan, each.ordinal, each.stored_start_ms, each.queried)
                for each in result.matches
                if names[each.bank] != TEST_BANK
            ],
        )

    def _noted(self, key: ApiKey, sightings: Iterable[Sighting]) -> float:
        noted = self._probing.note(key.organisation, sightings)
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
