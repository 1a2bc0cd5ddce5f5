"""Engines of browsers that tests run in."""

from __future__ import annotations

import os

import pytest

from benchmarks.harness.browsers import ENGINES, missing


def needs(engine: str) -> pytest.MarkDecorator:
    """Skip a test where an engine is not installed, but never in CI."""
    lacking = missing(engine)
    return pytest.mark.skipif(
        bool(lacking) and "CI" not in os.environ,
        reason=f"needs {', '.join(lacking)}; scripts/system-packages says how to install it",
    )


EACH_ENGINE = [pytest.param(name, marks=needs(name)) for name in ENGINES]
