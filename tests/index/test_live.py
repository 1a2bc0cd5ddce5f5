from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from disrupt.core.changes import Addition, Change, Cursor, Removal, StateChange
from disrupt.core.media import StoredItem
from disrupt.errors import UnavailableError
from disrupt.index import segments
from disrupt.index.live import LiveIndex
from disrupt.index.part import Part, join
from tests.index.examples import (
    EPOCH,
    answers,
    brute_force,
    item,
    published,
    random_codes,
    some_items,
)


def at(sequence: int) -> Cursor:
    return Cursor(EPOCH, sequence)


def state(sequence: int, item: StoredItem, *, on: bool = False) -> StateChange:
    what = (sequence, item.number, item.item_id, item.bank)
    return StateChange(*what, item if on else None)


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
        answers(live.search(queries, 90)) == brute_force(items, queries, 90)
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


def test_snapshot_and_additions_answer_as_one(live: LiveIndex, items: list[StoredItem]) -> None:
    apply(live, Addition(11, items[10]), Addition(12, items[11]))
    apply(live, Addition(13, items[12]))
    assert live.cursor == at(13)
    assert holds(live, items[:13])
    assert live.status().delta_hashes == 6


def test_hits_are_ordered_by_query_then_distance_then_item(
    live: LiveIndex, items: list[StoredItem]
) -> None:
    twin = item(11, items[3].fingerprints["hash"][::-1])
    apply(live, Addition(11, twin))
    queries = items[3].fingerprints["hash"][::-1]
    hits = live.search(queries, 256)
    rows = list(zip(hits.query.tolist(), hits.distance.tolist(), hits.number.tolist(), strict=True))
    assert rows == sorted(rows)
    assert rows[:2] == [(0, 0, 4), (0, 0, 11)]


def test_hits_name_the_item(live: LiveIndex, items: list[StoredItem]) -> None:
    apply(live, Addition(11, items[10]))
    for stored in (items[2], items[10]):
        hits = live.search(stored.fingerprints["hash"], 0)
        assert hits.item_id.tobytes() == stored.item_id * 2
        assert set(hits.number.tolist()) == {stored.number}


def test_removed_items_are_gone_from_snapshot_and_delta(
    live: LiveIndex, items: list[StoredItem]
) -> None:
    apply(live, Addition(11, items[10]), Addition(12, items[11]))
    apply(live, removal(13, 2), removal(14, 11))
    assert holds(live, [items[0], *items[2:10], items[11]])
    assert live.status().tombstones == 1
    assert live.find(2) is None
    assert live.find(11) is None


def test_removing_an_unknown_item_changes_nothing(live: LiveIndex, items: list[StoredItem]) -> None:
    apply(live, removal(11, 999), removal(12, 0))
    assert holds(live, items[:10])
    assert live.cursor == at(12)


def test_removing_twice_counts_once(live: LiveIndex, items: list[StoredItem]) -> None:
    apply(live, removal(11, 1), removal(12, 1))
    apply(live, removal(13, 1))
    assert holds(live, items[1:10])
    assert live.status().tombstones == 1


def test_an_item_added_and_removed_at_once_never_shows(
    live: LiveIndex, items: list[StoredItem]
) -> None:
    apply(live, Addition(11, items[10]), removal(12, 11))
    assert holds(live, items[:10])
    assert live.status().delta_hashes == 0


