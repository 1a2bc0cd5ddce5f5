"""The tables that multi-index hashing searches: made from the codes, mapped by every process.

Only sorting and searching need compiled code, which is imported when it is used: it costs a process
half a second and 60 MB.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from disrupt.core.progress import Progress, quiet
from disrupt.index.manifest import reading, refused
from disrupt.index.multi_index.layout import (
    NARROW,
    Cut,
    array_shapes,
    cut_array,
    cut_in_memory,
    file_name,
)

_SORTING = "Sorting"


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Tables beside n codes: 68 bytes each at ten million, and 4 MB; 72 and 100 MB if wide.

    In each, a row per chunk; postings of a chunk are sorted by key, then entry. ``starts`` u32
    (chunks, keys + 1): first posting of each key. ``tags`` u16 (chunks, n + 32): first 16 bits of
    the following chunk of each posting's code. ``low`` u16 or u32 (chunks, n): lower 16 or all bits
    of each posting's entry. ``high`` i64 (chunks, words): with 16, the upper bits h, as a set bit
    at place + key * rows + h, rows being the number of values of h (Elias-Fano coding).
    """

    cut: Cut
    starts: NDArray[np.uint32]
    tags: NDArray[np.uint16]
    low: NDArray[np.uint16] | NDArray[np.uint32]
    high: NDArray[np.int64]

    @classmethod
    def of(cls, codes: NDArray[np.uint8], threads: int = 1, cut: Cut | None = None) -> Tables:
        """Build in memory, from contiguous codes of shape (n, 32), 0 < n < 2³²."""
        cut = cut or cut_in_memory(len(codes))
        return cls._sorted(codes, threads, cut, lambda _, shape, dtype: np.empty(shape, dtype))

    @classmethod
    def write(
        cls,
        directory: Path,
        codes: NDArray[np.uint8],
        cut: Cut,
        threads: int = 1,
        progress: Progress = quiet,
    ) -> Tables:
        """Build as ``of`` does, in new files of a directory, which are mapped; not yet durable.

        OSError when the disk is full.
        """

        def create(name: str, shape: tuple[int, int], dtype: DTypeLike) -> NDArray[np.generic]:
            path = directory / file_name(name)
            array = np.lib.format.open_memmap(path, "w+", np.dtype(dtype), shape)
            # Writing to a page that the disk has no room for would kill the process.
            with path.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
            return array

        return cls._sorted(codes, threads, cut, create, progress)

    @classmethod
    def map(cls, directory: Path, length: int, cut: Cut) -> Tables:
        """Map files that ``write`` made for ``length`` codes, read-only.

        SnapshotRefusedError names a file that is missing or not of this length; UnavailableError
        one that cannot be mapped now.
        """
        arrays = []
        for name, (shape, dtype) in array_shapes(length, cut).items():
            path = directory / file_name(name)
            try:
                with reading(path):
                    array = np.load(path, mmap_mode="r", allow_pickle=False)
            except (ValueError, EOFError) as error:
                raise refused(path, "not a NumPy array file") from error
            if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
                raise refused(path, f"{array.dtype} {array.shape}, not {np.dtype(dtype)} {shape}")
            arrays.append(array.view(np.ndarray))
        return cls(cut, *arrays)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Return all tables."""
        return self.starts, self.tags, self.low, self.high

    @classmethod
    def _sorted(
        cls,
        codes: NDArray[np.uint8],
        threads: int,
        cut: Cut,
        allocate: Callable[[str, tuple[int, int], DTypeLike], NDArray[np.generic]],
        progress: Progress = quiet,
    ) -> Tables:
        from disrupt.index.multi_index.sort_kernel import sort_chunk

        length = len(codes)
        shapes = array_shapes(length, cut)
        arrays: list[NDArray[Any]] = [
            allocate(name, shape, dtype) for name, (shape, dtype) in shapes.items()
        ]
        tables = cls(cut, *arrays)
        numbers = cut_array(cut)

        def sort(chunk: int) -> None:
            tables.high[chunk] = 0
            sort_chunk(
                address(codes),
                length,
                chunk,
                address(numbers),
                *(address(array[chunk]) for array in tables.arrays),
            )

        with ThreadPoolExecutor(threads) as pool:
            for done, _ in enumerate(pool.map(sort, range(cut.chunks)), 1):
                progress(_SORTING, done, cut.chunks)
        return tables


NO_TABLES = Tables(
    NARROW,
    np.empty((NARROW.chunks, 0), np.uint32),
    np.empty((NARROW.chunks, 0), np.uint16),
    np.empty((NARROW.chunks, 0), np.uint16),
    np.empty((NARROW.chunks, 0), np.int64),
)
"""Placeholder for codes so few that all are compared."""


def address(array: NDArray[Any]) -> int:
    """Return the address of an array, for kernels; several times faster than ``array.ctypes``."""
    place: int = array.__array_interface__["data"][0]
    return place
