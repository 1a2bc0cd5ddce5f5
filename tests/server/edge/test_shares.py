"""Who may take how much: the admission's arithmetic, against a naive model and by hand."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from disrupt.errors import OverloadedError
from disrupt.server.config import Config
from disrupt.server.edge.limits import WAIT_S, by_delay, capacities
from disrupt.server.edge.methods import message_limit
from disrupt.server.edge.shares import Admission, Resource
from disrupt.server.metrics.rows import Row

CAPACITY = 12
KEYS = ["a", "b", "c"]
Hold = tuple[str, Resource, int]


def admission(capacity: int = CAPACITY) -> Admission:
    return Admission(dict.fromkeys(Resource, capacity))


class Machine(RuleBasedStateMachine):
    """Callers that take and give back, against a list of holds."""

    holds = Bundle[Hold]("holds")

    def __init__(self) -> None:
        super().__init__()
        self.admission = admission()
        self.held: list[Hold] = []

    def holding(self, resource: Resource) -> dict[str, int]:
        """Return how much each caller holds."""
        return {key: sum(h[2] for h in self.held if h[:2] == (key, resource)) for key in KEYS}

    @rule(
        target=holds,
        key=st.sampled_from(KEYS),
        resource=st.sampled_from([Resource.CALLS, Resource.WRITTEN_BYTES]),
        amount=st.integers(1, CAPACITY),
    )
    def take(self, key: str, resource: Resource, amount: int) -> Hold:
        before = self.holding(resource)
        free = CAPACITY - sum(before.values()) - amount
        hold = (key, resource, amount)
        if free >= 0 and (before[key] == 0 or before[key] + amount <= free):
            self.admission.holder(key).take(resource, amount)
            self.held.append(hold)
        else:
            with pytest.raises(OverloadedError) as refused:
                self.admission.holder(key).take(resource, amount)
            assert refused.value.retry_after_s
        return hold

    @rule(hold=consumes(holds))
    def give_back(self, hold: Hold) -> None:
        if hold in self.held:
            self.held.remove(hold)
            key, resource, amount = hold
            self.admission.holder(key).give_back(resource, amount)

    @invariant()
    def nobody_holds_more_than_there_is_and_a_newcomer_finds_room(self) -> None:
        for resource in Resource:
            holding = self.holding(resource)
            assert {k: self.admission.holder(k).held(resource) for k in KEYS} == holding
            free = CAPACITY - sum(holding.values())
            assert free >= 0
            for key in (key for key in KEYS if not holding[key]):
                assert self.admission.holder(key).may_take(resource, 1) == (free >= 1)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_what_is_held_is_given_back_however_a_call_ends() -> None:
    holder = admission().holder("a")

    async def call() -> None:
        holder.take_until_done(asyncio.current_task(), Resource.CALLS)
        with holder.holding(Resource.HASHES, 3):
            await asyncio.Event().wait()

    async def cancelled() -> None:
        task = asyncio.create_task(call())
        await asyncio.sleep(0)
        assert (holder.held(Resource.HASHES), holder.held(Resource.CALLS)) == (3, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(cancelled())
    with pytest.raises(ZeroDivisionError), holder.holding(Resource.HASHES, 3):
        raise ZeroDivisionError
    assert not any(map(holder.held, Resource))


def test_every_resource_has_a_limit_and_eight_largest_messages_have_room() -> None:
    config = Config(data_dir="data")  # type: ignore[arg-type]
    limits = capacities(config)
    assert limits.keys() == set(Resource)
    assert all(limit > 0 for limit in limits.values())
    assert limits[Resource.READS] >= 8
    largest = message_limit("/disrupt.v1.RegistrationService/RegisterHashes", config).size_bytes
    assert limits[Resource.WRITTEN_BYTES] >= 7 * largest


@dataclass
class Slow:
    """Stands for a queue of decoders."""

    pace_s: float
    waiting: int = 0


@pytest.mark.parametrize("resource", WAIT_S)
def test_fewer_may_wait_where_a_queue_is_slow_so_that_none_waits_long(
    resource: Resource, row: Row
) -> None:
    queue, most_s = Slow(0.0), WAIT_S[resource]
    admission = Admission({resource: 34}, {resource: by_delay(resource, queue, 2)})
    assert admission.capacity(resource) == 34
    for pace_s, waiting in ((most_s / 8, 8), (most_s, 1), (100 * most_s, 1)):
        queue.pace_s = pace_s
        assert admission.capacity(resource) == 2 * (2 + waiting)
    alone, newcomer = admission.holder("a"), admission.holder("b")
    for _ in range(3):
        alone.take(resource)
    with pytest.raises(OverloadedError, match="take long") as refused:
        alone.check(resource)
    assert refused.value.retry_after_s
    newcomer.take(resource)
    for _ in range(3):  # then more is taken than the delay allows
        queue.pace_s = 0.0
        alone.take(resource)
    queue.pace_s = 100 * most_s
    admission.holder("c").take(resource)
    counted = [json.loads(name)[1:] for name, _ in row.read()]
    assert counted == [[resource.name.lower(), "a", "delay"]]
    queue.pace_s = 0.0
    alone.take(resource)
