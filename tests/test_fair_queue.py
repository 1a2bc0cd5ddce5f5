"""The queue serves next whoever was served least."""

from __future__ import annotations

import asyncio

import pytest

from disrupt.fair_queue import FairQueue, turn_of


async def have(queue: FairQueue, name: str, log: list[str], going_on: asyncio.Event) -> None:
    """Have a turn, as ``name``, until ``going_on`` is set."""
    turn_of.set(name)
    async with queue.turn():
        log.append(name)
        await going_on.wait()


async def step() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_who_asks_for_a_lot_delays_others_by_the_turns_that_it_has() -> None:
    async def run() -> list[str]:
        queue, log, going_on = FairQueue(1), list[str](), asyncio.Event()
        greedy = [asyncio.create_task(have(queue, "greedy", log, going_on)) for _ in range(10)]
        await step()
        other_task = asyncio.create_task(have(queue, "other", log, going_on))
        await step()
        going_on.set()
        await asyncio.gather(*greedy, other_task)
        return log

    assert asyncio.run(run())[:3] == ["greedy", "other", "greedy"]


def test_a_caller_that_was_away_saves_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr("disrupt.fair_queue.time.monotonic", lambda: now_s)
    log = list[str]()

    async def take(queue: FairQueue, name: str) -> None:
        nonlocal now_s
        turn_of.set(name)
        async with queue.turn():
            log.append(name)
            await step()
            now_s += 1

    async def run() -> None:
        queue = FairQueue(1)
        for _ in range(100):
            await asyncio.create_task(take(queue, "old"))
        waiting = [asyncio.create_task(take(queue, name)) for name in ["old"] * 6 + ["new"] * 6]
        log.clear()
        await asyncio.gather(*waiting)

    asyncio.run(run())
    assert log[:2] == ["old", "new"]
    assert all(log[:count].count("new") in {count // 2, (count + 1) // 2} for count in range(12))


@pytest.mark.parametrize("cancelled_when", ["waiting", "given"])
def test_a_turn_of_a_call_that_is_cancelled_goes_to_the_next(cancelled_when: str) -> None:
    async def run() -> list[str]:
        queue, log, going_on = FairQueue(1), list[str](), asyncio.Event()

        async def first() -> None:
            await have(queue, "a", log, going_on)
            if cancelled_when == "given":  # the second call has a turn, and has not begun
                tasks[1].cancel()

        tasks = [
            asyncio.create_task(work)
            for work in (first(), *(have(queue, name, log, going_on) for name in "bc"))
        ]
        await step()
        if cancelled_when == "waiting":
            tasks[1].cancel()
        going_on.set()
        async with asyncio.timeout(10):
            await asyncio.gather(*tasks, return_exceptions=True)
            await have(queue, "d", log, going_on)
        assert tasks[1].cancelled()
        return log

    assert asyncio.run(run()) == ["a", "c", "d"]


def test_a_turn_that_ends_while_others_hang_up_is_not_lost() -> None:
    async def run() -> list[str]:
        queue, log, going_on = FairQueue(1), list[str](), asyncio.Event()
        first = await queue.begin()
        tasks = [asyncio.create_task(have(queue, name, log, going_on)) for name in "abacb"]
        await step()
        for task in tasks[:4]:
            task.cancel()
        first.end()  # no cancelled task has run yet
        going_on.set()
        async with asyncio.timeout(10):
            await asyncio.gather(*tasks, return_exceptions=True)
            await have(queue, "d", log, going_on)
        return log

    assert asyncio.run(run()) == ["b", "d"]


def test_turns_are_wanted_by_others_alone() -> None:
    async def run() -> None:
        queue, going_on = FairQueue(1), asyncio.Event()
        tasks = [asyncio.create_task(have(queue, name, [], going_on)) for name in "aab"]
        turn_of.set("a")
        assert not queue.are_wanted()
        await step()
        assert queue.are_wanted()
        tasks[2].cancel()
        await step()
        assert not queue.are_wanted()
        going_on.set()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())


def test_the_pace_of_a_queue_is_what_each_waiting_call_costs_those_behind_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = 0.0
    monkeypatch.setattr("disrupt.fair_queue.time.monotonic", lambda: now_s)

    async def run() -> None:
        nonlocal now_s
        queue = FairQueue(2)
        turns = [await queue.begin() for _ in range(2)]
        assert queue.pace_s == 0
        waiting = [asyncio.create_task(queue.begin()) for _ in range(100)]
        await step()
        for count, task in enumerate(waiting, start=1):
            now_s += 0.25
            turns[count % 2].end()
            turns[count % 2] = await task
        assert queue.pace_s == pytest.approx(0.25, rel=0.01)
        stuck = asyncio.create_task(queue.begin())
        await step()
        now_s += 9
        assert queue.pace_s == 9  # nothing moves on
        for turn in turns:
            turn.end()
        (await stuck).end()
        slow_s = queue.pace_s
        assert slow_s > 0.25
        now_s += slow_s / 2
        (await queue.begin()).end()
        assert 0 < queue.pace_s < slow_s
        now_s += slow_s
        assert queue.pace_s == 0  # nobody has waited for longer

    asyncio.run(run())
