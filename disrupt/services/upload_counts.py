"""Count the uploads that a worker looks up, until the writer has added them to the tallies."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import NamedTuple

from disrupt.core.lookups import extent_of
from disrupt.core.tallies import Count, Tally, UploadBatch, distance_band


class Pair(NamedTuple):
    """The nearest pair of versions of a query and an item of a bank, given by its name.

    ``query`` tells queries of one lookup apart. The areas are those of ``core.lookups.Matches``.
    """

    bank: str
    query: int
    distance_bits: int
    query_area_permille: int
    stored_area_permille: int


class Matched(NamedTuple):
    """How many uploads match; and by bank, band of the distance, and extent of the nearest pair.

    One that matches in two banks is in both.
    """

    uploads: int
    by: Mapping[tuple[str, str, str], int]


NONE_MATCHED = Matched(0, MappingProxyType({}))


def matched_uploads(pairs: Iterable[Pair], uploads: int) -> Matched:
    """Count the uploads that match.

    Of several uploads with several hashes each nobody knows which hashes are of one: as many count
    as hashes match, the nearest ones, and no more than ``uploads`` in a bank.
    """
    nearest = dict[str, dict[int, Pair]]()
    for pair in pairs:
        of_bank, query = nearest.setdefault(pair.bank, {}), pair.query if uploads > 1 else 0
        if query not in of_bank or pair.distance_bits < of_bank[query].distance_bits:
            of_bank[query] = pair
    matching = {query for of_bank in nearest.values() for query in of_bank}
    by = Counter(
        (bank, distance_band(pair.distance_bits), extent_of(*pair[3:]).value)
        for bank, of_bank in nearest.items()
        for pair in sorted(of_bank.values(), key=lambda pair: pair.distance_bits)[:uploads]
    )
    return Matched(min(len(matching), uploads), by)


@dataclass(slots=True)
class UploadCounts:
    """Counts of one worker since its start that are not in the tallies. For any thread.

    What is handed over is set aside as a batch, which stays as it is until the writer has answered:
    it knows by the number whether it has added the batch. Meanwhile further uploads are counted
    together, so that what waits is bounded by organisations, banks and days.
    """

    run: bytes = field(default_factory=lambda: os.urandom(16))
    _counts: Counter[tuple[str, Tally, tuple[str, ...]]] = field(default_factory=Counter)
    _number: int = 0
    _batch: UploadBatch | None = None
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        day: str,
        organisation: str,
        uploads: int,
        matched: Matched,
        *,
        again: bool = False,
    ) -> None:
        """Count uploads that were looked up, ``again`` or not, and those that matched."""
        tally = Tally.UPLOADS_LOOKED_UP_AGAIN if again else Tally.UPLOADS_LOOKED_UP
        with self._counting:
            self._counts[day, tally, (organisation,)] += uploads
            for labels, number in matched.by.items():
                self._counts[day, Tally.UPLOADS_MATCHED, (organisation, *labels)] += number

    def add_probed(self, day: str, organisation: str, items: int) -> None:
        """Count items that an organisation probes."""
        with self._counting:
            self._counts[day, Tally.PROBING, (organisation,)] += items

    def batch(self, most: int) -> UploadBatch | None:
        """Return up to ``most`` counts to hand over, the same again until they are ``added``."""
        with self._counting:
            if self._batch is None and self._counts:
                self._number += 1
                taken = dict(islice(self._counts.items(), most))
                for key in taken:
                    del self._counts[key]
                counts = tuple(Count(*key, number) for key, number in taken.items())
                self._batch = UploadBatch(self.run, self._number, counts)
            return self._batch

    def added(self) -> None:
        """Forget the batch, which the writer has added."""
        with self._counting:
            self._batch = None
