from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from disrupt.index.generations import create_first
from disrupt.registry import sqlite
from disrupt.registry.records import NewItem
from disrupt.registry.registry import RegistryWriter
from rig.media.registrations import DAY, new_item, registration


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def writer(data_dir: Path) -> Iterator[RegistryWriter]:
    """Open a registry of 30 items, two of them withdrawn, beside an empty first generation."""
    data_dir.mkdir()
    chance = random.Random(5)
    with sqlite.open_writer(data_dir / "registry.db") as writer:
        create_first(data_dir / "index", writer.head().epoch)
        for _ in range(10):
            items: list[NewItem] = [new_item(chance, hashes) for hashes in (1, 2, 5)]
            done = writer.register(registration(chance, None, *items), day=DAY)
        writer.withdraw(done.case_number, [item.item_id for item in items[:2]], day=DAY)
        yield writer
