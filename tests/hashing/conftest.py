"""Fixtures of the tests of hashing."""

import pytest

from rig.media.videos import Frame, footage
from tests.hashing.videos import FPS, SECONDS


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return list(footage(3, seconds=SECONDS, fps=FPS))
