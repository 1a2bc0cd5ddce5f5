"""Fixtures of the tests of the registry."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from disrupt.data_directory import DataDirectory
from disrupt.registry.sql import SqlRegistry, SqlRegistryWriter


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    place = tmp_path / "data"
    place.mkdir()
    DataDirectory(place).secrets()
    return place


@pytest.fixture
def writer(data_dir: Path) -> Iterator[SqlRegistryWriter]:
    with SqlRegistry.open_writer(data_dir / "registry.db") as writer:
        yield writer


@pytest.fixture
def chance() -> random.Random:
    return random.Random(21)
