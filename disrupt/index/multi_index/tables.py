"""The tables that multi-index hashing searches: made from the codes, mapped by every process.

This module defines their layout. Only sorting and searching need compiled code, which is imported
when it is used: it costs a process half a second and 60 MB.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from disrupt.core.progress import Progress, quiet
from disrupt.index.manifest import (
    NARROW_TABLES,
    WIDE_TABLES,
    MultiIndexParameters,
    reading,
    refused,
)

TAG_BITS = 16
"""Bits of the following chunk that are stored beside a posting."""

_SORTING = "Sorting"

PADDING = 32
"""Tags behind the last one of a chunk, which are read and ignored."""


@dataclass(frozen=True, slots=True)
class Cut:
    """How codes are cut: into ``chunks`` of so many ``bits``; the remaining bits are not used.

    ``low_bits`` of an entry's number are stored as they are.
    """

    chunks: int
    bits: int
    low_bits: int

    @property
    def keys(self) -> int:
        """Values that a chunk can have."""
        return 1 << self.bits


NARROW = Cut(16, 16, 16)
WIDE = Cut(12, 21, 32)
"""Keeps posting lists short where there are very many codes; tables of its keys take 100 MB."""

WIDE_FROM_HASHES = 30_000_000


def cut_for(length: int) -> Cut:
    """Return how to cut so many codes."""
    return WIDE if length >= WIDE_FROM_HASHES else NARROW


def cut_of(engine: MultiIndexParameters) -> Cut:
    """Return how the codes of a snapshot are cut."""
    return WIDE if engine == WIDE_TABLES else NARROW


def engine_of(cut: Cut) -> MultiIndexParameters:
    """Return the manifest's parameters of a cut."""
    return WIDE_TABLES if cut == WIDE else NARROW_TABLES


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
        cut = cut or cut_for(len(codes))
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
        for name, (shape, dtype) in layout(length, cut).items():
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
        """All of them."""
        return self.starts, self.tags, self.low, self.high

    @property
    def size_bytes(self) -> int:
        """Of all arrays."""
        return sum(array.nbytes for array in self.arrays)

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
        arrays: list[NDArray[Any]] = [
            allocate(name, shape, dtype) for name, (shape, dtype) in layout(length, cut).items()
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


@cache
def cut_array(cut: Cut) -> NDArray[np.int64]:
    """Return the cut as an array, for kernels, which take an address."""
    return np.array([cut.chunks, cut.bits, cut.low_bits], np.int64)


def high_rows(length: int, low_bits: int) -> int:
    """Return the number of upper parts that the numbers of ``length`` entries have."""
    return ((length - 1) >> low_bits) + 1


def high_words(length: int, bits: int, low_bits: int) -> int:
    """Return the 64-bit words of ``high`` per chunk: a bit per code, and per key and upper part."""
    # Kernels compile this function, so it calls no other.
    if low_bits > TAG_BITS:
        return 0
    rows = ((length - 1) >> low_bits) + 1
    return ((length + (rows << bits)) >> 6) + 1


def layout(length: int, cut: Cut) -> dict[str, tuple[tuple[int, int], DTypeLike]]:
    """Return name, shape and type of each array of Tables over ``length`` codes."""
    words = high_words(length, cut.bits, cut.low_bits)
    return {
        "starts": ((cut.chunks, cut.keys + 1), np.uint32),
        "tags": ((cut.chunks, length + PADDING), np.uint16),
        "low": ((cut.chunks, length), np.uint16 if words else np.uint32),
        "high": ((cut.chunks, words), np.int64),
    }


def file_name(name: str) -> str:
    """Return the file name of an array of Tables in a snapshot."""
    return f"search-{name}.npy"


def address(array: NDArray[Any]) -> int:
    """Return where the array begins, for kernels; several times faster than ``array.ctypes``."""
    place: int = array.__array_interface__["data"][0]
    return place
