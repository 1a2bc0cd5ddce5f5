"""Crops that lookups hash."""

from __future__ import annotations

from itertools import product

import pytest

from disrupt.core.lookups import LOOKUP_CROPS, WHOLE, Effort
from disrupt.core.transforms import IDENTITY, Transform


@pytest.mark.parametrize("effort", [Effort.STANDARD, Effort.THOROUGH])
def test_a_step_is_cut_off_every_choice_of_sides_of_a_picture(effort: Effort) -> None:
    crops = LOOKUP_CROPS[effort].whole
    assert crops[0] == WHOLE
    assert len(set(crops)) == len(crops)
    for step in (40, 60):
        assert set(product((0, step), repeat=4)) <= set(crops)


@pytest.mark.parametrize("effort", Effort)
def test_regions_are_looked_up_in_negative_at_thorough_and_brightnesses_are_not(
    effort: Effort,
) -> None:
    crops = LOOKUP_CROPS[effort]
    assert crops.is_negated(Transform(anchored=True)) == (effort == Effort.THOROUGH)
    assert not crops.is_negated(Transform(gamma_permille=500))
    assert crops.is_negated(IDENTITY) == (effort != Effort.FAST)
