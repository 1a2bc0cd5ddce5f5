"""Make a data directory whose snapshot holds given hashes, by the indexer's own code.

Registering ten million hashes takes an hour; writing them into a generation takes half a minute.
The registry itself stays empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.brute_force import brute_force
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.media import NOT_NARROWED, Assurance, MediaKind
from disrupt.data_directory import DataDirectory
from disrupt.distinctiveness.limits import limits_bits
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


def answers(codes: NDArray[np.uint8], asked: NDArray[np.uint8]) -> list[list[tuple[bytes, int]]]:
    """Return what a lookup of each of ``asked``, uint8 (n, 32), has to answer, by brute force.

    It is the id and the distance in bits of each item, sorted. A hash of low distinctiveness has a
    nearer limit, and so have its answers.
    """
    return [
        sorted((item_id(entry), distance) for entry, distance in near if distance <= limit)
        for near, limit in zip(
            brute_force(codes, asked, MAX_DISTANCE_BITS), limits_bits(asked), strict=True
        )
    ]


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
