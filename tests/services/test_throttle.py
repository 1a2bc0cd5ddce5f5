"""PINs are checked slowly, and an owner with the right one still gets in."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from disrupt.services import throttle as limits
from disrupt.services.throttle import CHECKS_PER_S, KEPT_S, Asked, NotYetError, Throttle
from tests.services.guessing import World

TOKENS = 5000
OWN, ME = "own", 10**6
"""The owner's case and origin."""


def unknown() -> Iterator[str]:
    """Yield numbers of no case, each a different one."""
    return (f"unknown {count}" for count in itertools.count())


def flood(world: World, origins: int, cases: Iterator[str], key: str = "key") -> None:
    """Have ``origins`` come within a second, who each guess on one case after the other."""
    chance = random.Random(1)
    for origin in range(origins):
        world.send(world.guess(key, origin, cases), chance.random())


@pytest.mark.parametrize("known", [0, 1, 89])
def test_under_a_flood_of_tokens_an_owner_waits_a_minute_at_most(known: int) -> None:
    world = World(**{OWN: "right"}, **{f"known {at}": "x" for at in range(known)})
    cases = itertools.cycle([f"known {at}" for at in range(known)]) if known else unknown()
    flood(world, TOKENS // 2, cases)
    flood(world, TOKENS // 2, unknown())
    waited_s: list[float] = []
    # The owner asks more often than a case has priority.
    world.send(world.open_case("key", ME, OWN, waited_s, times=5), 3.0)
    world.run(lambda: len(waited_s) == (5 if known == 1 else 2), 600.0)
    assert waited_s
    assert max(waited_s) <= 60
    assert world.most_checks_in_a_second() <= CHECKS_PER_S


def test_whose_number_is_guessed_on_by_5000_tokens_waits_half_an_hour_at_most() -> None:
    other_cases = 6
    world = World(**{OWN: "right"}, **{f"known {at}": "x" for at in range(other_cases)})
    flood(world, TOKENS - other_cases, itertools.repeat(OWN))
    for at in range(other_cases):
        world.send(world.guess("key", TOKENS + at, itertools.repeat(f"known {at}")), 0.0)
    waited_s: list[float] = []
    world.send(world.open_case("key", ME, OWN, waited_s), 2.0)
    world.run(lambda: bool(waited_s), 3600.0)
    assert waited_s[0] <= 1800
    assert world.most_checks_in_a_second() <= CHECKS_PER_S


@pytest.mark.parametrize(("number_known", "most_s"), [(True, 1800), (False, 60)])
def test_an_owner_gets_in_beside_more_cases_than_there_are_turns(
    *, number_known: bool, most_s: float
) -> None:
    other_cases = 120
    world = World(**{OWN: "right"}, **{f"known {at}": "x" for at in range(other_cases)})
    waited_s: list[float] = []
    if number_known:
        flood(world, 500, itertools.repeat(OWN))
        world.run(lambda: False, 60.0)
    for origin in range(2 * other_cases):
        cases = itertools.repeat(f"known {origin % other_cases}")
        world.send(world.guess("key", TOKENS + origin, cases), world.now_s)
    world.send(world.open_case("key", ME, OWN, waited_s), world.now_s + 2)
    world.run(lambda: bool(waited_s), 3600.0)
    assert waited_s
    assert waited_s[0] <= most_s


def test_one_key_does_not_slow_another_down() -> None:
    world = World(**{OWN: "right"})
    flood(world, 500, itertools.repeat(OWN))
    waited_s: list[float] = []
    world.send(world.open_case("other key", ME, OWN, waited_s, times=5), 3.0)
    world.run(lambda: len(waited_s) == 5, 600.0)
    assert max(waited_s) <= 2


def test_many_pins_of_one_origin_take_one_turn_each_round() -> None:
    world = World(**{OWN: "right"})
    for count in range(300):
        pins = iter([str(count)])
        world.send(world.guess("key", 0, [OWN], pins=pins), 0.0)
    waited_s: list[float] = []
    world.send(world.open_case("key", ME, OWN, waited_s), 2.0)
    world.run(lambda: bool(waited_s), 600.0)
    assert waited_s[0] <= limits.RETRY_MAX_S


def test_who_does_not_come_back_loses_the_turn() -> None:
    world = World(**{OWN: "right"})
    for origin in range(TOKENS):
        world.send(world.guess("key", origin, [OWN], patience=lambda _: math.inf), 0.0)
    waited_s: list[float] = []
    world.send(world.open_case("key", ME, OWN, waited_s), 2.0)
    world.run(lambda: bool(waited_s), 600.0)
    assert waited_s[0] <= KEPT_S + limits.RETRY_MAX_S


@given(
    st.lists(
        st.tuples(
            st.floats(0, 1),  # pause
            st.integers(0, 5),  # origin
            st.sampled_from(["a", "b", "c", "unknown"]),
            st.integers(0, 3),  # PIN
        ),
        min_size=50,
        max_size=200,
    )
)
@settings(max_examples=30, deadline=None)
def test_checks_are_bounded_however_attempts_come(
    attempts: list[tuple[float, int, str, int]],
) -> None:
    begun_s, now_s = list[float](), 0.0

    def verify(_pin_hash: str, _proof: bytes) -> bool:
        begun_s.append(now_s)
        return False

    throttle = Throttle(verify)
    for pause_s, origin, case, pin in attempts:
        now_s += pause_s
        asked = Asked("key", bytes([origin]), case, bytes([pin]))
        with suppress(NotYetError):
            throttle.ask(asked, None if case == "unknown" else "hash", now_s)
        throttle.work(lambda: now_s)
    for place, at_s in enumerate(begun_s[CHECKS_PER_S:]):
        assert at_s - begun_s[place] >= 1 - 1e-9


@given(st.lists(st.floats(0, 2), min_size=1, max_size=30), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_attempts_on_a_case_are_answered_as_those_on_none(
    pauses_s: list[float], origins: int
) -> None:
    answers = []
    for world in (World(case="right"), World()):
        answered: list[tuple[int, float]] = []

        def guess(at: int, world: World = world, answered: list[tuple[int, float]] = answered):  # type: ignore[no-untyped-def]
            assert not (yield from world.ask("key", at % origins, "case", str(at)))
            answered.append((at, round(world.now_s, 3)))

        at_s = 0.0
        for at, pause_s in enumerate(pauses_s):
            world.send(guess(at), at_s := at_s + pause_s)
        world.run(lambda: len(answered) == len(pauses_s), 600.0)
        answers.append(sorted(answered))
    assert answers[0] == answers[1]
    assert len(answers[0]) == len(pauses_s)


@pytest.mark.parametrize("numbers", [1, 30])
def test_slow_checks_do_not_show_in_refusals(numbers: int) -> None:
    """Refuse after a slow check, and after many checks on numbers that all exist."""
    answers = []
    for pin_hash in ("hash", None):
        now_s, refused_s = 0.0, dict[int, float]()

        def verify(_pin_hash: str, _proof: bytes) -> bool:
            nonlocal now_s
            now_s += 2.0 if numbers == 1 else 0.0
            return False

        throttle = Throttle(verify)
        for tick in range(200):
            if tick / 8 < now_s:  # a check is running
                continue
            now_s = tick / 8
            for at in set(range(numbers)) - refused_s.keys():
                asked = Asked("key", bytes([at]), str(at), b"pin")
                with suppress(NotYetError):
                    assert not throttle.ask(asked, pin_hash, tick / 8)
                    refused_s[at] = tick / 8
            throttle.work(lambda: now_s)
        assert len(refused_s) == numbers
        answers.append(refused_s)
    assert answers[0] == answers[1]


def test_a_mistyped_pin_is_refused_soon_after_a_flood() -> None:
    throttle = Throttle(lambda _pin_hash, _proof: False)
    for at in range(TOKENS):
        with pytest.raises(NotYetError) as caught:
            throttle.ask(Asked("key", b"", OWN, at.to_bytes(2)), "hash", 1.0)
    assert caught.value.attempt.due_s <= 1 + 60


def test_the_time_is_taken_anew_for_each_check() -> None:
    now_s, begun_s, takes_s = 0.0, list[float](), [0.875, 0.875]

    def verify(_pin_hash: str, _proof: bytes) -> bool:
        nonlocal now_s
        begun_s.append(now_s)
        now_s += takes_s.pop() if takes_s else 0.0
        return False

    throttle = Throttle(verify)
    for at in range(9):
        with suppress(NotYetError):
            throttle.ask(Asked("key", b"", OWN, bytes([at])), "hash", 0.0)
    while throttle.work(lambda: now_s) is not None:
        now_s += 0.125
    assert len(begun_s) == 9
    for place, at_s in enumerate(begun_s[CHECKS_PER_S:]):
        assert at_s - begun_s[place] >= 1 - 1e-9


def test_a_right_pin_counts_for_its_caller_and_for_one_call() -> None:
    throttle = Throttle(lambda pin_hash, proof: pin_hash == proof.decode())
    asked = Asked("key", b"me", "case", b"right")
    with suppress(NotYetError):
        throttle.ask(asked, "right", 0.0)
    throttle.work(lambda: 0.0)
    for guesser in (
        asked._replace(origin=b"other"),
        asked._replace(key="other"),
        asked._replace(proof=b"wrong"),
    ):
        with pytest.raises(NotYetError):
            throttle.ask(guesser, "right", 0.0)
    assert throttle.ask(asked, "right", 0.0)
    with pytest.raises(NotYetError):
        throttle.ask(asked, "right", 0.0)


def test_a_key_that_guesses_is_logged_and_right_pins_do_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "REPORTED_EVERY", 3)
    throttle = Throttle(lambda _pin_hash, proof: proof == b"right")
    with capture_logs() as logged:
        for at, proof in enumerate([b"right", b"1", b"right", b"2", b"3"]):
            with suppress(NotYetError):
                throttle.ask(Asked("key", b"me", str(at), proof), "hash", at)
            throttle.work(lambda: at)
    (report,) = logged
    assert report == {"event": "pins_guessed", "log_level": "error", "key_id": "key", "wrong": 3}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MOST_ATTEMPTS", 10)
    monkeypatch.setattr(limits, "_MOST_CASES", 10)
    throttle = Throttle(lambda _pin_hash, _proof: False)
    for at in range(200):
        asked = Asked("key", str(at).encode(), str(at), b"pin")
        with pytest.raises(NotYetError):
            throttle.ask(asked, "hash" if at % 2 else None, 0.0)
        throttle.work(lambda: 0.0)
    queue = throttle._queues["key"]
    assert len(throttle._attempts) == 10
    assert len(queue._cases) <= 10 + len(throttle._attempts) + 2
    assert len(queue._origins) <= 10
    assert queue._resting.keys() <= queue._cases.keys()
