"""Debian's Chromium, as tests start it."""

from __future__ import annotations

import os
import shutil

import pytest
from playwright.sync_api import Browser, Playwright


def chromium(driver: Playwright, *options: str) -> Browser:
    """Start the browser; skip the test where there is none, but in CI fail."""
    program = shutil.which("chromium")
    if program is None and not os.environ.get("CI"):
        pytest.skip("there is no chromium: scripts/system-packages installs it")
    # It refuses its sandbox to root.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return driver.chromium.launch(executable_path=program, args=[*sandbox, *options])
