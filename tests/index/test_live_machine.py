"""Live index, snapshots, swaps and restarts, against a dictionary and brute force."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from disrupt.core.changes import Addition, Change, Cursor, Removal, StateChange
from disrupt.core.media import MediaKind, StoredItem
from disrupt.core.policy import COMMON
from disrupt.index import nearest, part, segments, writing
from disrupt.index.generations import open_current
from disrupt.index.live import LiveIndex
from disrupt.index.multi_index import engine, layout
from rig.media.codes import (
    EPOCH,
    HEAD,
    Codes,
    answers,
    brute_force,
    item,
    narrowed,
    near_codes,
    published,
    random_codes,
    search,
    thresholds,
)

_MANY = 100

seeds = st.integers(0, 99)


class LiveMachine(RuleBasedStateMachine):
    """Model of an index: ``feed`` stands for the registry's, ``alive`` for its items by number.

    These are the items that match; ``shown_by`` has the change that shows each of them, and
    ``today`` is the day on which that happens.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.patches = pytest.MonkeyPatch()
        self.patches.setattr(writing, "TABLES_FROM_HASHES", _MANY)
        self.patches.setattr(part, "_TABLES_FROM_HASHES", _MANY)
        self.patches.setattr(part, "_COPIED_SHARE", 2)
        self.patches.setattr(part, "_ROWS_AT_ONCE", 2)
        # These replace tables of wide chunks, which take 100 MB.
        self.patches.setattr(layout, "WIDE_FROM_HASHES", 3 * _MANY)
        self.patches.setattr(layout, "WIDE", layout.Cut(21, 12, 32))
        self.patches.setattr(nearest, "_CACHED_PAIRS", 3)
        # Longer segments are joined in another thread, at some later time.
        self.patches.setattr(segments, "_AT_ONCE_HASHES", 10)
        # At this cost many codes are scanned at large distances, and few codes always.
        self.patches.setattr(engine, "CODE_NS", 200.0)
        self.index_dir = Path(self.folder.name)
        self.feed: list[Change] = []
        self.alive: dict[int, StoredItem] = {}
        self.hidden: dict[int, StoredItem] = {}
        self.shown_by: dict[int, int] = {}
        self.today = 20_000

    def teardown(self) -> None:
        self.patches.undo()
        self.folder.cleanup()

    @initialize()
    def start(self) -> None:
        self.live = LiveIndex(published(self.index_dir, (), 0))

    @property
    def head(self) -> Cursor:
        return Cursor(EPOCH, len(self.feed))

    def page(self, after: Cursor, until: int) -> list[Change]:
        """Return changes of the feed: of those of an item the newest shows it, or none."""
        return [
            change
            if isinstance(change, Removal) or self.shown_by.get(change.number) == change.sequence
            else Removal(change.sequence, change.number, bytes(16), 1)
            for change in self.feed[after.sequence : until]
        ]

    def catch_up(self, live: LiveIndex, page_size: int) -> None:
        while live.cursor != self.head:
            until = min(live.cursor.sequence + page_size, len(self.feed))
            live.apply(self.page(live.cursor, until), Cursor(EPOCH, until))

    @rule(codes=near_codes(6), seed=seeds)
    def register(self, codes: Codes, seed: int) -> None:
        sequence = len(self.feed) + 1
        added = narrowed(item(sequence, codes, bank=1 + sequence % 3), seed)
        added = replace(added, new_day=self.today)
        self.feed.append(Addition(sequence, added))
        self.alive[added.number] = added
        self.shown_by[added.number] = sequence

    @rule(codes=near_codes(6), seed=seeds)
    def register_very_many(self, codes: Codes, seed: int) -> None:
        """Register so many that later lookups may use tables, in snapshot and then delta."""
        self.register(np.concatenate([codes, random_codes(_MANY, len(self.feed))]), seed)

    @rule(days=st.integers(1, 9))
    def wait(self, days: int) -> None:
        self.today += days

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.alive)))
        gone = self.alive.pop(number)
        del self.shown_by[number]
        self.feed.append(Removal(len(self.feed) + 1, number, gone.item_id, gone.bank))

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def hide(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.alive)))
        gone = self.hidden[number] = self.alive.pop(number)
        del self.shown_by[number]
        self.feed.append(StateChange(len(self.feed) + 1, number, gone.item_id, gone.bank, None))

    @precondition(lambda self: self.hidden)
    @rule(data=st.data(), seed=seeds)
    def show(self, data: st.DataObject, seed: int) -> None:
        self.show_narrowed(data.draw(st.sampled_from(sorted(self.hidden))), seed)

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), seed=seeds)
    def narrow(self, data: st.DataObject, seed: int) -> None:
        """Hide an item and show it with another narrowing, in one page of changes or in two."""
        self.hide(data)
        self.show_narrowed(next(reversed(self.hidden)), seed)

    def show_narrowed(self, number: int, seed: int) -> None:
        back = replace(narrowed(self.hidden.pop(number), seed), new_day=self.today)
        self.alive[number] = back
        sequence = self.shown_by[number] = len(self.feed) + 1
        self.feed.append(StateChange(sequence, number, back.item_id, back.bank, back))

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
        published(self.index_dir, list(self.alive.values()), len(self.feed))

    @rule(back=st.integers(0, 6))
    def publish_behind_head(self, back: int) -> None:
        """Publish a rebuild older than the newest changes: it misses what was erased since."""
        sequence = max(0, len(self.feed) - back)
        alive = [item for number, item in self.alive.items() if self.shown_by[number] <= sequence]
        published(self.index_dir, alive, sequence)

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
    def search_all(self, queries: Codes, max_distance_bits: int) -> None:
        expected = brute_force(self.alive.values(), queries, max_distance_bits)
        assert answers(search(self.live, queries, max_distance_bits)) == expected

    @precondition(lambda self: self.live.cursor == self.head)
    @rule(
        queries=near_codes(4),
        max_distance_bits=thresholds,
        most_items=st.integers(1, 3),
        kind=st.sampled_from([None, *MediaKind]),
    )
    def search_some(
        self, queries: Codes, max_distance_bits: int, most_items: int, kind: MediaKind | None
    ) -> None:
        limits_bits = np.full(2**16, -1, np.int16)
        limits_bits[1:3] = max_distance_bits, max_distance_bits // 2
        searched = [stored for stored in self.alive.values() if kind in (None, stored.kind)]
        near = [
            answer
            for answer in brute_force(searched, queries, max_distance_bits)
            if answer[1] <= limits_bits[answer[4]]
        ]
        expected, truncated = [], []
        for query in range(len(queries)):
            query_hits = [answer for answer in near if answer[0] == query]
            expected += query_hits[:most_items]
            if len(query_hits) > most_items:
                truncated.append(query)
        answer = self.live.search(queries, max_distance_bits, limits_bits, most_items, kind=kind)
        assert answers(answer.hits) == expected
        assert answer.truncated.tolist() == truncated

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), queries=near_codes(4), max_distance_bits=thresholds)
    def search_new(self, data: st.DataObject, queries: Codes, max_distance_bits: int) -> None:
        self.catch_up(self.live, 3)
        days = sorted({stored.new_day for stored in self.alive.values()})
        day = data.draw(st.sampled_from(days)) + data.draw(st.integers(0, 1))
        wanted = [
            stored
            for stored in self.alive.values()
            if stored.new_day >= day or stored.bank == COMMON.number
        ]
        since = self.live.since(day)
        expected = brute_force(wanted, queries, max_distance_bits)
        assert answers(search(since, queries, max_distance_bits)) == expected
        for stored in self.alive.values():
            assert (since.find(stored.number) is not None) == (stored in wanted)

    @invariant()
    def a_level_index_holds_what_is_alive(self) -> None:
        if self.live.cursor != self.head:
            return
        status = self.live.status()
        assert self.live.numbers().tolist() == sorted(self.alive)
        assert status.items == len(self.alive)
        assert status.hashes == sum(len(stored.fingerprints) for stored in self.alive.values())
        for bank in (1, 2, 3):
            of_bank = [stored for stored in self.alive.values() if stored.bank == bank]
            counted = self.live.status(frozenset([bank]))
            assert counted.items == len(of_bank)
            assert counted.hashes == sum(len(stored.fingerprints) for stored in of_bank)
        statuses = [self.live.status(frozenset([bank])) for bank in (1, 2, 3)]
        assert status.tombstones == sum(bank_status.tombstones for bank_status in statuses)
        assert status.delta_hashes == sum(bank_status.delta_hashes for bank_status in statuses)
        for stored in list(self.alive.values())[:2]:
            queries = np.array(stored.fingerprints["hash"][:8])
            expected = brute_force(self.alive.values(), queries, 0)
            assert answers(search(self.live, queries, 0)) == expected
            columns = self.live.find(stored.number)
            assert columns is not None
            assert np.array_equal(columns.codes, stored.fingerprints["hash"])
            for name in ("start_ms", "end_ms"):
                assert np.array_equal(columns.entries[name], stored.fingerprints[name])
            assert np.array_equal(columns.entries["below_bits"], stored.below_bits)
            assert columns.items["number"].tolist() == [stored.number]
        for number in range(len(self.feed) + 2):
            assert self.live.holds(number) == (number in self.alive)
            assert (self.live.find(number) is None) == (number not in self.alive)


TestLiveMachine = LiveMachine.TestCase
TestLiveMachine.settings = settings(max_examples=20, stateful_step_count=25)
