"""A data directory with a small list, and archives that are near to it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from disrupt.core.media import FINGERPRINT, MediaKind
from disrupt.core.policy import ADULTS
from disrupt.data_directory import DataDirectory
from disrupt.index.generations import create_first
from disrupt.registry import opening
from disrupt.registry.records import NewItem
from disrupt.registry.registry import RegistryWriter
from disrupt.upkeep.rebuild import rebuild
from rig.media.registrations import DAY, registration

Codes = NDArray[np.uint8]


@dataclass
class Site:
    """A data directory whose registry nobody else has open."""

    data_dir: Path
    cases: dict[str, str] = field(default_factory=dict)
    """The number of the case of each item."""

    @classmethod
    def make(cls, data_dir: Path) -> Site:
        site = cls(data_dir)
        DataDirectory(data_dir).make()
        with site.writing() as registry:
            create_first(DataDirectory(data_dir).index, registry.head().epoch)
        return site

    @contextmanager
    def writing(self) -> Iterator[RegistryWriter]:
        directory = DataDirectory(self.data_dir)
        with directory.locked(), opening.writing(directory) as registry:
            yield registry

    def register(self, codes: Codes, bank: int = ADULTS.number) -> list[str]:
        """Register an item of each hash, in a case of its own; return their ids."""
        chance = random.Random(codes.tobytes())
        items: list[str] = []
        with self.writing() as registry:
            for code in codes:
                rows = np.zeros(1, FINGERPRINT)
                rows["hash"], rows["quality"], rows["profile"] = code, 100, 1
                item = NewItem(chance.randbytes(16), MediaKind.IMAGE, rows)
                done = registry.register(registration(chance, None, item, bank=bank), day=DAY)
                items.append(item.item_id.hex())
                self.cases[items[-1]] = done.case_number
        return items

    def withdraw(self, item: str) -> None:
        with self.writing() as registry:
            registry.withdraw(self.cases[item], [bytes.fromhex(item)], day=DAY)

    def rebuild(self) -> None:
        directory = DataDirectory(self.data_dir)
        with opening.reading(directory) as reader:
            rebuild(reader, directory.index)


def write_parquet(
    path: Path, ids: Sequence[object], codes: Codes, qualities: Sequence[int | None] | None = None
) -> Path:
    """Write an archive of hashes in hex."""
    columns: dict[str, Any] = {"id": ids, "hash": [code.tobytes().hex() for code in codes]}
    if qualities is not None:
        columns["quality"] = pa.array(qualities, pa.uint8())
    pq.write_table(pa.table(columns), path)
    return path


def results(out: Path) -> list[dict[str, Any]]:
    """Return all rows in the result files of a directory, as others read it: at once."""
    rows: list[dict[str, Any]] = pq.read_table(out).to_pylist()
    return rows


def pairs(out: Path) -> set[tuple[object, str, int]]:
    """Return id, item and distance of all matches; no pair of an id and an item comes twice."""
    rows = results(out)
    assert len({(row["id"], row["item"]) for row in rows}) == len(rows)
    return {(row["id"], row["item"], row["distance_bits"]) for row in rows}
