"""A day's items of a key and of an origin go live, what is beyond waits, and nothing is refused."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from disrupt.core.states import ItemState
from disrupt.registry import sqlite
from disrupt.services.live_limits import LiveLimits
from disrupt.services.registration import Registrar
from tests.services.patient import Patient
from tests.services.test_registration import DAY, PEPPER, PINS, item, request

H, DAY_S = 3600.0, 86_400.0


def goes_live(
    limits: LiveLimits, items: int, now_s: float = 0, caller: str = "k", origin: bytes = b""
) -> bool:
    is_live = limits.state(caller, origin, items, now_s) == ItemState.LIVE
    if is_live:
        limits.charge(caller, origin, items, now_s)
    return is_live


def test_a_day_of_an_origin_goes_live_and_grows_back() -> None:
    limits = LiveLimits(items_per_key=1000, items_per_origin=24)
    assert goes_live(limits, 24, origin=b"a")
    assert not goes_live(limits, 1, origin=b"a")
    assert goes_live(limits, 24, origin=b"b")
    assert goes_live(limits, 24, origin=b"a", caller="other")
    assert not goes_live(limits, 2, now_s=H, origin=b"a"), "what waits is not charged"
    assert goes_live(limits, 1, now_s=H, origin=b"a")
    assert not goes_live(limits, 25, now_s=10 * DAY_S, origin=b"a"), "no more than a day's"


def test_no_origin_makes_the_registrations_of_others_wait() -> None:
    limits = LiveLimits(items_per_key=48, items_per_origin=24)
    assert all(goes_live(limits, 24, origin=bytes([at])) for at in range(1, 10))
    assert not goes_live(limits, 1, origin=b"\x01")
    assert goes_live(limits, 48), "what origins registered leaves the limit of their key whole"
    assert not goes_live(limits, 1), "calls without a token share the limit of their key"
    assert goes_live(limits, 1, origin=b"new")
    assert goes_live(limits, 48, caller="other")


@given(st.lists(st.tuples(st.integers(1, 30), st.floats(0, 8 * H)), max_size=60))
def test_no_day_lets_more_than_two_days_items_go_live(steps: list[tuple[int, float]]) -> None:
    limits, live, now_s = LiveLimits(items_per_origin=24), list[tuple[float, int]](), 0.0
    for items, pause_s in steps:
        now_s += pause_s
        if goes_live(limits, items, now_s, origin=b"a"):
            live.append((now_s, items))
    for end_s, _ in live:
        assert sum(items for at_s, items in live if end_s - DAY_S < at_s <= end_s) <= 48


def test_items_beyond_the_limit_are_registered_and_wait(tmp_path: Path) -> None:
    with sqlite.open_writer(tmp_path / "registry.db") as registry:
        registrar = Registrar(
            registry, PINS, Patient(PINS.verify), PEPPER, live=LiveLimits(items_per_key=3)
        )

        waiting = list[list[bool]]()

        def register(caller: str, case: str = "") -> str:
            asked = request(item(90), item(90), case=case)
            receipt = registrar.register(asked, caller=caller, now_s=0, day=DAY)
            assert receipt == registrar.register(asked, caller=caller, now_s=0, day=DAY)
            waiting.append([each.waits for each in receipt.items])
            return receipt.case_number

        def states(case: str) -> list[ItemState]:
            record = registry.case(case)
            assert record is not None
            return [each.state for each in record.items]

        case, other = register("k"), register("other")
        register("k", case)
        assert states(case) == [ItemState.LIVE] * 2 + [ItemState.WAITING] * 2
        assert waiting == [[False] * 2, [False] * 2, [True] * 2]
        assert states(other) == [ItemState.LIVE] * 2
