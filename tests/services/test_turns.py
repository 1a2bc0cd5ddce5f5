"""What waits goes live at the pace of its queue, and floods pay for turns before a neighbour's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from disrupt.core.plausibility import PICTURE_HASHES
from disrupt.core.states import ItemState
from disrupt.registry import sqlite
from disrupt.registry.registry import RegistryWriter
from disrupt.services.turns import Turns
from rig.media.registrations import DAY, NEXT_DAY, new_item, registration

H_S = 3600
STEP_S = 20
PER_H = 60
TURN_S = H_S // PER_H
DAY_AFTER = "2026-11-26"


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RegistryWriter]:
    with sqlite.open_writer(tmp_path / "registry.db") as writer:
        yield writer


@pytest.fixture
def chance() -> random.Random:
    return random.Random(1)


def waiting(
    registry: RegistryWriter,
    chance: random.Random,
    pictures: int = 1,
    *,
    paid: int = 0,
    hashes: int = 1,
    origin: bytes = b"o",
    day: str = DAY,
) -> str:
    """Register pictures that wait, as a new case; return its number."""
    items = [new_item(chance, hashes) for _ in range(pictures)]
    asked = replace(
        registration(chance, None, *items), origin=origin, paid_pictures=paid, live_pictures=0
    )
    return registry.register(asked, day=day).case_number


def live(registry: RegistryWriter, number: str) -> int:
    """Return how many items of a case are live."""
    record = registry.case(number)
    assert record is not None
    return sum(item.state == ItemState.LIVE for item in record.items)


def wait_s(registry: RegistryWriter, turns: Turns, number: str, most_s: int) -> int:
    """Return when the first item of a case goes live, in s from now."""
    for now_s in range(0, most_s, STEP_S):
        turns.step(now_s, at_s=now_s, day=DAY)
        if live(registry, number):
            return now_s
    raise AssertionError("it goes on waiting")


@pytest.mark.parametrize(
    ("cases", "flood_paid", "neighbour_paid", "turns_before"),
    [(1, 0, 0, 1), (40, 0, 1, 0), (40, 0, 0, 40), (40, 1, 1, 40), (20, 3, 1, 20)],
)
def test_a_neighbour_waits_for_one_turn_of_each_case_that_paid_before(
    registry: RegistryWriter,
    chance: random.Random,
    cases: int,
    flood_paid: int,
    neighbour_paid: int,
    turns_before: int,
) -> None:
    for _ in range(cases):
        waiting(registry, chance, 3, paid=flood_paid)
    neighbour = waiting(registry, chance, 3, paid=neighbour_paid)
    most_s = (turns_before + 1) * TURN_S
    waited_s = wait_s(registry, Turns(registry, PER_H), neighbour, most_s + STEP_S)
    assert waited_s <= turns_before * TURN_S + STEP_S


def test_each_queue_has_its_pace_and_a_video_takes_several_turns(
    registry: RegistryWriter, chance: random.Random
) -> None:
    flood = waiting(registry, chance, 64)
    other = waiting(registry, chance, 64, origin=b"")
    videos = waiting(registry, chance, 20, hashes=5 * PICTURE_HASHES, origin=b"v")
    turns = Turns(registry, PER_H)
    for now_s in range(0, H_S // 2, STEP_S):
        turns.step(now_s, at_s=now_s, day=DAY)
    assert live(registry, flood) == live(registry, other) == PER_H / 2
    assert live(registry, videos) == PER_H / 2 / 5


def test_nothing_is_gained_by_a_queue_that_ends_again_and_again(
    registry: RegistryWriter, chance: random.Random
) -> None:
    turns, cases = Turns(registry, PER_H), list[str]()
    for now_s in range(0, 20 * TURN_S, STEP_S):
        if all(live(registry, number) for number in cases):
            cases.append(waiting(registry, chance))
        turns.step(now_s, at_s=now_s, day=DAY)
    assert sum(live(registry, number) for number in cases) == 20


def test_a_server_that_was_away_gives_few_turns_at_once(
    registry: RegistryWriter, chance: random.Random
) -> None:
    flood, turns = waiting(registry, chance, 64), Turns(registry, PER_H)
    turns.step(0, at_s=0, day=DAY)
    turns.step(10 * H_S, at_s=0, day=DAY)
    assert live(registry, flood) <= 4


def test_queues_of_earlier_days_go_at_half_the_pace_for_each(
    registry: RegistryWriter, chance: random.Random
) -> None:
    floods = [waiting(registry, chance, 64, day=day) for day in (DAY, NEXT_DAY, DAY_AFTER)]
    turns = Turns(registry, PER_H)
    for now_s in range(0, H_S // 2, STEP_S):
        turns.step(now_s, at_s=now_s, day=DAY_AFTER)
    gained = [live(registry, number) for number in floods]
    assert gained == [-(-PER_H // 8), PER_H // 4, PER_H // 2]
