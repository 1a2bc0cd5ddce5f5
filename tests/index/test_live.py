from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from disrupt.core.changes import Addition, Change, Cursor, Removal, StateChange
from disrupt.core.media import NOT_NARROWED, StoredItem
from disrupt.errors import UnavailableError
from disrupt.index import segments
from disrupt.index.columns import NearestHits
from disrupt.index.live import LiveIndex
from disrupt.index.part import Part, join
from rig.media.codes import (
    EPOCH,
    answers,
    brute_force,
    item,
    published,
    random_codes,
    search,
    some_items,
)


def at(sequence: int) -> Cursor:
    return Cursor(EPOCH, sequence)


def removal(sequence: int, number: int) -> Removal:
    return Removal(sequence, number, bytes(16), 1)


def apply(live: LiveIndex, *changes: Change) -> None:
    live.apply(changes, at(changes[-1].sequence))


def holds(live: LiveIndex, items: Iterable[StoredItem]) -> bool:
    """Tell whether exactly these items are found, by all their hashes and by random ones."""
    items = list(items)
    queries = np.concatenate(
        [random_codes(3, 12345), *(stored.fingerprints["hash"] for stored in items)]
    )
    return (
        answers(search(live, queries, 90)) == brute_force(items, queries, 90)
        and live.numbers().tolist() == sorted(stored.number for stored in items)
        and live.status().items == len(items)
        and live.status().hashes == sum(len(stored.fingerprints) for stored in items)
    )


@pytest.fixture
def items() -> list[StoredItem]:
    return some_items(60)


@pytest.fixture
def live(tmp_path: Path, items: list[StoredItem]) -> LiveIndex:
    """Return an index over a snapshot of items 1-10, as of change 10."""
    return LiveIndex(published(tmp_path, items[:10], 10))


