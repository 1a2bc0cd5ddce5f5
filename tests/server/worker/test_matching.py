"""Searches that take long let other callers have their thread from time to time."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from disrupt.core.changes import Cursor
from disrupt.core.policy import ADULTS, Scope
from disrupt.fair_queue import turn_of
from disrupt.index.columns import NOTHING_NEAR, NearestHits
from disrupt.index.live import LiveIndex
from disrupt.index.nearest import UNLIMITED, Budget
from disrupt.server.config import Config
from disrupt.server.edge.interceptors import caller
from disrupt.server.edge.limits import capacities
from disrupt.server.edge.pool import Pool
from disrupt.server.edge.shares import Admission, holder
from disrupt.server.worker import matching
from disrupt.server.worker.matching import MatchServicer
from disrupt.server.worker.quotas import LookupQuotas
from disrupt.services.matching import BLOCK_QUERIES
from disrupt.services.upload_counts import UploadCounts
from rig.callers.caller import lookup

CONFIG = Config(data_dir="data", search_threads=1)  # type: ignore[arg-type]
BLOCKS = 8
LONG_S = 0.03
"""Longer than a turn of a thread."""
CONTEXT: Any = SimpleNamespace(time_remaining=lambda: None)


class Recorded(LiveIndex):
    """An index that has nothing, and notes the first byte of each block of queries."""

    def __init__(self, block_s: float) -> None:
        super().__init__()
        self.block_s = block_s
        self.searched: list[int] = []

    def search(self, queries: Any, *_: object, **__: object) -> NearestHits:
        self.searched.append(int(queries[0, 0]))
        time.sleep(self.block_s)
        return NOTHING_NEAR


def servicer(index: LiveIndex, monkeypatch: pytest.MonkeyPatch) -> MatchServicer:
    following: Any = SimpleNamespace(
        live=index,
        ring=SimpleNamespace(bank_names={ADULTS.number: ADULTS.name}, day="2026-01-01"),
        uploads=UploadCounts(),
        settled=Cursor(bytes(16), 0),
        disputes=lambda _: {},
    )
    nothing: Any = None
    made = MatchServicer(CONFIG, following, *[*[nothing] * 5, LookupQuotas()])
    monkeypatch.setattr(made, "_scope", lambda *_: Scope({ADULTS.number: 31}))
    monkeypatch.setattr(made, "_cursor", str)
    return made


async def match(
    servicer: MatchServicer, name: str, number: int, count: int = BLOCKS * BLOCK_QUERIES
) -> None:
    """Look up a batch whose hashes are of one repeated byte."""
    turn_of.set(name)
    key: Any = SimpleNamespace(key_id=name, organisation=name, distance_bands=False)
    caller.set(key)
    holder.set(Admission(capacities(CONFIG)).holder(name))
    hashes = np.full((count, 32), number, np.uint8)
    await servicer.MatchHashes(lookup(hashes.tobytes()), CONTEXT)


def test_callers_take_turns_with_the_blocks_of_long_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = Recorded(block_s=LONG_S)

    async def calls() -> None:
        made = servicer(index, monkeypatch)
        await asyncio.gather(match(made, "1", 1), match(made, "2", 2))

    asyncio.run(calls())
    assert sorted(index.searched) == [1] * BLOCKS + [2] * BLOCKS
    assert 2 in index.searched[:3], "the other waits for a block, not for the batch"


def test_a_batch_that_is_searched_quickly_takes_a_single_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns: list[object] = []
    run = Pool.run

    async def counted(pool: Pool, *work: Any) -> object:
        turns.append(work)
        return await run(pool, *work)

    monkeypatch.setattr(Pool, "run", counted)
    monkeypatch.setattr(matching, "_TURN_S", 600.0)  # whatever else the machine does
    index = Recorded(block_s=0)
    asyncio.run(match(servicer(index, monkeypatch), "1", 1))
    assert (len(index.searched), len(turns)) == (BLOCKS, 1)


def test_a_batch_that_is_given_up_between_its_turns_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    index = Recorded(block_s=LONG_S)

    async def calls() -> None:
        made = servicer(index, monkeypatch)
        given_up = asyncio.create_task(match(made, "1", 1))
        while not index.searched:
            await asyncio.sleep(0.001)
        given_up.cancel()
        await asyncio.wait({given_up})
        await match(made, "2", 2)

    asyncio.run(calls())
    assert index.searched.count(1) < BLOCKS
    assert index.searched.count(2) == BLOCKS


class Crowded(LiveIndex):
    """An index in which any query takes more than a strict budget, and no estimate says so."""

    def __init__(self) -> None:
        super().__init__()
        self.searched: list[tuple[bool, bool]] = []

    @property
    def compiled(self) -> bool:
        return False

    def expected_us(self, _max_distance_bits: int) -> float:
        return 1.0

    def search(
        self, queries: Any, *_: object, budget: Budget = UNLIMITED, **__: object
    ) -> NearestHits:
        on_the_loop = threading.current_thread() is threading.main_thread()
        self.searched.append((on_the_loop, budget.strict))
        return replace(NOTHING_NEAR, left=len(queries) if budget.strict else len(queries) - 1)


def test_a_search_of_few_hashes_leaves_the_event_loop_once_it_meets_a_crowd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index = Crowded()
    asyncio.run(match(servicer(index, monkeypatch), "1", 1, count=2))
    assert index.searched == [(True, True), (False, False), (False, False)]
