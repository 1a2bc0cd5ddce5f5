"""Match the rows of archives, by the rule of lookups by hash."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from disrupt.archives.lists import open_list
from disrupt.archives.output import Notes, Output
from disrupt.archives.rows import ColumnNames, Rows, Tally, read
from disrupt.archives.units import Unit
from disrupt.core.lookups import Matches, area_ranks, extent_of
from disrupt.core.media import ITEM_ID_BYTES, Assurance, MediaKind
from disrupt.core.policy import Scope
from disrupt.errors import ArchiveRefusedError, CursorExpiredError, LimitExceededError
from disrupt.index.live import LiveIndex
from disrupt.services.matching import UNBOUNDED, complete, hash_steps

_HIT = np.dtype(
    [
        ("item_id", np.uint8, ITEM_ID_BYTES),
        ("bank", np.uint16),
        ("distance_bits", np.uint16),
        ("assurance", np.uint8),
        ("kind", np.uint8),
        ("query_area", np.uint16),
        ("stored_area", np.uint16),
    ]
)
"""A match; areas in thousandths, 0 where not known."""

HELD_BYTES_MAX = 1 << 28
"""Most bytes of the matches of a unit, which are held until it is done."""

_IDS_TAKEN = 1 << 12
"""Matches whose ids are copied at once: 16 MiB of the longest."""


@dataclass(frozen=True, slots=True)
class ScanJob:
    """Parameters for scanning units: paths and numbers, never the list itself.

    ``data_dir`` holds the index; ``limits`` are the distances of ``Scope`` and ``bank_names`` the
    names by number; ``epoch`` is that of the registry.
    """

    output: Output
    data_dir: Path
    names: ColumnNames
    limits: dict[int, int]
    bank_names: dict[int, str]
    max_matches: int
    epoch: bytes

    @contextmanager
    def open(self) -> Iterator[Callable[[Unit], None]]:
        """Open the list; yield a function that scans a unit, for any number of threads."""
        live = open_list(self.data_dir)
        if live.cursor.epoch != self.epoch:
            raise CursorExpiredError(
                f"The index of {self.data_dir} is not of the registry that this scan began with."
            )
        yield lambda unit: self._scan(live, unit)

    def _scan(self, live: LiveIndex, unit: Unit) -> None:
        cursor, tally, truncated, held = live.cursor, Tally(), 0, 0
        ids = [pa.array([], pa.string())]
        hits = [np.empty(0, _HIT)]
        for rows in read(unit, self.names, tally):
            try:
                matches = complete(
                    hash_steps(
                        live,
                        rows.hashes,
                        Scope(self.limits),
                        self.max_matches,
                        most_matches=(HELD_BYTES_MAX - held) // _HIT.itemsize,
                        allowance=UNBOUNDED,
                    )
                )
            except LimitExceededError:
                raise _too_many(unit, tally) from None
            truncated += len(matches.truncated)
            hits.append(_columns(matches, rows))
            held += hits[-1].nbytes
            for first in range(0, len(matches), _IDS_TAKEN):
                ids.append(rows.ids.take(pa.array(matches.query[first : first + _IDS_TAKEN])))
                held += ids[-1].nbytes
                if held > HELD_BYTES_MAX:
                    raise _too_many(unit, tally)
        table = self._table(pa.concat_arrays(ids[1:] or ids), np.concatenate(hits))
        counts = {
            "rows": tally.rows,
            "low_quality": tally.low_quality,
            "without_quality": tally.without_quality,
            "matches": len(table),
            "truncated": truncated,
        }
        notes = Notes(counts, dict(tally.refused), tally.examples, cursor.to_text())
        self.output.write(unit.number, table, notes)

    def _table(self, ids: Any, hits: NDArray[np.void]) -> Any:  # noqa: ANN401 of pyarrow
        """Return a table of the matches: of each id and item the nearest one."""
        places, hits = _nearest(ids, hits)
        areas = hits["query_area"].astype(np.uint32) << 16 | hits["stored_area"]
        hexes = hits["item_id"].tobytes().hex().encode()
        ends = np.arange(len(hits) + 1, dtype=np.int32) * 2 * ITEM_ID_BYTES
        return pa.table(
            {
                "id": ids.take(pa.array(places)),
                "item": pa.StringArray.from_buffers(
                    len(hits), pa.py_buffer(ends), pa.py_buffer(hexes)
                ),
                "bank": _texts(hits["bank"], self.bank_names.__getitem__),
                "distance_bits": hits["distance_bits"],
                "assurance": _texts(hits["assurance"], lambda n: Assurance(n).name.lower()),
                "kind": _texts(hits["kind"], lambda n: MediaKind(n).name.lower()),
                "extent": _texts(areas, lambda pair: extent_of(pair >> 16, pair & 0xFFFF)),
            }
        )


def _too_many(unit: Unit, tally: Tally) -> ArchiveRefusedError:
    return ArchiveRefusedError(
        f"{unit.place(0)} and after: the matches of the first {tally.rows} rows take more than"
        f" {HELD_BYTES_MAX >> 20} MiB with their ids. Give a smaller --max-matches, or smaller row"
        " groups."
    )


def _columns(matches: Matches, rows: Rows) -> NDArray[np.void]:
    columns = np.empty(len(matches), _HIT)
    for name in ("item_id", "bank", "distance_bits", "assurance", "kind"):
        columns[name] = getattr(matches, "item_ids" if name == "item_id" else name)
    columns["query_area"] = rows.areas[matches.query]
    columns["stored_area"] = matches.stored_area_permille
    return columns


def _nearest(ids: Any, hits: NDArray[np.void]) -> tuple[NDArray[np.intp], NDArray[np.void]]:  # noqa: ANN401
    """Return the nearest match of each id and item, and its place, in the order of places.

    Several hashes of a picture have one id. The areas are of the pair that ``area_ranks`` puts
    highest, as in an answer to a picture.
    """
    id_codes = ids.dictionary_encode().indices.to_numpy(zero_copy_only=False)
    high, low = np.ascontiguousarray(hits["item_id"]).view(np.uint64).T
    ranks = area_ranks(hits["query_area"], hits["stored_area"])
    order = np.lexsort((hits["distance_bits"], low, high, id_codes))
    keys = np.stack([id_codes.astype(np.uint64), high, low], axis=1)[order]
    begins = np.append(True, (keys[1:] != keys[:-1]).any(axis=1))[: len(hits)]
    places = order[begins]
    nearest = hits[places]
    widest = np.lexsort((ranks, low, high, id_codes))[np.roll(begins, -1)]
    nearest["query_area"] = hits["query_area"][widest]
    nearest["stored_area"] = hits["stored_area"][widest]
    by_place = np.argsort(places)
    return places[by_place], nearest[by_place]


def _texts(numbers: NDArray[Any], text_of: Callable[[int], str]) -> Any:  # noqa: ANN401
    """Return the text of each number, of which few are different."""
    different, places = np.unique(numbers, return_inverse=True)
    texts = pa.array([str(text_of(number)) for number in different.tolist()], pa.string())
    return texts.take(pa.array(places))
