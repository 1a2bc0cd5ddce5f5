"""Frames support one segment as long as some offset and speed fits all of them."""

from __future__ import annotations

import numpy as np
import pytest

from disrupt.services.alignment import Timeline, align


@pytest.mark.parametrize(
    ("later_ms", "supports"),
    [
        ((3560, 4000), [2]),
        ((3561, 4000), [1, 1]),
        ((900, 1440), [2]),
        ((900, 1439), [1, 1]),
    ],
)
def test_two_frames_are_one_segment_up_to_the_bounds_of_speed_and_slack(
    later_ms: tuple[int, int], supports: list[int]
) -> None:
    # The first frame may be 250 ms beside its moment, and both drift by 60 ms in a second.
    moments = [(1000, 2000), later_ms]
    stored = Timeline(*np.array(sorted(moments)).T)
    query = Timeline(np.array([0, 1000]), np.array([1000, 2000]))
    near = [(frame, np.array([sorted(moments).index(moments[frame])])) for frame in range(2)]
    assert [aligned.frames for aligned in align(near, query, stored)] == supports
