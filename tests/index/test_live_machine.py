"""Live index, snapshots, swaps and restarts, against a dictionary and brute force."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from disrupt.core.changes import Addition, Change, Cursor, Removal, StateChange
from disrupt.core.media import MediaKind, StoredItem
from disrupt.index import nearest, part, segments, writing
from disrupt.index.generations import open_current
from disrupt.index.live import LiveIndex
from disrupt.index.multi_index import engine, tables
from disrupt.services.slow_start import SlowStart
from tests.index.examples import (
    EPOCH,
    HEAD,
    Codes,
    answers,
    brute_force,
    item,
    near_codes,
    published,
    random_codes,
    thresholds,
)
from tests.properties import FEW

pytestmark = pytest.mark.slow


_MANY = 100


def is_held(held: SlowStart, stored: StoredItem) -> bool:
    """Tell whether an item is held back."""
    item_id = np.frombuffer(stored.item_id, np.uint8).reshape(1, -1)
    return bool(held.holds(item_id, np.array([stored.bank], np.uint16))[0])


class LiveMachine(RuleBasedStateMachine):
    """Model of an index: ``feed`` stands for the registry's, ``alive`` for its items by number.

    ``hidden`` are those of them that are not LIVE.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.patches = pytest.MonkeyPatch()
        self.patches.setattr(writing, "TABLES_FROM_HASHES", _MANY)
        self.patches.setattr(part, "_TABLES_FROM_HASHES", _MANY)
        # These replace tables of wide chunks, which take 100 MB.
        self.patches.setattr(tables, "WIDE_FROM_HASHES", 3 * _MANY)
        self.patches.setattr(tables, "WIDE", tables.Cut(21, 12, 32))
        self.patches.setattr(nearest, "_CACHED_PAIRS", 3)
        # Longer segments are joined in another thread, at some later time.
        self.patches.setattr(segments, "_AT_ONCE_HASHES", 10)
        # At this cost many codes are scanned at large distances, and few codes always.
        self.patches.setattr(engine, "CODE_NS", 200.0)
        self.index_dir = Path(self.folder.name)
        self.feed: list[Change] = []
        self.alive: dict[int, StoredItem] = {}
        self.hidden: set[int] = set()

    def teardown(self) -> None:
        self.patches.undo()
        self.folder.cleanup()

    @initialize()
    def start(self) -> None:
        self.live = LiveIndex(published(self.index_dir, (), 0))

    @property
    def head(self) -> Cursor:
        return Cursor(EPOCH, len(self.feed))

    @property
    def live_items(self) -> dict[int, StoredItem]:
        """Return what can match, ascending by number."""
        return {number: self.alive[number] for number in sorted(self.alive.keys() - self.hidden)}

    def page(self, after: Cursor, until: int) -> list[Change]:
        """Return changes of the feed, of which the newest of a LIVE item shows it."""
        newest = {change.number: change for change in self.feed}
        page = list[Change]()
        for change in self.feed[after.sequence : until]:
            item = self.live_items.get(change.number) if newest[change.number] is change else None
            what = (change.sequence, change.number, bytes(16), 1)
            if isinstance(change, StateChange):
                page.append(StateChange(*what, item))
            elif item is None:
                page.append(Removal(*what))
            else:
                page.append(change)
        return page

    def catch_up(self, live: LiveIndex, page_size: int) -> None:
        while live.cursor != self.head:
            until = min(live.cursor.sequence + page_size, len(self.feed))
            live.apply(self.page(live.cursor, until), Cursor(EPOCH, until))

    @rule(codes=near_codes(6))
    def register(self, codes: Codes) -> None:
        sequence = len(self.feed) + 1
        added = item(sequence, codes, bank=1 + sequence % 2)
        self.feed.append(Addition(sequence, added))
        self.alive[added.number] = added

    @rule(codes=near_codes(6))
    def register_very_many(self, codes: Codes) -> None:
        """Register so many that later lookups may use tables, in snapshot and then delta."""
        self.register(np.concatenate([codes, random_codes(_MANY, len(self.feed))]))

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.alive)))
        gone = self.alive.pop(number)
        self.hidden.discard(number)
        self.feed.append(Removal(len(self.feed) + 1, number, gone.item_id, gone.bank))

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def disable_or_enable(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.alive)))
        self.hidden ^= {number}
        stored = self.alive[number]
        self.feed.append(StateChange(len(self.feed) + 1, number, stored.item_id, stored.bank, None))

    @rule(page_size=st.integers(1, 5))
    def follow(self, page_size: int) -> None:
        self.catch_up(self.live, page_size)

    @rule(back=st.integers(0, 8))
    def replay(self, back: int) -> None:
        """Apply changes again that were applied already, together with new ones."""
        begin = Cursor(EPOCH, max(0, self.live.cursor.sequence - back))
        self.live.apply(self.page(begin, len(self.feed)), self.head)

    @rule()
    def publish_at_head(self) -> None:
        published(self.index_dir, list(self.live_items.values()), len(self.feed))

    @rule(back=st.integers(0, 6), read=st.integers(0, 6))
    def publish_behind_head(self, back: int, read: int) -> None:
        """Publish a rebuild older than the newest changes: it may miss what was erased since.

        Items are in the states that they had when they were read, at the cursor or later.
        """
        sequence = max(0, len(self.feed) - back)
        was_live = dict[int, bool]()
        for change in self.feed[: sequence + read]:
            was_live[change.number] = not was_live.get(change.number, False)
        items = [change.item for change in self.feed[:sequence] if isinstance(change, Addition)]
        live = [
            stored for stored in items if stored.number in self.alive and was_live[stored.number]
        ]
        published(self.index_dir, live, sequence)

    @rule(page_size=st.integers(1, 5))
    def swap(self, page_size: int) -> None:
        prepared = LiveIndex(open_current(self.index_dir, HEAD))
        self.catch_up(prepared, page_size)
        self.live.replace(prepared)

    @rule()
    def restart(self) -> None:
        self.live = LiveIndex(open_current(self.index_dir, HEAD))
        self.catch_up(self.live, 3)

    @precondition(lambda self: self.live.cursor == self.head)
    @rule(queries=near_codes(4), max_distance_bits=thresholds)
    def search(self, queries: Codes, max_distance_bits: int) -> None:
        expected = brute_force(self.live_items.values(), queries, max_distance_bits)
        assert answers(self.live.search(queries, max_distance_bits)) == expected

    @precondition(lambda self: self.live.cursor == self.head)
    @rule(
        queries=near_codes(4),
        max_distance_bits=thresholds,
        most_items=st.integers(1, 3),
        kind=st.sampled_from([None, *MediaKind]),
        share=st.sampled_from([None, 1, 30, 60]),
    )
    def search_items(
        self,
        queries: Codes,
        max_distance_bits: int,
        most_items: int,
        kind: MediaKind | None,
        share: int | None,
    ) -> None:
        limits_bits = np.full(2**16, -1, np.int16)
        limits_bits[1:3] = max_distance_bits, max_distance_bits // 2
        nearest: dict[tuple[int, int], tuple[int, ...]] = {}
        held = None if share is None else SlowStart(bytes(32), ((1, share), (3, share)))
        searched = [
            stored
            for stored in self.live_items.values()
            if kind in (None, stored.kind) and not (held and is_held(held, stored))
        ]
        for answer in brute_force(searched, queries, max_distance_bits):
            query, distance, number, bank = answer[:4]
            if distance <= limits_bits[bank]:
                candidate = (query, distance, number, answer[8])
                nearest[query, number] = min(nearest.get((query, number), candidate), candidate)
        expected, truncated = [], []
        for query in range(len(queries)):
            query_hits = sorted(hit for hit in nearest.values() if hit[0] == query)
            expected += query_hits[:most_items]
            if len(query_hits) > most_items:
                truncated.append(query)
        near = self.live.search_items(
            queries, max_distance_bits, limits_bits, most_items, kind=kind, held=held
        )
        hits = near.hits
        columns = (hits.query, hits.distance, hits.number, hits.ordinal)
        assert list(zip(*(column.tolist() for column in columns), strict=True)) == expected
        assert near.truncated.tolist() == truncated

    @invariant()
    def a_level_index_holds_what_is_alive(self) -> None:
        if self.live.cursor != self.head:
            return
        status = self.live.status()
        assert self.live.numbers().tolist() == sorted(self.live_items)
        assert status.items == len(self.live_items)
        assert status.hashes == sum(len(stored.fingerprints) for stored in self.live_items.values())
        for bank in (1, 2, 3):
            of_bank = [stored for stored in self.live_items.values() if stored.bank == bank]
            counted = self.live.status(frozenset([bank]))
            assert counted.items == len(of_bank)
            assert counted.hashes == sum(len(stored.fingerprints) for stored in of_bank)
        statuses = [self.live.status(frozenset([bank])) for bank in (1, 2)]
        assert status.tombstones == sum(bank_status.tombstones for bank_status in statuses)
        assert status.delta_hashes == sum(bank_status.delta_hashes for bank_status in statuses)
        for stored in list(self.live_items.values())[:2]:
            queries = np.array(stored.fingerprints["hash"][:8])
            assert stored.number in self.live.search(queries, 0).number


TestLiveMachine = LiveMachine.TestCase
TestLiveMachine.settings = settings(max_examples=FEW, stateful_step_count=25)
