"""A list of some items, and an archive that some of them are near to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rig.media.codes import flipped, random_codes
from tests.archives.site import Site, write_parquet

LISTED = random_codes(40)
"""Hashes of the list, an item each."""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site.make(tmp_path / "data")


@pytest.fixture
def listed(site: Site) -> list[str]:
    """Register LISTED; return the ids of the items. The last half came after the generation."""
    items = site.register(LISTED[:20])
    site.rebuild()
    return items + site.register(LISTED[20:])


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Write 200 rows, ids from 0: each fifth is near LISTED in turn, at 0, 3, 6 ... bits."""
    codes = random_codes(200, seed=9)
    for turn, row in enumerate(range(0, 200, 5)):
        codes[row] = flipped(LISTED[turn], near_bits(turn), seed=turn)
    return write_parquet(tmp_path / "archive.parquet", list(range(200)), np.array(codes))


def near_bits(turn: int) -> int:
    return 3 * turn % 36
