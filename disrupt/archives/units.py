"""Units of work: parts of archive files, each done by itself and written to a file of its own."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from disrupt.errors import ArchiveRefusedError

_LEAST_ROWS = 1 << 17
"""Fewer rows of row groups that follow each other are one unit: about a second of searching."""

_CSV_BYTES = 1 << 24
"""Bytes of CSV in a unit, some 180 000 rows."""

_HEADER_BYTES_MAX = 1 << 16

_PARQUET_MAGIC = b"PAR1"
_GZIP_MAGIC = b"\x1f\x8b"

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Unit:
    """A part of an archive: row groups of a Parquet file, or lines of CSV that begin in a range.

    ``number`` counts the units of a scan from 0. ``first`` and ``last``, exclusive, are row groups
    or bytes. ``first_row`` is the row of the file, counted from 1, that a part of a Parquet file
    begins with. ``names`` are the columns of a CSV file, none of a Parquet file.
    """

    number: int
    path: Path
    first: int
    last: int
    first_row: int = 1
    names: tuple[str, ...] = ()

    def place(self, row: int) -> str:
        """Say where a row is, counted within the unit from 0."""
        if self.names and self.first:
            return f"{self.path}, line {row + 1} after byte {self.first}"
        return f"{self.path}, row {self.first_row + row}"


def files_of(archives: Iterable[Path]) -> list[Path]:
    """List the files: of a folder its .parquet and .csv files. ArchiveRefusedError if none."""
    files: list[Path] = []
    for archive in archives:
        if archive.is_dir():
            within = (path for path in archive.iterdir() if path.suffix in {".parquet", ".csv"})
            files.extend(sorted(path for path in within if path.name[0] not in "._"))
        else:
            files.append(archive)
    if not files:
        raise ArchiveRefusedError("There is no .parquet or .csv file in what was given.")
    return files


def units_of(files: Iterable[Path], wanted: Sequence[str]) -> list[Unit]:
    """Divide archives into units; only their ends or heads are read.

    ArchiveRefusedError for a file that cannot be read, is neither Parquet nor CSV, or lacks one of
    the columns ``wanted``.
    """
    units: list[Unit] = []
    for path in files:
        for first, last, row, names in _parts(path, wanted):
            units.append(Unit(len(units), path, first, last, row, names))
    return units


def share(items: Sequence[_Item], shard: tuple[int, int]) -> list[_Item]:
    """Return the items whose place modulo N is I, for the shard (I, N)."""
    own, shards = shard
    return list(items[own::shards])


_Part = tuple[int, int, int, tuple[str, ...]]
"""``first``, ``last``, ``first_row`` and ``names`` of a unit."""


def _parts(path: Path, wanted: Sequence[str]) -> Iterator[_Part]:
    try:
        with path.open("rb") as file:
            head = file.readline(_HEADER_BYTES_MAX)
        if head.startswith(_PARQUET_MAGIC):
            yield from _row_groups(path, wanted)
            return
    except (OSError, pa.ArrowException) as error:
        raise ArchiveRefusedError(f"{path} cannot be read: {error}") from error
    names = _header(path, head, wanted)
    size = path.stat().st_size
    for first in range(0, size, _CSV_BYTES):
        yield first, min(first + _CSV_BYTES, size), 1, names


def _row_groups(path: Path, wanted: Sequence[str]) -> Iterator[_Part]:
    with pq.ParquetFile(path) as archive:
        _require(path, archive.schema_arrow.names, wanted)
        metadata = archive.metadata
        first, row, rows = 0, 1, 0
        for group in range(metadata.num_row_groups):
            rows += metadata.row_group(group).num_rows
            if rows >= _LEAST_ROWS or group + 1 == metadata.num_row_groups:
                yield first, group + 1, row, ()
                first, row, rows = group + 1, row + rows, 0


def _header(path: Path, head: bytes, wanted: Sequence[str]) -> tuple[str, ...]:
    if head.startswith(_GZIP_MAGIC):
        raise ArchiveRefusedError(f"{path} is compressed: decompress it, or convert it to Parquet.")
    if len(head) == _HEADER_BYTES_MAX and not head.endswith(b"\n"):
        raise ArchiveRefusedError(
            f"{path} is neither Parquet nor CSV: its first line is longer than"
            f" {_HEADER_BYTES_MAX >> 10} KiB."
        )
    try:
        names = tuple(next(csv.reader([head.decode("utf-8-sig")])))
    except (UnicodeDecodeError, csv.Error, StopIteration):
        raise ArchiveRefusedError(f"{path} is neither Parquet nor CSV in UTF-8.") from None
    _require(path, names, wanted)
    return names


def _require(path: Path, names: Sequence[str], wanted: Sequence[str]) -> None:
    for name in wanted:
        if names.count(name) != 1:
            raise ArchiveRefusedError(
                f"{path} does not have one column {name!r}; its columns are"
                f" {', '.join(map(repr, names))}. Name yours with --id-column, --hash-column and"
                " --quality-column."
            )
