"""One generation of the index on disk: written once, checked when opened, never modified."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from disrupt.core.changes import Cursor
from disrupt.core.media import StoredItem
from disrupt.errors import DisruptError
from disrupt.index import manifest as manifests
from disrupt.index.columns import ENTRY, ITEM, columns
from disrupt.index.flat import FlatIndex, FlatWriter
from disrupt.index.manifest import (
    CODES,
    ENTRIES,
    FILES,
    ITEMS,
    MANIFEST,
    EngineParameters,
    FileSum,
    Manifest,
    refused,
)

_BATCH_ITEMS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """An opened generation, mapped, so that processes share one copy.

    Safe to read from any thread. ``entries`` (ENTRY) and ``items`` (ITEM) are mapped, see
    columns.Columns; ``generation`` is the directory's number.
    """

    path: Path
    manifest: Manifest
    index: FlatIndex
    entries: NDArray[np.void]
    items: NDArray[np.void]
    _identities: dict[str, tuple[int, ...]]

    @property
    def generation(self) -> int:
        """Number of the generation."""
        return int(self.path.name)

    @property
    def cursor(self) -> Cursor:
        """How far it goes."""
        return self.manifest.cursor

    @classmethod
    def open(cls, path: Path) -> Self:
        """Checks the files against the manifest and each other, then maps them.

        Reads every byte once. SnapshotRefusedError names the first file that is missing,
        truncated, altered, of another format version or engine parameters, or does not fit the
        others.
        """
        manifest = manifests.read(path)
        identities = {name: _verify(path / name, manifest.files[name]) for name in FILES}
        index = FlatIndex.map(path / CODES)
        entries = _map(path / ENTRIES, ENTRY, manifest.hashes)
        items = _map(path / ITEMS, ITEM, manifest.items)
        if len(index) != manifest.hashes:
            raise refused(path / CODES, f"{len(index)} codes, not {manifest.hashes}")
        _check_rows(path, entries, items)
        return cls(path, manifest, index, entries, items, identities)

    def missing_file(self) -> str | None:
        """Name of a file that is gone, replaced or written to since it was opened.

        Costs one stat per file. The mapping outlives a file that is gone, and shows what is written
        into one, so nothing else would tell.
        """
        for name, identity in self._identities.items():
            try:
                status = (self.path / name).stat()
            except OSError:
                return f"{self.path.name}/{name}"
            if _identity(status) != identity:
                return f"{self.path.name}/{name}"
        return None


def write(directory: Path, items: Iterable[StoredItem], cursor: Cursor) -> Manifest:
    """Writes a snapshot into a new directory and makes it durable.

    ``items`` ascend by number and are the living items as of ``cursor``; items removed after it may
    be among them, or missing. Beside the codes, memory does not grow with their number. OSError
    when the disk is full: the directory is then incomplete, and no snapshot.
    """
    directory.mkdir(mode=0o700)
    codes = FlatWriter()
    with (
        closing(_ArrayWriter(directory / ENTRIES, ENTRY)) as entry_file,
        closing(_ArrayWriter(directory / ITEMS, ITEM)) as item_file,
    ):
        last = -1
        remaining = iter(items)
        while batch := list(islice(remaining, _BATCH_ITEMS)):
            numbers = [last, *(item.number for item in batch)]
            if any(left >= right for left, right in pairwise(numbers)):
                raise DisruptError("The registry's feed does not ascend by number.")
            last = numbers[-1]
            made = columns(batch, first_row=item_file.length)
            codes.append(made.codes)
            entry_file.append(made.entries)
            item_file.append(made.items)
    codes.save(directory / CODES)
    for name in FILES:
        sync(directory / name)
    manifest = Manifest(
        engine=EngineParameters(),
        epoch=cursor.epoch.hex(),
        sequence=cursor.sequence,
        items=item_file.length,
        hashes=entry_file.length,
        files={
            CODES: _sum(directory / CODES),
            ENTRIES: _sum(directory / ENTRIES),
            ITEMS: _sum(directory / ITEMS),
        },
    )
    (directory / MANIFEST).write_bytes(manifest.to_bytes())
    sync(directory / MANIFEST)
    sync(directory)
    return manifest


def sync(path: Path) -> None:
    """Makes a file, or the entries of a directory, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _ArrayWriter:
    """A .npy file written row by row; its length is put into the header at the end."""

    def __init__(self, path: Path, dtype: np.dtype[np.void]) -> None:
        self._file = path.open("wb")
        self._dtype = dtype
        self.length = 0
        self._write_header()

    def append(self, rows: NDArray[np.void]) -> None:
        self._file.write(rows.astype(self._dtype, copy=False).tobytes())
        self.length += len(rows)

    def close(self) -> None:
        # NumPy leaves room in the header for the length to grow
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


def _sum(path: Path) -> FileSum:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileSum(size_bytes=os.fstat(file.fileno()).st_size, sha256=digest)


def _verify(path: Path, expected: FileSum) -> tuple[int, ...]:
    try:
        status = path.stat()
        if status.st_size != expected.size_bytes:
            raise refused(path, f"{status.st_size} bytes, not {expected.size_bytes}: truncated")
        found = _sum(path)
    except OSError as error:
        raise refused(path, "missing or unreadable") from error
    if found != expected:
        raise refused(path, "altered: its checksum does not fit")
    return _identity(status)


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """What stays the same as long as nobody touches the file."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _map(path: Path, dtype: np.dtype[np.void], length: int) -> NDArray[np.void]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise refused(path, "not a NumPy array file") from error
    if array.dtype != dtype or array.shape != (length,):
        raise refused(path, f"{array.dtype} {array.shape}, not {dtype} of length {length}")
    # plain arrays over the same memory: np.memmap makes every small slice slow
    plain: NDArray[np.void] = array.view(np.ndarray)
    return plain


def _check_rows(path: Path, entries: NDArray[np.void], items: NDArray[np.void]) -> None:
    numbers, rows = items["number"], entries["row"]
    if np.any(numbers[1:] <= numbers[:-1]):
        raise refused(path / ITEMS, "numbers do not ascend")
    if np.any(rows[1:] < rows[:-1]):
        raise refused(path / ENTRIES, "rows do not ascend")
    if len(rows) and rows[-1] >= len(items):
        raise refused(path / ENTRIES, f"row {rows[-1]} of {len(items)} items")
