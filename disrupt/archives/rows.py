"""Rows of archives as hashes. Rows that are wrong are counted and left out, and end nothing.

Memory is bounded by bytes: a few of Parquet, or of CSV, may stand for any number of rows and for
values of any length.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from disrupt.archives.units import Unit
from disrupt.core.hashes import HASH_BYTES, MIN_QUALITY
from disrupt.errors import ArchiveRefusedError

BATCH_ROWS = 1 << 14
"""Rows that are held at once: some 3 MB, and with the longest ids 64 MiB."""

ID_BYTES_MAX = 4096
"""Longest id: that of a picture that ``disrupt hash`` read is its path."""

LINE_BYTES_MAX = 1 << 20
"""Longest line of CSV, and how much of a file is read at once."""

GROUP_BYTES_MAX = 1 << 28
"""Most bytes of a row group's columns that are read, not compressed. Parquet is decoded by pages,
whose size only their writer knows: the largest is the whole of a column."""

_NUMBER_BYTES_MAX = 32
"""Longest number that is written as text."""

_MAX_QUALITY = 100
_EXAMPLES = 5
"""Refused rows that are named, of each unit."""

_NO_DIGIT = 255
_DIGITS = np.full(256, _NO_DIGIT, np.uint8)
_DIGITS[np.frombuffer(b"0123456789abcdefABCDEF", np.uint8)] = [*range(16), *range(10, 16)]


@dataclass(frozen=True, slots=True)
class ColumnNames:
    """Names of the columns. Those of quality and of areas may be missing unless named on purpose.

    ``area`` is the share of a picture that a hash shows, in thousandths, as ``disrupt hash`` writes
    it.
    """

    id: str = "id"
    hash: str = "hash"
    quality: str = "quality"
    quality_needed: bool = False
    area: str = "area_permille"

    @property
    def needed(self) -> tuple[str, ...]:
        """Names that every file must have."""
        return (self.id, self.hash, *((self.quality,) if self.quality_needed else ()))


@dataclass(slots=True)
class Tally:
    """Counts of the rows of a unit."""

    rows: int = 0
    low_quality: int = 0
    without_quality: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)

    def refuse(self, reason: str, place: str) -> None:
        """Count a row that cannot be looked up, and name the first ones."""
        self.refused[reason] += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{place}: {reason}")


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows to look up: ``ids`` of any type (n,), ``hashes`` uint8 (n, 32), ``areas`` uint16 (n,).

    An area of 0 is not known.
    """

    ids: Any
    hashes: NDArray[np.uint8]
    areas: NDArray[np.uint16]


def read(unit: Unit, names: ColumnNames, tally: Tally) -> Iterator[Rows]:
    """Yield the rows of a unit that are right and of sufficient or unknown quality.

    Quality counts as in lookups of hashes: less than MIN_QUALITY is not searched, and an empty
    quality is unknown. ArchiveRefusedError if the file is damaged.
    """
    first = 0
    try:
        for batch in _csv(unit, names, tally) if unit.names else _parquet(unit, names):
            tally.rows += len(batch)
            yield _rows(batch, first, names, unit, tally)
            first += len(batch)
    except (OSError, pa.ArrowException) as error:
        raise ArchiveRefusedError(f"{unit.place(first)} cannot be read: {error}.") from error


def _parquet(unit: Unit, names: ColumnNames) -> Iterator[Any]:
    metadata = pq.read_metadata(unit.path)
    known = set(metadata.schema.to_arrow_schema().names)
    wanted = [name for name in _wanted(names) if name in known]
    _check_schema(metadata.schema, wanted, unit)
    groups = range(unit.first, unit.last)
    for group in groups:
        _check_size(metadata.row_group(group), group, wanted, unit)
    with pq.ParquetFile(
        unit.path, metadata=metadata, read_dictionary=wanted, buffer_size=LINE_BYTES_MAX
    ) as archive:
        yield from archive.iter_batches(BATCH_ROWS, list(groups), wanted, use_threads=False)


def _check_schema(schema: Any, wanted: list[str], unit: Unit) -> None:  # noqa: ANN401
    """Refuse columns that hold more than one value a row, or values of a large fixed length."""
    leaves = [schema.column(at) for at in range(len(schema))]
    single = {leaf.path: leaf.length for leaf in leaves if not leaf.max_repetition_level}
    for name in wanted:
        if name not in single:
            raise ArchiveRefusedError(
                f"{unit.path}: a row of the column {name!r} has to hold one value, neither a list"
                " nor a structure."
            )
        if single[name] > ID_BYTES_MAX:
            raise ArchiveRefusedError(
                f"{unit.path}: a value of the column {name!r} has {single[name]} bytes; at most"
                f" {ID_BYTES_MAX} are read."
            )


