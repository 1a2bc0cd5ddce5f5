"""Skip tests where a program is not installed, but never in CI."""

from __future__ import annotations

import os
import shutil

import pytest


def needs(*programs: str) -> pytest.MarkDecorator:
    """Return a mark that skips a test unless all programs are installed."""
    missing = [program for program in programs if not shutil.which(program)]
    return pytest.mark.skipif(
        bool(missing) and "CI" not in os.environ,
        reason=f"needs {' and '.join(missing)}; scripts/system-packages says how to install it",
    )
