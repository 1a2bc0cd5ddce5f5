"""Write a generation: column by column as the items come, then the tables, then the manifest."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disrupt.core.changes import Cursor
from disrupt.core.hashes import HASH_BITS, HASH_BYTES
from disrupt.core.progress import Progress, quiet
from disrupt.errors import DisruptError
from disrupt.index.columns import ENTRY, ITEM, Columns, joined
from disrupt.index.flat import FlatIndex
from disrupt.index.known_answers import check_table_search
from disrupt.index.manifest import (
    CODES,
    ENTRIES,
    ITEMS,
    MANIFEST,
    FileSum,
    FlatParameters,
    Manifest,
    MultiIndexParameters,
)
from disrupt.index.multi_index.layout import cut_for, engine_of
from disrupt.index.multi_index.tables import Tables
from disrupt.index.snapshot import Snapshot

TABLES_FROM_HASHES = 20_000
"""Least hashes of a snapshot with tables: comparing all of fewer takes some 25 µs."""

_BLOCK_ITEMS = 4096

_SETTLING = "Making it durable"

_FAISS_HEADER = struct.Struct("<4siiqBiQ")
_METRIC_L2 = 1
"""Metric that FAISS writes for binary indexes, and never reads."""


def remaining(base: Snapshot, gone: Sequence[int]) -> Iterator[Columns]:
    """Yield the columns of a snapshot, in blocks, without the items numbered in ``gone``."""
    every = Columns(base.flat.view(), base.entries, base.items)
    dead = np.array(sorted(gone), np.uint64)
    for first in range(0, len(base.items), _BLOCK_ITEMS):
        rows = slice(first, min(first + _BLOCK_ITEMS, len(base.items)))
        yield every.kept(rows, ~np.isin(base.items["number"][rows], dead))


def merged(blocks: Iterable[Columns], others: Columns) -> Iterator[Columns]:
    """Yield blocks of items that ascend by number, with ``others`` in their places among them."""
    numbers, begin = others.items["number"], 0
    keep_all = np.ones(len(numbers), np.bool_)
    for block in blocks:
        last = block.items["number"][-1] if len(block.items) else 0
        end = int(np.searchsorted(numbers, last))
        if end > begin:
            rows = slice(begin, end)
            yield joined([block, others.kept(rows, keep_all[rows])])
            begin = end
        else:
            yield block
    rest = slice(begin, len(numbers))
    yield others.kept(rest, keep_all[rest])


def write(
    directory: Path, content: Iterable[Columns], cursor: Cursor, progress: Progress = quiet
) -> None:
    """Write a snapshot into a new directory and make it durable.

    ``content`` are the living items as of ``cursor``, ascending by number over all blocks, rows of
    each counted from 0; items removed after the cursor may be among them, or missing. Memory does
    not grow with their number. OSError when the disk is full: the directory is then incomplete, and
    no snapshot.
    """
    begun_s = int(time.time())
    directory.mkdir(mode=0o700)
    with ExitStack() as stack:
        codes = stack.enter_context(closing(CodesWriter(directory / CODES)))
        entries = stack.enter_context(closing(_ArrayWriter(directory / ENTRIES, ENTRY)))
        items = stack.enter_context(closing(_ArrayWriter(directory / ITEMS, ITEM)))
        last = -1
        for block in content:
            numbers = block.items["number"]
            if len(numbers):
                if int(numbers[0]) <= last or np.any(numbers[1:] <= numbers[:-1]):
                    raise DisruptError("The registry's feed does not ascend by number.")
                last = int(numbers[-1])
            block.entries["row"] += np.uint32(items.length)
            codes.append(block.codes)
            entries.append(block.entries)
            items.append(block.items)
    engine: FlatParameters | MultiIndexParameters = FlatParameters()
    if codes.length >= TABLES_FROM_HASHES:
        cut = cut_for(codes.length)
        engine = engine_of(cut)
        # Compile the search now, so that servers load it.
        check_table_search()
        Tables.write(directory, FlatIndex.map(directory / CODES).view(), cut, _cores(), progress)
    _seal(directory, engine, cursor, begun_s, items.length, codes.length, progress)


def _seal(
    directory: Path,
    engine: FlatParameters | MultiIndexParameters,
    cursor: Cursor,
    begun_s: int,
    items: int,
    hashes: int,
    progress: Progress,
) -> None:
    """Make the files durable and write their sums into the manifest."""

    def settle(name: str) -> FileSum:
        sync(directory / name)
        return FileSum.of(directory / name)

    with ThreadPoolExecutor(_cores()) as pool:
        files = dict[str, FileSum]()
        for name, file_sum in zip(engine.files, pool.map(settle, engine.files), strict=True):
            files[name] = file_sum
            progress(_SETTLING, len(files), len(engine.files))
    manifest = Manifest(
        engine=engine,
        epoch=cursor.epoch.hex(),
        sequence=cursor.sequence,
        mark=cursor.mark.hex(),
        begun_s=begun_s,
        items=items,
        hashes=hashes,
        files=files,
    )
    (directory / MANIFEST).write_bytes(manifest.to_bytes())
    sync(directory / MANIFEST)
    sync(directory)


def sync(path: Path) -> None:
    """Make a file, or the entries of a directory, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


class CodesWriter:
    """A file that stock FAISS reads as an IndexBinaryFlat, written code by code.

    FAISS itself would want all codes in memory first. Its format: "IBxF", bits, bytes per code,
    number of codes, whether it is trained, metric, bytes of all codes, codes.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.length = 0
        self._write_header()

    def append(self, codes: NDArray[np.uint8]) -> None:
        """Append codes, shape (n, 32)."""
        self._file.write(codes.tobytes())
        self.length += len(codes)

    def close(self) -> None:
        """Complete the header."""
        with self._file:
            self._file.seek(0)
            self._write_header()

    def _write_header(self) -> None:
        size_bytes = self.length * HASH_BYTES
        self._file.write(
            _FAISS_HEADER.pack(
                b"IBxF", HASH_BITS, HASH_BYTES, self.length, 1, _METRIC_L2, size_bytes
            )
        )


class _ArrayWriter:
    """A .npy file written row by row; its length is put into the header at the end."""

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self._file = path.open("wb")
        self._dtype = dtype
        self.length = 0
        self._write_header()

    def append(self, rows: NDArray[Any]) -> None:
        self._file.write(rows.astype(self._dtype, copy=False).tobytes())
        self.length += len(rows)

    def close(self) -> None:
        # NumPy leaves room in the header for the length to grow.
        with self._file:
            self._file.seek(0)
            self._write_header()

    def _write_header(self) -> None:
        np.lib.format.write_array_header_1_0(
            self._file,
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self.length,),
            },
        )
