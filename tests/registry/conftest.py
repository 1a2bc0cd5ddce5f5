"""Fixtures of the tests of the registry."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from disrupt.data_directory import DataDirectory


@pytest.fixture
def chance() -> random.Random:
    return random.Random(21)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """Make a data directory with secrets, and no registry yet."""
    directory = DataDirectory(tmp_path / "data")
    directory.make()
    directory.secrets()
    return directory.path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return the path of a registry that does not exist yet."""
    return tmp_path / "registry.db"
