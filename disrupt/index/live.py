"""The live index: a snapshot, and what changed since, searched as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from disrupt.core.changes import Addition, Change, Cursor
from disrupt.core.media import MediaKind, StoredItem
from disrupt.errors import UnavailableError
from disrupt.index.columns import (
    NOTHING_NEAR,
    Columns,
    Hits,
    NearestHits,
    joined,
    merge,
    merge_nearest,
)
from disrupt.index.part import Banks, Part
from disrupt.index.segments import Segments
from disrupt.index.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """What can match now.

    ``items`` and ``hashes`` in all, ``delta_hashes`` among them added since the snapshot, in so
    many ``segments``; ``tombstones``: items of the snapshot removed since.
    """

    generation: int
    cursor: Cursor
    items: int
    hashes: int
    delta_hashes: int
    segments: int
    tombstones: int
    engine: str


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """What searching threads see. Never modified, but for the tombstones in its parts."""

    snapshot: Snapshot
    base: Part
    delta: tuple[Part, ...]
    cursor: Cursor
    parts: tuple[Part, ...] = field(init=False)
    expected_us: dict[int, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", (self.base, *self.delta))


class LiveIndex:
    """Searches a snapshot and the changes applied since.

    One thread applies and replaces (the follower); any number of threads search at the same time
    and never wait for it: they read one reference to a state that is swapped whole. A search that
    began after ``apply`` returned sees what was applied. While there is nothing to serve, every
    method but ``replace``, ``suspend`` and ``serving`` raises UnavailableError, which says what to
    do.
    """

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        """Over a snapshot, at its cursor; without one nothing is served until ``replace``."""
        self._trouble = "The index is not loaded yet; try again."
        self._state: _State | None = None
        self._segments = Segments()
        if snapshot is not None:
            base = Part(snapshot.index, snapshot.entries, snapshot.items)
            self._state = _State(snapshot, base, (), snapshot.cursor)

    @property
    def serving(self) -> bool:
        """Whether lookups are answered."""
        return self._state is not None

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot underneath."""
        return self._serving().snapshot

    @property
    def cursor(self) -> Cursor:
        """State of the registry that a search beginning now includes, at least."""
        return self._serving().cursor

    def search(self, queries: NDArray[np.uint8], max_distance_bits: int) -> Hits:
        """Every stored hash within ``max_distance_bits`` of each of ``queries``, shape (n, 32).

        The distance is inclusive, -1 (finds nothing) to 256. Exact. Holds no lock, and not the GIL
        while it searches.
        """
        return merge([part.search(queries, max_distance_bits) for part in self._serving().parts])

    def search_items(
        self,
        queries: NDArray[np.uint8],
        max_distance_bits: int,
        limits_bits: NDArray[np.int16],
        most_items: int,
        threads: int = 1,
        kind: MediaKind | None = None,
    ) -> NearestHits:
        """As ``search``, but of each item its nearest hash only, and the nearest ``most_items``.

        ``limits_bits`` i16 (65536,): largest distance that is answered from each bank, -1 for
        nothing. What is beyond it takes no place. Equally near items go by number, equally near
        hashes of one as they are stored. Time and memory stay small where very many items are near.
        A batch is spread over ``threads``. Only items of ``kind`` are searched, if that is given:
        this takes a look at every item first, some 5 ms for a million.
        """
        found = []
        for part in self._serving().parts:
            near = part.search_items(
                queries, max_distance_bits, limits_bits, most_items, threads, kind
            )
            if near is not NOTHING_NEAR:
                found.append(near)
        return merge_nearest(found, most_items) if found else NOTHING_NEAR

    def expected_us(self, max_distance_bits: int) -> float:
        """Time that a lookup is estimated to take."""
        state = self._serving()
        known_us = state.expected_us.get(max_distance_bits)
        if known_us is None:
            known_us = sum(part.index.expected_us(max_distance_bits) for part in state.parts)
            state.expected_us[max_distance_bits] = known_us
        return known_us

    def apply(self, changes: Iterable[Change], cursor: Cursor) -> None:
        """Takes in changes, oldest first, up to ``cursor``, but for those applied before."""
        state = self._serving()
        added: dict[int, StoredItem] = {}
        for change in changes:
            if change.sequence <= state.cursor.sequence:
                continue
            if isinstance(change, Addition):
                added[change.item.number] = change.item
            elif added.pop(change.number, None) is None:
                any(part.bury(change.number) for part in state.parts)
        delta = state.delta
        # compiled code is at hand where the snapshot has tables, and only there
        tables = state.snapshot.has_tables
        if added:
            delta = (*delta, Part.of(added.values(), tables=tables))
        self._state = replace(
            state, delta=self._segments.settle(delta, tables=tables), cursor=cursor
        )

    def replace(self, prepared: LiveIndex) -> None:
        """Serves from now on what ``prepared`` serves, which must not be used any more.

        That is a live index over another snapshot, to which the changes up to this one's cursor
        have been applied.
        """
        self._segments = prepared._segments
        self._state = prepared._serving()

    def suspend(self, reason: str) -> None:
        """Answers no lookup until ``replace``; ``reason`` goes to callers and says what to do."""
        self._trouble = reason
        self._state = None

    def status(self, banks: Banks = None) -> LiveStatus:
        """Count what can match in ``banks``, for people and metrics."""
        state = self._serving()
        delta_hashes = sum(part.hashes(banks) for part in state.delta)
        return LiveStatus(
            generation=state.snapshot.generation,
            cursor=state.cursor,
            items=sum(part.living_items(banks) for part in state.parts),
            hashes=state.base.hashes(banks) + delta_hashes,
            delta_hashes=delta_hashes,
            segments=len(state.delta),
            tombstones=state.base.dead_items(banks),
            engine=state.base.index.name,
        )

    def numbers(self) -> NDArray[np.uint64]:
        """Numbers of all items that can match, ascending."""
        return np.sort(np.concatenate([part.numbers() for part in self._serving().parts]))

    def find(self, number: int) -> Columns | None:
        """What the index holds of one item; None if it cannot match."""
        found = (part.find(number) for part in self._serving().parts)
        return next((one for one in found if one is not None), None)

    def between(self, after: int, until: int) -> Columns:
        """What the index holds of items whose numbers are over ``after``, up to ``until``."""
        return joined([part.living(after, until) for part in self._serving().parts])

    def _serving(self) -> _State:
        state = self._state
        if state is None:
            raise UnavailableError(self._trouble)
        return state
