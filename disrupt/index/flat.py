"""Exact search by FAISS: every code is compared with every query. Only here faiss is imported."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BITS, HASH_BYTES
from disrupt.index.manifest import reading, refused, unreadable
from disrupt.index.nearest import (
    NOTHING,
    UNLIMITED,
    Budget,
    ItemColumns,
    NearestItems,
    Neighbours,
    joined,
    nearest_items,
)

CODE_NS = 1.25
"""Time that comparing a code takes, on a core of an AMD EPYC with 1 MB of L2."""

_HEADER = struct.pack("<4sii", b"IBxF", HASH_BITS, HASH_BYTES)
"""First bytes of a FAISS file that holds an IndexBinaryFlat of such codes."""

_PAIRS_AT_ONCE = 2**19
"""Pairs that are compared at once: in a crowd all of them are hits, of some 75 bytes each."""
_HITS_PER_CODE = 2
_PAIRS_PER_CODE = 120
"""Hits, and compared pairs, that take as long as a code of a Budget."""


class _Codes:
    """Array interface to the codes of a FAISS index; NumPy's view keeps both alive."""

    def __init__(self, index: Any) -> None:  # noqa: ANN401
        self._index = index
        self.__array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "shape": (index.ntotal, HASH_BYTES),
            "data": (int(index.xb.data()), True),
        }


class FlatIndex:
    """Codes in a faiss.IndexBinaryFlat, fixed once made: any number of threads may search."""

    name = "flat"

    def __init__(self, index: Any) -> None:  # noqa: ANN401  (faiss has no types)
        """Wrap a FAISS index that nobody will change; use ``of`` or ``map``."""
        self._index = index

    @classmethod
    def of(cls, codes: NDArray[np.uint8]) -> FlatIndex:
        """Build from codes of shape (n, 32), copied."""
        index = faiss.IndexBinaryFlat(HASH_BITS)
        index.add(np.ascontiguousarray(codes))
        return cls(index)

    @classmethod
    def map(cls, path: Path) -> FlatIndex:
        """Map a file into memory.

        SnapshotRefusedError if it is no FAISS file of 256-bit codes, UnavailableError if it cannot
        be mapped now. The caller has checked that it is complete, so that a failure of FAISS, which
        raises one class for all failures, means that descriptors or memory are short.
        IO_FLAG_MMAP would copy an IndexBinaryFlat; IO_FLAG_MMAP_IFC does map it.
        """
        with reading(path), path.open("rb") as file:
            header = file.read(len(_HEADER))
        if header != _HEADER:
            raise refused(path, f"not an IndexBinaryFlat of {HASH_BITS} bits")
        try:
            index = faiss.read_index_binary(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise unreadable(path, "FAISS cannot map it") from error
        return cls(index)

    def __len__(self) -> int:
        """Return the number of codes."""
        return int(self._index.ntotal)

    def view(self) -> NDArray[np.uint8]:
        """Return all codes, shape (n, 32), read-only and not copied; keeps them in memory."""
        if not len(self):
            return np.empty((0, HASH_BYTES), np.uint8)
        return np.asarray(_Codes(self._index))

    def expected_us(self, _max_distance_bits: int) -> float:
        """Estimate the time that a lookup takes."""
        return len(self) * CODE_NS / 1000

    def neighbours(self, queries: NDArray[np.uint8], max_distance_bits: int) -> Neighbours:
        """Find all codes within ``max_distance_bits`` of each of ``queries``, uint8 (n, 32).

        The distance is inclusive; -1 finds nothing. Does not hold the GIL while FAISS compares.
        """
        faiss.omp_set_num_threads(1)
        # FAISS excludes the radius itself, and needs contiguous rows.
        limits, distances, labels = self._index.range_search(
            np.ascontiguousarray(queries), max_distance_bits + 1
        )
        if not len(labels):
            return Neighbours(NOTHING.query, NOTHING.entry, NOTHING.distance)
        query = np.repeat(
            np.arange(len(queries), dtype=np.uint32), np.diff(limits.astype(np.int64))
        )
        return Neighbours(query, labels, distances.astype(np.uint16))

    def nearest_bits(self, queries: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the distance, shape (n,), of the nearest code from each of ``queries``, (n, 32).

        There must be at least one code. Memory does not depend on how many codes are near.
        """
        distances: NDArray[np.int32]
        faiss.omp_set_num_threads(1)
        distances, _ = self._index.search(np.ascontiguousarray(queries), 1)
        return distances[:, 0]

    def search(
        self,
        queries: NDArray[np.uint8],
        max_distance_bits: int,
        items: ItemColumns,
        limits_bits: NDArray[np.int16],
        most_items: int,
        budget: Budget = UNLIMITED,
    ) -> NearestItems:
        """Search as ``MultiIndex.search`` does.

        All hits of a few queries at a time are held before they are cut. With a strict budget
        nothing is searched unless that suffices where every code is a hit.
        """
        if budget.strict and len(queries) * len(self) > _HITS_PER_CODE * budget.codes:
            return replace(NOTHING, left=len(queries))
        block = max(1, _PAIRS_AT_ONCE // max(1, len(self)))
        answers, left, taken = [], 0, 0
        for start in range(0, len(queries), block):
            if taken > budget.codes:
                left = len(queries) - start
                break
            part = queries[start : start + block]
            near = self.neighbours(part, max_distance_bits)
            taken += len(near.entry) // _HITS_PER_CODE + len(part) * len(self) // _PAIRS_PER_CODE
            if not len(near.entry):
                continue
            best = nearest_items(near, len(part), items, limits_bits, most_items)
            first = np.uint32(start)
            answers.append(
                replace(best, query=best.query + first, truncated=best.truncated + first)
            )
        return replace(joined(answers), left=left) if left else joined(answers)
