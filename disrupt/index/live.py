"""The live index: a snapshot, and what changed since, searched as one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from disrupt.core.changes import Addition, Change, Cursor
from disrupt.core.media import MediaKind, StoredItem
from disrupt.core.policy import Held
from disrupt.core.status import IndexStatus
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
from disrupt.index.nearest import UNLIMITED, Budget
from disrupt.index.part import Banks, Part
from disrupt.index.segments import Segments
from disrupt.index.snapshot import Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """State that searching threads read. Never modified, but for the tombstones in its parts."""

    snapshot: Snapshot
    base: Part
    delta: tuple[Part, ...]
    cursor: Cursor
    parts: tuple[Part, ...] = field(init=False)
    expected_us: dict[int, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", (self.base, *self.delta))

    def holds(self, number: int) -> bool:
        """Tell whether an item can match."""
        return any(part.holds(number) for part in self.parts)


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
            snapshot.release_columns()
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
        """Find the stored hashes within ``max_distance_bits`` of each of ``queries``, (n, 32).

        The distance is inclusive, -1 (finds nothing) to 256. Exact. Holds neither a lock nor the
        GIL while it searches.
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
        held: Held | None = None,
        budget: Budget = UNLIMITED,
    ) -> NearestHits:
        """Find the nearest hash of each item, and of those the nearest ``most_items``.

        ``queries`` and ``max_distance_bits`` as of ``search``. ``limits_bits`` i16 (65536,):
        largest distance that is answered from each bank, -1 for nothing; farther hits take no
        place. Equally near items go by number, equally near hashes of one as they are stored. Time
        and memory stay small where very many items are near. A batch is spread over ``threads``.
        Only items of ``kind`` are searched, if that is given, and none that is ``held``: each of
        the two reads every item first, some 5 ms for a million, and the first search with another
        ``held`` some 40 ms. The ``budget`` is of each segment.
        """
        answers, left = [], 0
        for part in self._serving().parts:
            near = part.search_items(
                queries, max_distance_bits, limits_bits, most_items, threads, kind, held, budget
            )
            if near is not NOTHING_NEAR:
                answers.append(near)
            if near.left:
                left += near.left
                queries = queries[: -near.left]
        if not answers:
            return NOTHING_NEAR
        best = merge_nearest(answers, most_items)
        return best.until(len(queries), left) if left else best

    def expected_us(self, max_distance_bits: int) -> float:
        """Estimate the time that a lookup takes."""
        state = self._serving()
        known_us = state.expected_us.get(max_distance_bits)
        if known_us is None:
            known_us = sum(part.expected_us(max_distance_bits) for part in state.parts)
            state.expected_us[max_distance_bits] = known_us
        return known_us

    def apply(self, changes: Iterable[Change], cursor: Cursor) -> None:
        """Apply changes, oldest first, up to ``cursor``, but for those applied before."""
        state = self._serving()
        added, removed = dict[int, StoredItem](), set[int]()
        for change in changes:
            if change.sequence <= state.cursor.sequence:
                continue
            if change.item is None:
                added.pop(change.number, None)
                removed.add(change.number)
                continue
            # What was hidden may be shown in another bank; a copy that is held is buried below. A
            # snapshot may hold an item that became LIVE only after its cursor, while it was made.
            if (
                isinstance(change, Addition)
                or change.number in removed
                or not state.holds(change.number)
            ):
                added[change.number] = change.item
        delta = state.delta
        # Compiled code is loaded only where the snapshot has tables.
        tables = state.snapshot.has_tables
        if added:
            delta = (*delta, Part.of(added.values(), tables=tables))
            # What takes the place of a removed item is found before that is gone.
            self._state = replace(state, delta=delta)
        for number in removed:
            for part in state.parts:  # An older part may hold it with a tombstone.
                part.bury(number)
        self._state = replace(
            state, delta=self._segments.settle(delta, tables=tables), cursor=cursor
        )

    def replace(self, prepared: LiveIndex) -> None:
        """Serve what ``prepared`` serves from now on; it must not be used any more.

        ``prepared`` is over another snapshot, and the changes up to this one's cursor
        have been applied.
        """
        self._segments = prepared._segments
        self._state = prepared._serving()

    def suspend(self, reason: str) -> None:
        """Answer no lookup until ``replace``; ``reason`` goes to callers and says what to do."""
        self._trouble = reason
        self._state = None

    def status(self, banks: Banks = None) -> IndexStatus:
        """Count what can match in ``banks``, for people and metrics."""
        state = self._serving()
        delta_hashes = sum(part.hashes(banks) for part in state.delta)
        return IndexStatus(
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
        """Return the numbers of all items that can match, ascending."""
        return np.sort(np.concatenate([part.numbers() for part in self._serving().parts]))

    def find(self, number: int) -> Columns | None:
        """Return what the index holds of one item; None if it cannot match."""
        candidates = (part.find(number) for part in self._serving().parts)
        return next((item_columns for item_columns in candidates if item_columns is not None), None)

    def between(self, after: int, until: int) -> Columns:
        """Return what the index holds of items with numbers over ``after``, up to ``until``."""
        return joined([part.living(after, until) for part in self._serving().parts])

    def _serving(self) -> _State:
        state = self._state
        if state is None:
            raise UnavailableError(self._trouble)
        return state
