"""A day's pictures of a key, and of every network, go live at once, and no more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from disrupt.services.live_limits import WIDER_TIMES, LiveLimits

DAY, NEXT_DAY = "2026-11-25", "2026-11-26"


def test_calls_without_an_origin_share_the_limit_of_their_key() -> None:
    limits = LiveLimits(pictures_per_key=10, pictures_per_origin=3)
    limits.charge("k", (), 9.5, DAY)
    assert limits.left("k", (), DAY) == 0.5
    assert limits.left("other", (), DAY) == 10
    assert limits.left("k", (b"a",), DAY) == 3, "nobody who names an origin waits for others"


def test_a_wider_network_has_more_than_each_within_it_and_less_than_all_of_them() -> None:
    limits = LiveLimits(pictures_per_origin=10)
    for at in range(4):
        origins = (bytes([at]), bytes([at // 2]), b"48")
        assert limits.left("k", origins, DAY) == 10
        limits.charge("k", origins, 10, DAY)
    assert limits.left("k", (b"new", b"new", b"48"), DAY) == 0
    assert limits.left("k", (b"new", b"new", b"other"), DAY) == 10


def test_a_day_begins_whole() -> None:
    limits = LiveLimits(pictures_per_key=2, pictures_per_origin=2)
    for origins in ((), (b"a",)):
        limits.charge("k", origins, 2, DAY)
        assert limits.left("k", origins, DAY) == 0
    assert limits.left("k", (), NEXT_DAY) == limits.left("k", (b"a",), NEXT_DAY) == 2


@given(
    st.lists(
        st.tuples(
            st.sampled_from("kl"),
            st.lists(st.binary(min_size=1, max_size=1), max_size=3).map(tuple),
            st.integers(1, 40),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_what_goes_live_is_that_of_a_naive_model(
    steps: list[tuple[str, tuple[bytes, ...], int, bool]],
) -> None:
    limits, day = LiveLimits(60, 20), 0
    live = list[tuple[str, tuple[bytes, ...], int]]()
    """Caller, origins and pictures of what went live today."""
    for caller, origins, pictures, ends_day in steps:
        if ends_day:
            day += 1
            live.clear()
        left = [
            20 * times
            - sum(
                count
                for name, networks, count in live
                if name == caller and networks[width : width + 1] == (origin,)
            )
            for width, (origin, times) in enumerate(zip(origins, WIDER_TIMES, strict=False))
        ]
        if not origins:
            left = [60 - sum(count for *of, count in live if of == [caller, ()])]
        assert limits.left(caller, origins, f"day {day}") == min(left)
        if pictures <= min(left):
            limits.charge(caller, origins, pictures, f"day {day}")
            live.append((caller, origins, pictures))