def test_a_search_during_a_renewal_finds_the_item_before_or_after_it(
    live: LiveIndex, items: list[StoredItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    find, renewed = Part.search, item(11, items[1].fingerprints["hash"])

    def renewed_meanwhile(part: Part, *wanted: Any) -> NearestHits:
        monkeypatch.undo()
        apply(live, Addition(11, renewed), removal(12, 2))
        return find(part, *wanted)

    monkeypatch.setattr(Part, "search", renewed_meanwhile)
    assert set(search(live, renewed.fingerprints["hash"], 0).number.tolist()) == {2}
    assert set(search(live, renewed.fingerprints["hash"], 0).number.tolist()) == {11}
    assert holds(live, [items[0], *items[2:10], renewed])


def test_an_empty_page_moves_the_cursor(live: LiveIndex) -> None:
    live.apply([], at(17))
    assert live.cursor == at(17)


def test_additions_out_of_order_of_number_are_found_and_removed(
    live: LiveIndex, items: list[StoredItem]
) -> None:
    apply(live, Addition(11, items[20]), Addition(12, items[15]))
    apply(live, Addition(13, items[12]), Addition(14, items[30]))
    apply(live, removal(15, 16), removal(16, 31))
    assert holds(live, [*items[:10], items[12], items[20]])


@pytest.mark.parametrize("place", [3, 10])
def test_an_item_hidden_and_shown_at_once_has_its_new_narrowing(
    live: LiveIndex, items: list[StoredItem], place: int
) -> None:
    apply(live, Addition(11, items[10]))  # the others are in the snapshot
    others = [*items[:place], *items[place + 1 : 11]]
    number = items[place].number
    for sequence, below_bits in ((20, [0, NOT_NARROWED]), (22, [NOT_NARROWED, 0]), (24, [0, 0])):
        again = replace(items[place], below_bits=np.array(below_bits, np.uint8))
        hidden = StateChange(sequence, number, bytes(16), 1, None)
        apply(live, hidden, StateChange(sequence + 1, number, bytes(16), 1, again))
        assert holds(live, [*others, again])


def test_many_small_changes_stay_in_few_segments(live: LiveIndex, items: list[StoredItem]) -> None:
    for place in range(10, 60):
        apply(live, Addition(place + 1, items[place]))
    assert len(live._serving().delta) <= 3
    assert holds(live, items)


@pytest.fixture
def joining(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Hold the end of every join until this event is set."""
    may_end = threading.Event()

    def slow(parts: Sequence[Part], *, tables: bool) -> Part:
        joined = join(parts, tables=tables)
        assert may_end.wait(60)
        return joined

    monkeypatch.setattr(segments, "_AT_ONCE_HASHES", 0)
    monkeypatch.setattr(segments, "join", slow)
    return may_end


def joined_beside() -> None:
    for thread in threading.enumerate():
        if thread.name == "join":
            thread.join(60)


def test_changes_do_not_wait_while_long_segments_are_joined(
    live: LiveIndex, items: list[StoredItem], joining: threading.Event
) -> None:
    for place in range(10, 30):
        apply(live, Addition(place + 1, items[place]))
    assert live.status().segments == 20
    apply(live, removal(31, items[10].number), removal(32, items[28].number))
    kept = [*items[:10], *items[11:28], items[29]]
    assert holds(live, kept)
    joining.set()
    while live.status().segments > 1:
        joined_beside()
        live.apply([], live.cursor)
        assert holds(live, kept)


def test_items_that_are_shown_again_while_their_segments_are_joined_stay(
    live: LiveIndex, items: list[StoredItem], joining: threading.Event
) -> None:
    for place in range(10, 30):
        apply(live, Addition(place + 1, items[place]))
    # Of the first segments, which are being joined, and of some that are joined later.
    for sequence, place in enumerate([10, 11, 24, 29], 40):
        apply(live, StateChange(sequence, place + 1, bytes(16), 1, None))
    hidden = [item for place, item in enumerate(items[:30]) if place not in {10, 11, 24, 29}]
    assert holds(live, hidden)
    for sequence, place in enumerate([10, 24, 29], 50):
        apply(live, StateChange(sequence, place + 1, bytes(16), 1, items[place]))
    joining.set()
    while live.status().segments > 1:
        joined_beside()
        live.apply([], live.cursor)
        assert holds(live, [*items[:11], *items[12:30]])


def test_a_join_that_fails_is_done_again(
    live: LiveIndex, items: list[StoredItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_parts: Sequence[Part], *, tables: bool) -> Part:
        raise MemoryError(tables)

    monkeypatch.setattr(segments, "_REST_S", 0)
    monkeypatch.setattr(segments, "_AT_ONCE_HASHES", 0)
    with monkeypatch.context() as failing, capture_logs() as logs:
        failing.setattr(segments, "join", fail)
        for place in range(10, 30):
            apply(live, Addition(place + 1, items[place]))
            joined_beside()
        assert live.status().segments == 20
    assert {event["event"] for event in logs} == {"segments_not_joined"}
    while live.status().segments > 1:
        live.apply([], live.cursor)
        joined_beside()
    assert holds(live, items[:30])


def test_a_delta_that_is_mostly_dead_is_compacted(live: LiveIndex, items: list[StoredItem]) -> None:
    apply(live, *(Addition(place + 1, items[place]) for place in range(10, 60)))
    apply(live, *(removal(place + 100, place) for place in range(11, 40)))
    assert holds(live, [*items[:10], *items[39:]])
    assert sum(len(part.index) for part in live._serving().delta) == 42
    apply(live, *(removal(place + 200, place) for place in range(40, 61)))
    assert live._serving().delta == ()
    assert holds(live, items[:10])


def test_without_a_snapshot_nothing_is_answered() -> None:
    live = LiveIndex()
    assert not live.serving
    for call in (
        lambda: search(live, random_codes(1), 31),
        lambda: live.cursor,
        live.status,
        lambda: live.apply([], at(1)),
    ):
        with pytest.raises(UnavailableError, match="not loaded"):
            call()


def test_a_suspended_index_says_what_to_do_until_it_is_replaced(
    tmp_path: Path, live: LiveIndex, items: list[StoredItem]
) -> None:
    live.suspend("Run `disrupt-index rebuild`.")
    with pytest.raises(UnavailableError, match="disrupt-index rebuild"):
        search(live, random_codes(1), 31)
    live.replace(LiveIndex(published(tmp_path, items[:5], 20)))
    assert holds(live, items[:5])
    assert live.cursor == at(20)
    assert live.status().generation == 2


@dataclass(eq=False)
class Shared:
    """The work of the applying thread so far, to which searching threads hold the index."""

    live: LiveIndex
    lasting: list[StoredItem]
    added: list[StoredItem] = field(default_factory=list)  # grows after apply has returned
    removing: set[int] = field(default_factory=set)  # grows before apply is called
    removed: list[StoredItem] = field(default_factory=list)  # grows after apply has returned
    done: threading.Event = field(default_factory=threading.Event)
    faults: list[str] = field(default_factory=list)

    def alive(self) -> list[StoredItem]:
        kept = [stored for stored in self.added if stored.number not in self.removing]
        return [*self.lasting, *kept]

    def search_until_done(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        queries = np.concatenate([stored.fingerprints["hash"] for stored in self.lasting])
        expected = brute_force(self.lasting, queries, 0)
        while not self.done.is_set():
            if answers(search(self.live, queries, 0)) != expected:
                self.faults.append("a lasting item was missed")
            if gone := len(self.removed):
                chosen = self.removed[int(rng.integers(gone))]
                if len(search(self.live, chosen.fingerprints["hash"], 0)):
                    self.faults.append("a removed item was found")
            if present := len(self.added):
                chosen = self.added[int(rng.integers(present))]
                hits = search(self.live, chosen.fingerprints["hash"], 0)
                if len(hits) != 2 and chosen.number not in self.removing:
                    self.faults.append("an added item was missed")


def test_searches_during_changes_and_swaps_miss_nothing_and_show_nothing_removed(
    tmp_path: Path,
) -> None:
    lasting, passing = some_items(20), some_items(400, first=100)
    live = LiveIndex(published(tmp_path, lasting, 0))
    shared = Shared(live, lasting)
    threads = [threading.Thread(target=shared.search_until_done, args=(seed,)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for place, arriving in enumerate(passing):
        apply(live, Addition(2 * place + 1, arriving))
        shared.added.append(arriving)
        if place % 3 == 2:
            victim = passing[place - 1]
            shared.removing.add(victim.number)
            apply(live, removal(2 * place + 2, victim.number))
            shared.removed.append(victim)
        if place % 100 == 50:
            snapshot = published(tmp_path, shared.alive(), live.cursor.sequence)
            live.replace(LiveIndex(snapshot))
    shared.done.set()
    for thread in threads:
        thread.join()
    assert shared.faults == []
    assert holds(live, shared.alive())