def _check_size(group: Any, number: int, wanted: list[str], unit: Unit) -> None:  # noqa: ANN401
    chunks = [group.column(at) for at in range(group.num_columns)]
    size = sum(chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema in wanted)
    if size > GROUP_BYTES_MAX:
        raise ArchiveRefusedError(
            f"{unit.path}, row group {number}: its columns {', '.join(wanted)} have"
            f" {size >> 20} MiB; at most {GROUP_BYTES_MAX >> 20} are read. Write the file with"
            " smaller row groups."
        )


def _csv(unit: Unit, names: ColumnNames, tally: Tally) -> Iterator[Any]:
    wanted = [name for name in _wanted(names) if name in unit.names]
    with unit.path.open("rb") as file:
        for at, data in _lines(file, unit, tally):
            yield from _parsed(data, f"{unit.path}, after byte {at}", wanted, unit, tally)


def _parsed(data: bytes, place: str, wanted: list[str], unit: Unit, tally: Tally) -> Iterator[Any]:
    def skip(_row: object) -> str:
        tally.refuse("columns", place)
        tally.rows += 1
        return "skip"

    before, lines = tally.rows, [line for line in data.split(b"\n") if line.strip()]
    # To the parser, a quote that is not closed would make one value of all lines that follow.
    whole = [line for line in lines if line.count(b'"') % 2 == 0 or not skip(line)]
    if not whole:
        return
    content = b"\n".join(whole)
    table = pcsv.read_csv(
        io.BytesIO(content),
        pcsv.ReadOptions(use_threads=False, block_size=len(content), column_names=list(unit.names)),
        pcsv.ParseOptions(invalid_row_handler=skip),
        pcsv.ConvertOptions(
            # Bytes, so that one row that is not UTF-8 does not fail the others.
            column_types=dict.fromkeys(wanted, pa.binary()),
            include_columns=wanted,
            strings_can_be_null=True,
            null_values=[""],
        ),
    )
    if len(table) + tally.rows - before != len(lines):
        raise ArchiveRefusedError(f"{place}: lines and rows are not the same.")
    yield from table.to_batches(BATCH_ROWS)


