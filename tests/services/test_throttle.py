from __future__ import annotations

import itertools
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from disrupt.errors import TooManyAttemptsError
from disrupt.services import throttle as limits
from disrupt.services.throttle import Throttle


def _guess(throttle: Throttle, now_s: float, case: str = "a", caller: str = "k") -> None:
    throttle.attempt(caller, case, now_s)
    throttle.wrong(now_s)


def test_five_guesses_are_free_and_then_each_waits_twice_as_long_up_to_a_minute() -> None:
    throttle, now_s, waits = Throttle(), 1000.0, []
    for _ in range(limits.FREE_ATTEMPTS):
        _guess(throttle, now_s)
    for _ in range(9):
        with pytest.raises(TooManyAttemptsError) as refused:
            _guess(throttle, now_s)
        assert refused.value.retry_after_s is not None
        waits.append(refused.value.retry_after_s)
        now_s += refused.value.retry_after_s
        _guess(throttle, now_s)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_one_caller_and_case_do_not_slow_another_down() -> None:
    throttle = Throttle()
    for _ in range(limits.FREE_ATTEMPTS):
        _guess(throttle, 0.0)
    _guess(throttle, 0.0, caller="other")
    _guess(throttle, 0.0, case="b")
    with pytest.raises(TooManyAttemptsError):
        _guess(throttle, 0.0)


def test_the_right_pin_forgets_the_wrong_ones() -> None:
    throttle = Throttle()
    for _ in range(50):
        for _ in range(limits.FREE_ATTEMPTS - 1):
            throttle.attempt("k", "a", 0.0)
        throttle.attempt("k", "a", 0.0)
        throttle.right("k", "a")


def test_attempts_under_way_count_so_that_many_at_once_do_not_pass_together() -> None:
    throttle = Throttle()
    for _ in range(limits.FREE_ATTEMPTS):
        throttle.attempt("k", "a", 0.0)
    with pytest.raises(TooManyAttemptsError):
        throttle.attempt("k", "a", 0.0)


@given(st.lists(st.floats(0, 3), min_size=300, max_size=400))
@settings(max_examples=20)
def test_guesses_under_ever_new_callers_are_bounded_over_all(pauses_s: list[float]) -> None:
    throttle, now_s, passed = Throttle(), 0.0, 0
    for at, pause_s in enumerate(pauses_s):
        now_s += pause_s
        with suppress(TooManyAttemptsError):
            _guess(throttle, now_s, caller=str(at))
            passed += 1
    rate = limits.GLOBAL_ATTEMPTS_PER_S
    assert passed <= limits.GLOBAL_FREE_ATTEMPTS + 1 + now_s * rate


@given(st.integers(1, 500), st.integers(1, 20))
@settings(max_examples=20)
def test_who_waits_as_told_gets_in_however_many_others_guess_meanwhile(
    before: int, per_s: int
) -> None:
    throttle, others = Throttle(), itertools.count()

    def flood(guesses: int, now_s: float) -> None:
        for _ in range(guesses):
            with suppress(TooManyAttemptsError):
                _guess(throttle, now_s, caller=str(next(others)))

    flood(before, 0.0)
    wait_s = 0.0
    try:
        throttle.attempt("somebody else", "b", 0.0)
    except TooManyAttemptsError as error:
        wait_s = error.retry_after_s or 0.0
    else:
        return
    assert 0 < wait_s <= limits.MAX_DELAY_S
    for second in range(int(wait_s) + 1):
        flood(per_s, float(second))
    throttle.attempt("somebody else", "b", wait_s)


def test_memory_for_callers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MOST_PAIRS", 10)
    throttle = Throttle()
    for at in range(50):
        throttle.attempt(str(at), "a", 0.0)
    assert len(throttle._pairs) == 10
