"""Fixtures of tests that hash videos in a browser."""

from collections.abc import Iterator

import pytest

from benchmarks.harness.video_device import Device, device
from benchmarks.harness.videos import Frame, footage


@pytest.fixture(scope="package")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Device]:
    """Return a device with Chromium."""
    with device("chromium", tmp_path_factory.mktemp("phone")) as opened:
        yield opened


@pytest.fixture(scope="package")
def frames() -> list[Frame]:
    """Return two seconds at 25 frames a second."""
    return list(footage(3, seconds=2, fps=25))