def test_what_takes_the_place_of_an_item_is_found_before_that_is_gone(
    live: LiveIndex, items: list[StoredItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    bury, known = Part.bury, list[tuple[bool, Cursor]]()

    def watched(part: Part, number: int) -> None:
        known.append((live.find(11) is not None, live.cursor))
        bury(part, number)

    monkeypatch.setattr(Part, "bury", watched)
    apply(live, removal(11, 2), Addition(12, items[10]), removal(13, 3))
    # The cursor says that all of it is applied, so it waits for the removals.
    assert known[0] == known[-1] == (True, at(10))
    assert live.cursor == at(13)
    assert holds(live, [items[0], *items[3:11]])


def test_changes_applied_again_change_nothing(live: LiveIndex, items: list[StoredItem]) -> None:
    page: list[Change] = [
        Addition(11, items[10]),
        removal(12, 3),
        Addition(13, items[11]),
        removal(14, 11),
    ]
    for _ in range(3):
        apply(live, *page)
    apply(live, *page[:2], *page, Addition(15, items[12]))
    apply(live, Addition(15, items[12]))
    assert holds(live, [items[0], items[1], *items[3:10], items[11], items[12]])


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


def test_what_is_switched_off_and_on_while_segments_are_joined_is_found_once(
    live: LiveIndex, items: list[StoredItem], joining: threading.Event
) -> None:
    for place in (10, 11, 12):
        apply(live, Addition(place + 1, items[place]))
    # One comes back to the delta, one stays away, and one comes back to the snapshot.
    apply(live, state(14, items[10]), state(15, items[11]), state(16, items[2]))
    apply(live, state(17, items[10], on=True), state(18, items[2], on=True))
    kept = [*items[:11], items[12]]
    assert holds(live, kept)
    joining.set()
    while live.status().segments > 1:
        joined_beside()
        live.apply([], live.cursor)
        assert holds(live, kept)


def test_a_change_of_state_adds_nothing_that_is_there(
    live: LiveIndex, items: list[StoredItem]
) -> None:
    apply(live, state(11, items[3], on=True))
    apply(live, state(12, items[4]), state(13, items[4], on=True))
    apply(live, state(14, items[20]), state(15, items[20], on=True))
    assert holds(live, [*items[:10], items[20]])


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


def test_what_it_holds_of_an_item_can_be_read(live: LiveIndex, items: list[StoredItem]) -> None:
    apply(live, Addition(11, items[10]), Addition(12, items[11]), removal(13, 11))
    for stored in (items[4], items[11]):
        columns = live.find(stored.number)
        assert columns is not None
        assert np.array_equal(columns.codes, stored.fingerprints["hash"])
        assert columns.entries["start_ms"].tolist() == stored.fingerprints["start_ms"].tolist()
        assert columns.items["number"].tolist() == [stored.number]
    assert live.find(99) is None


def test_a_lookup_in_more_hashes_is_expected_to_take_longer(
    live: LiveIndex, items: list[StoredItem]
) -> None:
    before_us = live.expected_us(31)
    apply(live, *(Addition(sequence, items[sequence - 1]) for sequence in range(11, 61)))
    assert live.expected_us(31) > before_us


def test_without_a_snapshot_nothing_is_answered() -> None:
    live = LiveIndex()
    assert not live.serving
    for call in (
        lambda: live.search(random_codes(1), 31),
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
        live.search(random_codes(1), 31)
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
            if answers(self.live.search(queries, 0)) != expected:
                self.faults.append("a lasting item was missed")
            if gone := len(self.removed):
                chosen = self.removed[int(rng.integers(gone))]
                if len(self.live.search(chosen.fingerprints["hash"], 0)):
                    self.faults.append("a removed item was found")
            if present := len(self.added):
                chosen = self.added[int(rng.integers(present))]
                hits = self.live.search(chosen.fingerprints["hash"], 0)
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


def test_of_entries_and_items_only_what_is_found_is_in_memory(tmp_path: Path) -> None:
    items = some_items(2000)
    live = LiveIndex(published(tmp_path, items, 2000))
    assert resident_kb("entries.npy") == resident_kb("items.npy") == 0
    stored = items[1000]
    assert len(live.search(stored.fingerprints["hash"], 0)) == len(stored.fingerprints)
    assert resident_kb("entries.npy") > 0
    assert holds(live, items)


def resident_kb(file: str) -> int:
    """Return how much of mapped files of this name is in this process's memory."""
    kilobytes, is_file = 0, False
    for line in Path("/proc/self/smaps").read_text("utf-8").splitlines():
        if "-" in line.partition(" ")[0]:
            is_file = line.endswith(f"/{file}")
        elif is_file and line.startswith("Rss:"):
            kilobytes += int(line.split()[1])
    return kilobytes
