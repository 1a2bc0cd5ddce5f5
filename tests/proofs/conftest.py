"""Proofs run whole with ``--proofs``, and at tiny size otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from rig.processes import strace


@pytest.fixture
def whole(request: pytest.FixtureRequest) -> bool:
    """Tell whether to run proofs whole."""
    return bool(request.config.getoption("--proofs"))


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return a function that puts a line of figures into the summary of the run."""
    return lambda line: record_property("figures", line)


@pytest.fixture
def needs_strace() -> None:
    """Skip where strace is missing, except in CI."""
    if not os.environ.get("CI") and not strace.is_there():
        pytest.skip("strace is not installed: scripts/system-packages")
