"""The live index: a snapshot, and what changed since, searched as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from disrupt.core.changes import Change, Cursor, shown_item
from disrupt.core.media import MediaKind, StoredItem
from disrupt.core.status import IndexStatus
from disrupt.errors import UnavailableError
from disrupt.index.columns import (
    NOTHING_NEAR,
    Columns,
    NearestHits,
    joined,
    merge_nearest,
)
from disrupt.index.nearest import UNLIMITED, Budget, ItemColumns
from disrupt.index.part import Banks, Part
from disrupt.index.segments import Segments
from disrupt.index.snapshot import Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """State that searching threads read, with the tombstones at its making. Never modified."""

    snapshot: Snapshot
    base: Part
    delta: tuple[Part, ...]
    cursor: Cursor
    parts: tuple[Part, ...] = field(init=False)
    item_columns: tuple[ItemColumns, ...] = field(init=False)
    expected_us: dict[int, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        parts = (self.base, *self.delta)
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "item_columns", tuple(part.item_columns for part in parts))

    def since(self, day: int) -> _State:
        """Return the state in which only the items that are new since a day are searched."""
        pairs = zip(self.parts, self.item_columns, strict=True)
        new = [found for part, items in pairs if (found := part.since(items, day))]
        state = replace(self)
        object.__setattr__(state, "parts", tuple(part for part, _ in new))
        object.__setattr__(state, "item_columns", tuple(items for _, items in new))
        return state


class LiveIndex:
    """Searches a snapshot and the changes applied since.

    One thread applies and replaces (the follower); any number of threads search at the same time
    and never wait for it: they read one reference to a state that is swapped whole. A search that
    began after ``apply`` returned sees what was applied. While there is nothing to serve, every
    method but ``replace``, ``suspend`` and ``serving`` raises UnavailableError, which says what to
    do.
    """

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        """Serve a snapshot, as of its cursor; without one, nothing is served until ``replace``."""
        self._trouble = "The index is not loaded yet; try again."
        self._state: _State | None = None
        self._segments = Segments()
        if snapshot is not None:
            base = Part(snapshot.index, snapshot.entries, snapshot.items)
            self._state = _State(snapshot, base, (), snapshot.cursor)

    @property
    def serving(self) -> bool:
        """Tell whether lookups are answered."""
        return self._state is not None

    @property
    def snapshot(self) -> Snapshot:
        """Return the snapshot underneath."""
        return self._serving().snapshot

    @property
    def cursor(self) -> Cursor:
        """Return the state of the registry that a search beginning now includes, at least."""
        return self._serving().cursor

    @property
    def compiled(self) -> bool:
        """Tell whether a search loads compiled code, so that whoever judges hits may use some."""
        return self._serving().snapshot.has_tables

    def search(
        self,
        queries: NDArray[np.uint8],
        max_distance_bits: int,
        limits_bits: NDArray[np.int16],
        most_items: int,
        kind: MediaKind | None = None,
        budget: Budget = UNLIMITED,
    ) -> NearestHits:
        """Find the nearest hash of each item, and of those the nearest ``most_items``.

        ``queries`` are uint8 (n, 32). ``max_distance_bits`` is inclusive, -1 (finds nothing) to
        256. ``limits_bits`` i16 (65536,): largest distance that is answered from each bank, -1 for
        nothing; farther hits take no place. Equally near items go by number, equally near hashes of
        one as they are stored. Time and memory stay small where very many items are near. Only
        items of ``kind`` are searched, if that is given: this reads every item first, some 5 ms for
        a million. The ``budget`` is of each segment. Exact. Holds neither a lock nor the GIL while
        it searches.
        """
        state = self._serving()
        wanted = (max_distance_bits, limits_bits, most_items, kind, budget)
        answers, left = [], 0
        for part, items in zip(state.parts, state.item_columns, strict=True):
            near = part.search(items, queries, *wanted)
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
            known_us = sum(part.index.expected_us(max_distance_bits) for part in state.parts)
            state.expected_us[max_distance_bits] = known_us
        return known_us

    def apply(self, changes: Iterable[Change], cursor: Cursor) -> None:
        """Apply changes, oldest first, up to ``cursor``, but for those applied before.

        A search sees all of them or none: where one item takes the place of another, it finds
        either, and never neither.
        """
        state = self._serving()
        added, removed = dict[int, StoredItem](), list[int]()
        for change in changes:
            if change.sequence <= state.cursor.sequence:
                continue
            item = shown_item(change)
            if item is not None:
                added[change.number] = item
            elif added.pop(change.number, None) is None:
                removed.append(change.number)
        delta = state.delta
        # Compiled code is loaded only where the snapshot has tables.
        tables = state.snapshot.has_tables
        if added:
            delta = (*delta, Part.of(added.values(), tables=tables))
        for part in state.parts:
            part.bury(removed)
        self._state = replace(
            state, delta=self._segments.settle(delta, tables=tables), cursor=cursor
        )

    @contextmanager
    def together(self) -> Iterator[LiveIndex]:
        """Yield the index to ``apply`` pages of changes to; searches see none until the end.

        An item that goes on one page, and comes back on a later one, is found all the time.
        """
        ahead = LiveIndex()
        ahead._state = self._serving()
        ahead._segments = self._segments
        try:
            yield ahead
        finally:
            self._state = ahead._state

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
        """Copy the columns of one item, its row being 0; None if it cannot match."""
        state = self._serving()
        parts = zip(state.parts, state.item_columns, strict=True)
        candidates = (part.find(items, number) for part, items in parts)
        return next((item_columns for item_columns in candidates if item_columns is not None), None)

    def holds(self, number: int) -> bool:
        """Tell whether an item can match."""
        state = self._serving()
        parts = zip(state.parts, state.item_columns, strict=True)
        return any(part.holds(items, number) for part, items in parts)

    def holds_any_of(self, bank: int) -> bool:
        """Tell whether any item of a bank can match."""
        return any(part.living_items((bank,)) for part in self._serving().parts)

    def fixed(self) -> LiveIndex:
        """Return the index as it is now: what is applied later changes no search and no find."""
        fixed = LiveIndex()
        fixed._state = self._serving()
        return fixed

    def since(self, day: int) -> LiveIndex:
        """Return the items of now that are new since a day, see ``Part.since``, as an index.

        For ``search``, ``find``, ``holds_any_of`` and ``compiled``: what is applied later changes
        none of them. ``day`` is the number of a day, as ``StoredItem.new_day`` has it. The first
        call may take long, see there.
        """
        new = LiveIndex()
        new._state = self._serving().since(day)
        return new

    def between(self, after: int, until: int) -> Columns:
        """Copy the columns of items that can match, of numbers over ``after`` up to ``until``."""
        return joined([part.living(after, until) for part in self._serving().parts])

    def _serving(self) -> _State:
        state = self._state
        if state is None:
            raise UnavailableError(self._trouble)
        return state
