"""One generation of the index on disk, opened; ``writing`` writes them. Never modified."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from disrupt.core.changes import Cursor
from disrupt.index import manifest as manifests
from disrupt.index import memory
from disrupt.index.columns import ENTRY, ITEM
from disrupt.index.flat import FlatIndex
from disrupt.index.known_answers import check_table_search
from disrupt.index.manifest import (
    CODES,
    ENTRIES,
    ITEMS,
    FileSum,
    Manifest,
    MultiIndexParameters,
    reading,
    refused,
)
from disrupt.index.multi_index.engine import MultiIndex
from disrupt.index.multi_index.layout import cut_of
from disrupt.index.multi_index.tables import Tables


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """An opened generation, mapped, so that processes share one copy.

    Safe to read from any thread. ``entries`` (ENTRY) and ``items`` (ITEM) are mapped, see
    columns.Columns; ``flat`` are the codes, ``index`` searches them; ``generation`` is the
    directory's number.
    """

    path: Path
    manifest: Manifest
    flat: FlatIndex
    index: FlatIndex | MultiIndex
    entries: NDArray[np.void]
    items: NDArray[np.void]
    _files: dict[str, FileSum]

    @property
    def generation(self) -> int:
        """Return the number of the generation."""
        return int(self.path.name)

    @property
    def cursor(self) -> Cursor:
        """Return the state of the registry that it is of."""
        return self.manifest.cursor

    @property
    def has_tables(self) -> bool:
        """Tell whether it has tables, so that compiled code searches it."""
        return isinstance(self.index, MultiIndex)

    @classmethod
    def open(cls, path: Path, *, checked: bool = False) -> Self:
        """Check the files against the manifest and each other, then map them.

        Reads every byte; or, where another process ``checked`` the generation or wrote it, only the
        files whose inode, size or time of modification differ from the manifest's, as after a copy.
        SnapshotRefusedError names the first file that is missing, truncated, altered, of another
        format version or engine parameters, or does not fit the others; UnavailableError one that
        cannot be read now.
        """
        manifest = manifests.read(path)
        files = {
            name: _check(path / name, expected, checked=checked)
            for name, expected in manifest.files.items()
        }
        if not checked or files != manifest.files:
            _check_rows(path, manifest)
        flat = FlatIndex.map(path / CODES)
        if len(flat) != manifest.hashes:
            raise refused(path / CODES, f"{len(flat)} codes, not {manifest.hashes}")
        index: FlatIndex | MultiIndex = flat
        if isinstance(manifest.engine, MultiIndexParameters):
            index = MultiIndex(flat, Tables.map(path, manifest.hashes, cut_of(manifest.engine)))
        return cls(path, manifest, flat, index, *_columns(path, manifest), files)

    def warm(self) -> None:
        """Map its pages and compile the search, so that no lookup waits for that."""
        if isinstance(self.index, MultiIndex):
            check_table_search(self.index.tables.cut)
            memory.populate(self.flat.view(), *self.index.tables.arrays)

    def cool(self) -> None:
        """Release its pages, once no lookup comes any more; else unmapping stalls a process."""
        if isinstance(self.index, MultiIndex):
            memory.release(*self.arrays)

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """Return all arrays that it maps."""
        tables = self.index.tables.arrays if isinstance(self.index, MultiIndex) else ()
        return self.flat.view(), *tables, self.entries, self.items

    def missing_file(self) -> str | None:
        """Return the name of a file that is gone, replaced or written to since it was opened.

        Costs one stat per file. The mapping outlives a file that is gone, and shows what is written
        into one, so nothing else would reveal it.
        """
        for name, opened in self._files.items():
            try:
                status = (self.path / name).stat()
            except (FileNotFoundError, NotADirectoryError):
                return f"{self.path.name}/{name}"
            except OSError:  # This proves nothing about the file; the mapping stays valid.
                continue
            if not opened.is_of(status):
                return f"{self.path.name}/{name}"
        return None


def _check(path: Path, expected: FileSum, *, checked: bool) -> FileSum:
    """Return the size, sum and status of a file that fits ``expected``; read it if need be."""
    with reading(path):
        status = path.stat()
        if status.st_size != expected.size_bytes:
            raise refused(path, f"{status.st_size} bytes, not {expected.size_bytes}: truncated")
        if checked and expected.is_of(status):
            return expected
        actual = FileSum.of(path)
    if (actual.size_bytes, actual.sha256) != (expected.size_bytes, expected.sha256):
        raise refused(path, "altered: its checksum does not fit")
    return actual


def _columns(path: Path, manifest: Manifest) -> tuple[NDArray[np.void], NDArray[np.void]]:
    entries = _map(path / ENTRIES, ENTRY, manifest.hashes)
    return entries, _map(path / ITEMS, ITEM, manifest.items)


def _map(path: Path, dtype: np.dtype[Any], length: int) -> NDArray[Any]:
    try:
        with reading(path):
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise refused(path, "not a NumPy array file") from error
    if array.dtype != dtype or array.shape != (length,):
        raise refused(path, f"{array.dtype} {array.shape}, not {dtype} of length {length}")
    # Use plain arrays over the same memory: np.memmap makes every small slice slow.
    plain: NDArray[Any] = array.view(np.ndarray)
    return plain


def _check_rows(path: Path, manifest: Manifest) -> None:
    entries, items = _columns(path, manifest)
    numbers, rows = items["number"], entries["row"]
    if np.any(numbers[1:] <= numbers[:-1]):
        raise refused(path / ITEMS, "numbers do not ascend")
    if np.any(rows[1:] < rows[:-1]):
        raise refused(path / ENTRIES, "rows do not ascend")
    if len(rows) and rows[-1] >= len(items):
        raise refused(path / ENTRIES, f"row {rows[-1]} of {len(items)} items")
