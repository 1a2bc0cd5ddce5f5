"""Make a data directory whose snapshot holds given hashes, by the indexer's own code.

Registering ten million hashes takes an hour; writing them into a generation takes half a minute.
The registry itself stays empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from disrupt.core.media import NOT_NARROWED, Assurance, MediaKind
from disrupt.data_directory import DataDirectory
from disrupt.index.columns import ENTRY, ITEM, Columns
from disrupt.index.generations import publish
from disrupt.index.snapshot import Snapshot
from disrupt.registry import sqlite

_BLOCK = 100_000


def prepare(data_dir: Path, codes: NDArray[np.uint8]) -> Snapshot:
    """Publish ``codes``, uint8 (n, 32), one item each; the k-th, from 0, is item number k + 1."""
    directory = DataDirectory(data_dir)
    directory.make()
    with directory.locked():
        directory.secrets()
        with sqlite.open_writer(directory.registry) as registry:
            return publish(directory.index, _columns(codes), registry.head())


def item_id(entry: int) -> bytes:
    """Return the id of the item with the ``entry``-th hash, from 0."""
    return (entry + 1).to_bytes(16)


def _columns(codes: NDArray[np.uint8]) -> Iterator[Columns]:
    for first in range(0, len(codes), _BLOCK):
        block = np.array(codes[first : first + _BLOCK])
        entries = np.zeros(len(block), ENTRY)
        entries["below_bits"] = NOT_NARROWED
        entries["row"] = np.arange(len(block))
        items = np.zeros(len(block), ITEM)
        items["number"] = np.arange(first + 1, first + 1 + len(block))
        # big-endian, as in item_id
        items["item_id"][:, 8:] = items["number"].astype(">u8").view(np.uint8).reshape(-1, 8)
        items["bank"] = 1 + items["number"] % 2
        items["kind"] = MediaKind.IMAGE
        items["assurance"] = Assurance.SELF_REPORTED
        yield Columns(block, entries, items)
