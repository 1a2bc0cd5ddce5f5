"""Fixtures of the tests of the SDK."""

from __future__ import annotations

import pytest

from rig.callers.sdk import Call, in_loop, in_thread


@pytest.fixture(params=[in_thread, in_loop])
def call(request: pytest.FixtureRequest) -> Call:
    """Return a function that calls a method, by threads or by asyncio."""
    chosen: Call = request.param
    return chosen
