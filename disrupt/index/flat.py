"""Exact search by FAISS: every code is compared with every query. Only here faiss is imported."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BITS, HASH_BYTES
from disrupt.index.manifest import refused

_THREADS = faiss.omp_get_max_threads()
_PAIRS_WORTH_THREADS = 2**22
"""About 5 ms of comparing; for less, waking threads on busy cores costs more than they give."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """Codes within a radius, as equally long columns.

    ``query`` u32, ascending; ``entry`` i64, place of the code; ``distance`` u16, in bits.
    """

    query: NDArray[np.uint32]
    entry: NDArray[np.int64]
    distance: NDArray[np.uint16]


class FlatIndex:
    """Codes in a faiss.IndexBinaryFlat, fixed once made: any number of threads may search."""

    name = "flat"

    def __init__(self, index: Any) -> None:  # noqa: ANN401  (faiss has no types)
        """Around a FAISS index that nobody will change; use ``of`` or ``map``."""
        self._index = index

    @classmethod
    def of(cls, codes: NDArray[np.uint8]) -> FlatIndex:
        """From codes of shape (n, 32), copied."""
        index = faiss.IndexBinaryFlat(HASH_BITS)
        index.add(np.ascontiguousarray(codes))
        return cls(index)

    @classmethod
    def map(cls, path: Path) -> FlatIndex:
        """From a file, memory-mapped.

        SnapshotRefusedError if it is no FAISS file of 256-bit codes.
        IO_FLAG_MMAP would copy an IndexBinaryFlat; IO_FLAG_MMAP_IFC does map it.
        """
        try:
            index = faiss.read_index_binary(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise refused(path, "FAISS cannot read it") from error
        if not isinstance(index, faiss.IndexBinaryFlat) or index.d != HASH_BITS:
            raise refused(path, f"not an IndexBinaryFlat of {HASH_BITS} bits")
        return cls(index)

    def __len__(self) -> int:
        """Number of codes."""
        return int(self._index.ntotal)

    def codes(self, entries: slice | NDArray[Any]) -> NDArray[np.uint8]:
        """Copy of some codes, shape (n, 32)."""
        if not len(self):
            return np.empty((0, HASH_BYTES), np.uint8)
        view = faiss.rev_swig_ptr(self._index.xb.data(), len(self) * HASH_BYTES)
        # the view does not keep the index alive: nothing but copies may leave
        return np.array(view.reshape(-1, HASH_BYTES)[entries])

    def search(self, queries: NDArray[np.uint8], max_distance_bits: int) -> Neighbours:
        """All codes within ``max_distance_bits`` of each of ``queries``, shape (n, 32).

        The distance is inclusive; -1 finds nothing.
        FAISS lets the GIL go while it searches, and spreads a large batch over its threads.
        """
        pairs = len(queries) * len(self)
        faiss.omp_set_num_threads(1 if pairs < _PAIRS_WORTH_THREADS else _THREADS)
        # FAISS compares strictly, and wants rows in one piece
        limits, distances, labels = self._index.range_search(
            np.ascontiguousarray(queries), max_distance_bits + 1
        )
        query = np.repeat(
            np.arange(len(queries), dtype=np.uint32), np.diff(limits.astype(np.int64))
        )
        return Neighbours(query, labels, distances.astype(np.uint16))


class FlatWriter:
    """Collects codes in memory and writes them as a file that stock FAISS opens."""

    def __init__(self) -> None:
        """Empty."""
        self._index = faiss.IndexBinaryFlat(HASH_BITS)

    def append(self, codes: NDArray[np.uint8]) -> None:
        """Adds codes, shape (n, 32)."""
        self._index.add(codes)

    def save(self, path: Path) -> None:
        """Writes the file; OSError when the disk is full."""
        # by its own writer, FAISS takes no notice of a disk that is full when the file is closed
        with path.open("wb") as file:
            writer = faiss.PyCallbackIOWriter(file.write)  # type: ignore[attr-defined]  # stubs lag
            faiss.write_index_binary(self._index, writer)