def _lines(file: BinaryIO, unit: Unit, tally: Tally) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that begin within the unit, without the header, some at a time.

    Before them comes the byte that they begin at. A line that is too long is refused.
    """
    file.seek(max(unit.first - 1, 0))
    _skip_line(file, unit.last)  # the header, or the end of a line that begins before
    while (at := file.tell()) < unit.last:
        data = file.read(min(unit.last - at, LINE_BYTES_MAX))
        if not data:  # the file became shorter
            return
        if not data.endswith(b"\n"):
            data += file.readline(LINE_BYTES_MAX)
        last = data.rfind(b"\n", 0, -1) + 1
        if len(data) - last > LINE_BYTES_MAX:
            tally.refuse("line too long", f"{unit.path}, byte {at + last}")
            tally.rows += 1
            if not data.endswith(b"\n"):
                _skip_line(file, unit.last)
            data = data[:last]
        yield at, data


def _skip_line(file: BinaryIO, until: int) -> None:
    """Skip the rest of a line, as far as it lies before a byte."""
    while file.tell() < until:
        if (part := file.readline(LINE_BYTES_MAX)).endswith(b"\n") or not part:
            return


def _wanted(names: ColumnNames) -> tuple[str, ...]:
    return names.id, names.hash, names.quality, names.area


def _rows(
    batch: Any,  # noqa: ANN401
    first: int,
    names: ColumnNames,
    unit: Unit,
    tally: Tally,
) -> Rows:
    """Return what is right of a batch, which begins with a row ``first`` of the unit."""
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    wrong = np.zeros(len(batch), np.bool_)

    def refuse(rows: NDArray[np.bool_], reason: str) -> None:
        for row in np.flatnonzero(rows & ~wrong).tolist():
            tally.refuse(reason, unit.place(first + row))
        wrong[rows] = True

    ids, long = _decoded(columns[names.id], ID_BYTES_MAX)
    refuse(long, "id too long")
    if unit.names:
        ids, bad = _cast(ids, pa.string())
        refuse(bad, "id not UTF-8")
    refuse(_mask(ids.is_null()), "no id")
    hashes = _hashes(columns[names.hash], names.hash, unit, refuse)
    kept = ~wrong
    if names.quality in columns:
        quality, long = _decoded(columns[names.quality], _NUMBER_BYTES_MAX)
        quality, bad = _cast(quality, pa.int64())
        values = quality.fill_null(_MAX_QUALITY).to_numpy(zero_copy_only=False)
        refuse(long | bad | (values < 0) | (values > _MAX_QUALITY), "quality not 0-100")
        low = ~wrong & (values < MIN_QUALITY)
        tally.low_quality += int(low.sum())
        kept = ~wrong & ~low
        tally.without_quality += int((_mask(quality.is_null()) & kept).sum())
    else:
        tally.without_quality += int(kept.sum())
    areas = np.zeros(len(batch), np.uint16)
    if names.area in columns:
        numbers, _ = _decoded(columns[names.area], _NUMBER_BYTES_MAX)
        numbers, _ = _cast(numbers, pa.uint16())
        areas = numbers.fill_null(0).to_numpy(zero_copy_only=False)
    if kept.all():
        return Rows(ids, hashes, areas)
    return Rows(ids.filter(pa.array(kept)), hashes[kept], areas[kept])


def _hashes(column: Any, name: str, unit: Unit, refuse: Any) -> NDArray[np.uint8]:  # noqa: ANN401
    """Return the hashes of a column, uint8 (n, 32), of raw bytes or hex; zeros where refused."""
    column, long = _decoded(column, 2 * HASH_BYTES)
    is_text = _is_text(column.type)
    if not is_text and not _is_binary(column.type):
        raise ArchiveRefusedError(
            f"{unit.path}: the column {name!r} is of type {column.type}; hashes are text (64 hex"
            " digits) or binary (32 bytes)."
        )
    column = column.cast(pa.binary())
    lengths = pc.binary_length(column).fill_null(-1).to_numpy(zero_copy_only=False)
    refuse(long, "hash of another length")
    refuse(lengths == -1, "no hash")
    is_hex = lengths == 2 * HASH_BYTES
    is_raw = (lengths == HASH_BYTES) & (not is_text and not unit.names)
    refuse(~is_hex & ~is_raw, "hash of another length")
    hashes = np.zeros((len(column), HASH_BYTES), np.uint8)
    if is_raw.any():
        hashes[is_raw] = _bytes(column, is_raw, HASH_BYTES)
    if is_hex.any():
        digits = _DIGITS[_bytes(column, is_hex, 2 * HASH_BYTES)]
        hashes[is_hex] = digits[:, ::2] << 4 | digits[:, 1::2]
        bad = np.zeros(len(column), np.bool_)
        bad[is_hex] = (digits == _NO_DIGIT).any(axis=1)
        refuse(bad, "hash not hex")
    return hashes


def _decoded(column: Any, most_bytes: int) -> tuple[Any, NDArray[np.bool_]]:  # noqa: ANN401
    """Decode a column; return it with nulls for values that are too long, and which these are.

    They are left out before a dictionary is decoded, which holds each once for any number of rows.
    """
    is_dictionary = pa.types.is_dictionary(column.type)
    values = column.dictionary if is_dictionary else column
    long = np.zeros(len(values), np.bool_)
    if _is_text(values.type) or _is_binary(values.type):
        long = pc.binary_length(values).fill_null(0).to_numpy(zero_copy_only=False) > most_bytes
        if long.any():
            values = pc.if_else(pa.array(long), pa.scalar(None, values.type), values)
    if is_dictionary:
        of_rows = pc.fill_null(pa.array(long).take(column.indices), fill_value=False)
        values, long = values.take(column.indices), _mask(of_rows)
    return values, long


def _is_text(kind: Any) -> bool:  # noqa: ANN401
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_binary(kind: Any) -> bool:  # noqa: ANN401
    types = pa.types
    return bool(
        types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind)
    )


def _bytes(column: Any, rows: NDArray[np.bool_], length: int) -> NDArray[np.uint8]:  # noqa: ANN401
    """Return values of one length, uint8 (m, length)."""
    values = column if rows.all() else column.filter(pa.array(rows))
    _, offsets, data = values.buffers()
    first = np.frombuffer(offsets, np.int32)[values.offset]
    return np.frombuffer(data, np.uint8)[first : first + len(values) * length].reshape(-1, length)


def _cast(column: Any, wanted: Any) -> tuple[Any, NDArray[np.bool_]]:  # noqa: ANN401
    """Convert a column; return it with nulls for values that cannot be, and which these are."""
    bad = np.zeros(len(column), np.bool_)
    try:
        return column.cast(wanted), bad
    except pa.ArrowInvalid:
        values: list[Any] = [None] * len(column)
        for row, value in enumerate(column):
            try:
                values[row] = value.cast(wanted).as_py()
            except pa.ArrowInvalid:
                bad[row] = True
        return pa.array(values, wanted), bad


def _mask(column: Any) -> NDArray[np.bool_]:  # noqa: ANN401
    mask: NDArray[np.bool_] = column.to_numpy(zero_copy_only=False)
    return mask
