"""Crops that lookups hash."""

from __future__ import annotations

from itertools import product

import pytest

from disrupt.core.lookups import LOOKUP_CROPS, WHOLE, Effort


@pytest.mark.parametrize("effort", [Effort.STANDARD, Effort.THOROUGH])
def test_a_step_is_cut_off_every_choice_of_sides_of_a_picture(effort: Effort) -> None:
    crops = LOOKUP_CROPS[effort].whole
    assert crops[0] == WHOLE
    assert len(set(crops)) == len(crops)
    for step in (40, 60):
        assert set(product((0, step), repeat=4)) <= set(crops)
