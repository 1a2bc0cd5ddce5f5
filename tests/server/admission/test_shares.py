"""Who may take how much: the admission's arithmetic, against a naive model and by hand."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from disrupt.errors import OverloadedError
from disrupt.server.admission.limits import capacities
from disrupt.server.admission.shares import SHARED, Admission, Board, Holder, Resource, place
from disrupt.server.config import Config

CAPACITY = 12
ROWS = 2
KEYS = ["a", "b", "c"]


def admission(board: Board, row: int, capacity: int = CAPACITY) -> Admission:
    return Admission(board, row, dict.fromkeys(Resource, capacity), KEYS.index)


Hold = tuple[int, str, Resource, int]


class Machine(RuleBasedStateMachine):
    """Two workers, whose callers take and give back, and which die, against a list of holds."""

    holds = Bundle[Hold]("holds")

    def __init__(self) -> None:
        super().__init__()
        self.board = Board(ROWS)
        self.workers = [admission(self.board, row) for row in range(ROWS)]
        self.held: list[Hold] = []

    def holding(self, resource: Resource, row: int) -> dict[str, int]:
        """Return how much each caller holds, of one worker, or of all where these share it."""
        totals: dict[str, int] = defaultdict(int)
        for at, key, what, amount in self.held:
            if what == resource and (what in SHARED or at == row):
                totals[key] += amount
        return totals

    @rule(
        target=holds,
        row=st.integers(0, ROWS - 1),
        key=st.sampled_from(KEYS),
        resource=st.sampled_from(Resource),
        amount=st.integers(1, CAPACITY),
    )
    def take(self, row: int, key: str, resource: Resource, amount: int) -> Hold:
        before = self.holding(resource, row)
        free = CAPACITY - sum(before.values()) - amount
        mine = before[key]
        allowed = free >= 0 and (mine == 0 or mine + amount <= free)
        hold = (row, key, resource, amount)
        if allowed:
            self.workers[row].holder(key).take(resource, amount)
            self.held.append(hold)
        else:
            with pytest.raises(OverloadedError) as refused:
                self.workers[row].holder(key).take(resource, amount)
            assert refused.value.retry_after_s
        return hold

    @rule(hold=consumes(holds))
    def give_back(self, hold: Hold) -> None:
        if hold in self.held:
            self.held.remove(hold)
            row, key, resource, amount = hold
            self.workers[row].holder(key).give_back(resource, amount)

    @rule(row=st.integers(0, ROWS - 1))
    def die(self, row: int) -> None:
        self.board.clear(row)
        self.workers[row] = admission(self.board, row)
        self.held = [hold for hold in self.held if hold[0] != row]

    @invariant()
    def the_board_says_what_is_held(self) -> None:
        for at, key in enumerate(KEYS):
            for resource in Resource:
                total = sum(hold[3] for hold in self.held if hold[1:3] == (key, resource))
                assert self.board.total(place(at), resource) == total
        assert (self.board.figures >= 0).all()

    @invariant()
    def nobody_holds_more_than_there_is_and_a_newcomer_finds_room(self) -> None:
        for row, worker in enumerate(self.workers):
            for resource in Resource:
                holding = self.holding(resource, row)
                free = CAPACITY - sum(holding.values())
                assert free >= 0
                # Whoever holds nothing gets what fits.
                newcomers = [key for key in KEYS if not holding[key]]
                assert all(
                    worker.holder(key).may_take(resource, 1) == (free >= 1) for key in newcomers
                )


TestMachine = Machine.TestCase
TestMachine.settings = settings(stateful_step_count=40)


def greedy(holder: Holder, resource: Resource) -> int:
    """Return how many a caller gets that takes one after the other."""
    taken = 0
    while holder.may_take(resource, 1):
        holder.take(resource)
        taken += 1
    return taken


def test_a_caller_alone_has_half_and_two_have_a_third_each() -> None:
    worker = admission(Board(1), 0, capacity=999)
    assert greedy(worker.holder("a"), Resource.CALLS) == 499
    assert greedy(worker.holder("b"), Resource.CALLS) == 250
    worker.holder("a").give_back(Resource.CALLS, 499)
    assert greedy(worker.holder("a"), Resource.CALLS) == 374
    assert worker.holder("c").may_take(Resource.CALLS, 100)


def test_what_is_held_is_given_back_however_a_call_ends() -> None:
    holder = admission(Board(1), 0).holder("a")

    async def call() -> None:
        with holder.holding(Resource.HASHES, 3):
            await asyncio.Event().wait()

    async def cancelled() -> None:
        task = asyncio.create_task(call())
        await asyncio.sleep(0)
        assert holder.held(Resource.HASHES) == 3
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(cancelled())
    assert holder.held(Resource.HASHES) == 0
    with pytest.raises(ZeroDivisionError), holder.holding(Resource.HASHES, 3):
        raise ZeroDivisionError
    assert holder.held(Resource.HASHES) == 0


def test_a_share_of_its_own_bounds_a_caller_whatever_is_free() -> None:
    worker = admission(Board(1), 0)
    holder = Holder(worker, "a", 1, {Resource.VIDEOS: 2})
    assert greedy(holder, Resource.VIDEOS) == 2


def test_forked_workers_see_what_each_of_them_holds() -> None:
    board = Board(2)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        holder = admission(board, 1).holder("b")
        holder.take(Resource.WRITES, 5)
        os.write(writing, b".")
        os._exit(0)
    os.read(reading, 1)
    assert board.total(place(1), Resource.WRITES) == 5
    assert not admission(board, 0).holder("a").may_take(Resource.WRITES, CAPACITY - 4)
    os.waitpid(child, 0)
    board.clear(1)
    assert admission(board, 0).holder("a").may_take(Resource.WRITES, CAPACITY)


@pytest.mark.parametrize("number_of", [len, lambda key: 5000 + len(key)])
def test_keys_beyond_the_places_share_one_and_none_has_the_strangers(
    number_of: Callable[[str], int],
) -> None:
    worker = Admission(Board(1), 0, dict.fromkeys(Resource, CAPACITY), number_of)
    assert worker.holder("key").place != worker.strangers.place


def test_every_resource_has_a_limit_and_the_largest_message_has_room() -> None:
    config = Config(data_dir="data")  # type: ignore[arg-type]
    limits = capacities(config)
    assert limits.keys() == set(Resource)
    assert all(limit > 0 for limit in limits.values())
    assert limits[Resource.BYTES] >= config.max_message_bytes
