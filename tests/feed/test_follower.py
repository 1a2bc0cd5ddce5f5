"""The follower over a real registry and a real index directory."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from structlog.testing import capture_logs

from disrupt.core.changes import Change, Cursor
from disrupt.core.media import ItemState
from disrupt.core.policy import ADULTS, MINORS
from disrupt.errors import OtherHistoryError, UnavailableError
from disrupt.feed.compaction import compact
from disrupt.feed.follower import Follower
from disrupt.feed.rebuild import rebuild
from disrupt.index.generations import create_first
from disrupt.index.live import LiveIndex
from disrupt.registry.contract import NewItem, RegistryReader
from disrupt.registry.sql import SqlRegistry, SqlRegistryWriter
from tests.properties import FEW
from tests.registry.examples import ACT, DAY, new_item, registration


class Site:
    """A data directory with its registry, and one process that serves it."""

    def __init__(self, folder: Path, writer: SqlRegistryWriter) -> None:
        self.index_dir = folder / "index"
        self.writer = writer
        self.chance = random.Random(1)
        self.present: dict[bytes, NewItem] = {}
        self.hidden: set[bytes] = set()
        self.cases: dict[bytes, str] = {}
        create_first(self.index_dir, writer.head().epoch)
        self.restart()

    def restart(self) -> None:
        self.live = LiveIndex()
        self.follower = Follower(self.writer, self.live, self.index_dir)
        self.follower.step()

    def register(self, count: int = 1) -> list[NewItem]:
        items = [new_item(self.chance) for _ in range(count)]
        done = self.writer.register(registration(self.chance, None, *items), day=DAY)
        for item in items:
            self.present[item.item_id] = item
            self.cases[item.item_id] = done.case_number
        return items

    def withdraw(self, item_id: bytes) -> None:
        self.writer.withdraw(self.cases[item_id], [item_id], day=DAY)
        del self.present[item_id]
        self.hidden.discard(item_id)

    def set_state(self, item_id: bytes, state: ItemState) -> None:
        self.writer.set_states([item_id], state, day=DAY, act=ACT)
        (self.hidden.discard if state == ItemState.LIVE else self.hidden.add)(item_id)

    def matching(self, items: Sequence[NewItem]) -> set[bytes]:
        hits = self.live.search(np.concatenate([item.fingerprints["hash"] for item in items]), 0)
        return {item_id.tobytes() for item_id in hits.item_id}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with SqlRegistry.open_writer(tmp_path / "registry.db") as writer:
        yield Site(tmp_path, writer)


def test_a_registration_matches_after_the_next_step_and_a_withdrawal_no_more(site: Site) -> None:
    first, second = site.register(2)
    assert site.matching([first, second]) == set()
    site.follower.step()
    assert site.matching([first, second]) == {first.item_id, second.item_id}
    site.withdraw(first.item_id)
    site.follower.step()
    assert site.matching([first, second]) == {second.item_id}
    assert site.live.cursor == site.writer.head()


def test_a_disabled_item_matches_no_more_after_the_next_step_and_enabled_again(
    site: Site,
) -> None:
    first, second = site.register(2)
    rebuild(site.writer, site.index_dir)
    (third,) = site.register()
    site.follower.step()
    for item in (first, third):  # of the snapshot, of the delta
        others = {second.item_id, first.item_id, third.item_id} - {item.item_id}
        for _ in range(2):
            site.set_state(item.item_id, ItemState.DISABLED)
            site.follower.step()
            assert site.matching([first, second, third]) == others
            site.set_state(item.item_id, ItemState.LIVE)
            site.follower.step()
            assert site.matching([first, second, third]) == {*others, item.item_id}
            assert site.live.status().items == 3
    assert site.live.cursor == site.writer.head()


def test_a_moved_item_matches_in_its_new_bank_alone_after_the_next_step(site: Site) -> None:
    def found() -> list[tuple[bytes, int]]:
        hits = site.live.search(np.concatenate([item.fingerprints["hash"] for item in items]), 0)
        own = zip(hits.item_id, hits.bank, strict=True)
        return sorted({(item_id.tobytes(), int(bank)) for item_id, bank in own})

    items = site.register(2)
    rebuild(site.writer, site.index_dir)
    items += site.register()
    site.follower.step()
    banks = {item.item_id: ADULTS.number for item in items}
    for bank in (MINORS.number, ADULTS.number):
        for item in items[1:]:  # of the snapshot, of the delta
            site.writer.move_items([item.item_id], bank, act=ACT)
            banks[item.item_id] = bank
            site.follower.step()
            assert found() == sorted(banks.items())
            assert site.live.status().items == 3
    # Several changes of one item, read at once.
    site.set_state(items[1].item_id, ItemState.DISABLED)
    site.writer.move_items([items[1].item_id], MINORS.number, act=ACT)
    site.set_state(items[1].item_id, ItemState.LIVE)
    banks[items[1].item_id] = MINORS.number
    site.follower.step()
    assert found() == sorted(banks.items())
    for publish in (compact, rebuild):
        publish(site.writer, site.index_dir)
        site.follower.step()
        assert found() == sorted(banks.items())
        site.restart()
        assert found() == sorted(banks.items())


def test_a_generation_is_of_live_items_and_what_it_lacks_is_found_once_enabled(
    site: Site,
) -> None:
    first, second = site.register(2)
    site.set_state(first.item_id, ItemState.DISABLED)
    assert rebuild(site.writer, site.index_dir).items == 1
    site.restart()
    assert site.matching([first, second]) == {second.item_id}
    site.set_state(first.item_id, ItemState.LIVE)
    site.follower.step()
    assert site.matching([first, second]) == {first.item_id, second.item_id}
    assert compact(site.writer, site.index_dir).items == 2
    site.restart()
    assert site.matching([first, second]) == {first.item_id, second.item_id}
    assert site.live.status().segments == 0


def test_an_item_enabled_while_a_generation_is_made_is_answered_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item,) = site.register()
    site.set_state(item.item_id, ItemState.DISABLED)
    head = site.writer.head

    def enabled_just_after() -> Cursor:
        cursor = head()
        monkeypatch.setattr(site.writer, "head", head)
        site.set_state(item.item_id, ItemState.LIVE)
        return cursor

    monkeypatch.setattr(site.writer, "head", enabled_just_after)
    assert rebuild(site.writer, site.index_dir).items == 1
    site.restart()
    assert len(site.live.search(item.fingerprints["hash"][:1], 0)) == 1
    assert site.live.status().items == 1


def test_one_step_takes_in_more_than_a_page(site: Site) -> None:
    items = [item for _ in range(12) for item in site.register(100)]
    site.follower.step()
    assert site.live.cursor == site.writer.head()
    assert site.matching(items) == {item.item_id for item in items}


def test_a_restarted_process_replays_what_came_after_the_snapshot(site: Site) -> None:
    items = site.register(3)
    rebuild(site.writer, site.index_dir)
    items += site.register(2)
    site.withdraw(items[0].item_id)
    site.restart()
    assert site.live.status().generation == 2
    assert site.matching(items) == {item.item_id for item in items[1:]}
    assert site.live.status().tombstones == 1


def test_a_published_snapshot_is_taken_up_with_the_changes_since(site: Site) -> None:
    items = site.register(4)
    site.follower.step()
    rebuild(site.writer, site.index_dir)
    items += site.register(2)
    site.withdraw(items[0].item_id)
    site.follower.step()
    status = site.live.status()
    assert (status.generation, status.items, status.tombstones) == (2, 5, 1)
    assert site.matching(items) == {item.item_id for item in items[1:]}


def test_an_older_snapshot_is_taken_up_without_reviving_what_was_withdrawn(site: Site) -> None:
    items = site.register(2)
    rebuild(site.writer, site.index_dir)
    site.withdraw(items[0].item_id)
    rebuild(site.writer, site.index_dir)
    site.follower.step()
    (site.index_dir / "CURRENT").write_text("00000002\n")
    site.follower.step()
    assert site.live.status().generation == 2
    assert site.matching(items) == {items[1].item_id}


class Watched(LiveIndex):
    """Record how far the old and the new state had come at each swap."""

    def __init__(self) -> None:
        super().__init__()
        self.swaps: list[tuple[int, int]] = []

    def replace(self, prepared: LiveIndex) -> None:
        if self.serving:
            self.swaps.append((self.cursor.sequence, prepared.cursor.sequence))
        super().replace(prepared)


def test_no_search_sees_an_earlier_state_at_a_swap(site: Site) -> None:
    live = Watched()
    follower = Follower(site.writer, live, site.index_dir)
    follower.step()
    items = site.register(3)
    rebuild(site.writer, site.index_dir)
    site.withdraw(items[0].item_id)
    head = site.writer.head().sequence
    follower.step()
    assert live.swaps == [(head, head)]


def test_a_refused_snapshot_is_logged_once_and_the_served_one_stays(site: Site) -> None:
    items = site.register(2)
    site.follower.step()
    rebuild(site.writer, site.index_dir)
    codes = site.index_dir / "00000002" / "codes.faiss"
    codes.write_bytes(codes.read_bytes()[:-1] + b"x")
    with capture_logs() as logs:
        for _ in range(3):
            site.follower.step()
    assert [entry["event"] for entry in logs] == ["snapshot_refused"]
    assert "00000002/codes.faiss" in logs[0]["reason"]
    assert site.live.status().generation == 1
    assert site.matching(items) == {item.item_id for item in items}


def test_a_process_that_starts_on_a_damaged_snapshot_serves_the_previous_one(site: Site) -> None:
    items = site.register(2)
    rebuild(site.writer, site.index_dir)
    (site.index_dir / "00000002" / "entries.npy").unlink()
    site.restart()
    assert site.live.status().generation == 1
    assert site.matching(items) == {item.item_id for item in items}


def test_deleting_the_faiss_file_makes_lookups_fail_until_a_rebuild(site: Site) -> None:
    items = site.register(2)
    site.follower.step()
    (site.index_dir / "00000001" / "codes.faiss").unlink()
    for _ in range(2):
        site.follower.step()
        with pytest.raises(
            UnavailableError, match=r"00000001/codes\.faiss .*disrupt-index rebuild"
        ):
            site.matching(items)
    site.restart()
    with pytest.raises(UnavailableError, match=r"00000001/codes\.faiss .*disrupt-index rebuild"):
        site.matching(items)
    rebuild(site.writer, site.index_dir)
    site.follower.step()
    assert site.matching(items) == {item.item_id for item in items}


def test_a_restored_registry_stops_lookups_until_a_rebuild(site: Site, tmp_path: Path) -> None:
    site.register(2)
    site.follower.step()
    with SqlRegistry.open_writer(tmp_path / "restored.db") as restored:
        (kept,) = registration(site.chance).items
        restored.register(registration(site.chance, None, kept), day=DAY)
        site.follower._reader = restored
        site.follower.step()
        with pytest.raises(UnavailableError, match=r"older copy.*disrupt restore"):
            site.matching([kept])
        with pytest.raises(OtherHistoryError):
            rebuild(restored, site.index_dir)
        rebuild(restored, site.index_dir, accept_registry=True)
        site.follower.step()
        assert site.live.cursor.epoch == restored.head().epoch
        assert site.matching([kept]) == {kept.item_id}


class Unsteady:
    """A registry that cannot be read at times."""

    def __init__(self, registry: RegistryReader) -> None:
        self.registry = registry
        self.broken = False

    def head(self) -> Cursor:
        self._fail()
        return self.registry.head()

    def knows(self, cursor: Cursor) -> bool:
        self._fail()
        return self.registry.knows(cursor)

    def lacks(self) -> Cursor | None:
        self._fail()
        return self.registry.lacks()

    def changes(self, after: Cursor, limit: int) -> tuple[Sequence[Change], Cursor]:
        self._fail()
        return self.registry.changes(after, limit)

    def _fail(self) -> None:
        if self.broken:
            raise UnavailableError("The registry is busy.")


def test_a_registry_that_cannot_be_read_is_logged_once_and_lookups_go_on(site: Site) -> None:
    unsteady = Unsteady(site.writer)
    site.follower._reader = unsteady  # type: ignore[assignment]
    items = site.register(1)
    site.follower.step()
    unsteady.broken = True
    late = site.register(1)
    with capture_logs() as logs:
        for _ in range(3):
            site.follower.step()
    assert [entry["event"] for entry in logs] == ["follower_fault"]
    assert site.matching(items + late) == {items[0].item_id}
    rebuild(site.writer, site.index_dir)
    site.follower.step()
    unsteady.broken = False
    site.follower.step()
    assert site.live.status().generation == 2
    assert site.matching(items + late) == {items[0].item_id, late[0].item_id}


def test_the_index_falls_behind_while_the_registry_cannot_be_read(site: Site) -> None:
    unsteady = Unsteady(site.writer)
    site.follower._reader = unsteady  # type: ignore[assignment]
    site.follower.step()
    level_s = time.monotonic()
    assert site.follower.behind_s(level_s) <= level_s
    unsteady.broken = True
    site.follower.step()
    assert site.follower.behind_s(level_s + 5) >= 5
    unsteady.broken = False
    site.follower.step()
    assert site.follower.behind_s(level_s) == 0


class Busy:
    """A registry that grows with each read, and takes 10 s to read."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.now_s = 1000.0
        self.behind_s: list[float] = []

    def head(self) -> Cursor:
        return self.site.writer.head()

    def changes(self, after: Cursor, limit: int) -> tuple[Sequence[Change], Cursor]:
        self.behind_s.append(self.site.follower.behind_s(self.now_s))
        page = self.site.writer.changes(after, limit)
        self.now_s += 10
        if len(self.behind_s) < 20:
            self.site.register(1)
        return page


def test_an_index_that_applies_changes_in_order_is_as_far_behind_as_the_oldest_it_lacks(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy = Busy(site)
    monkeypatch.setattr("disrupt.feed.follower.time.monotonic", lambda: busy.now_s)
    site.register(1)
    site.follower._reader = busy  # type: ignore[assignment]
    site.follower._complete_s = busy.now_s
    while site.live.cursor != site.writer.head():
        site.follower.step()
    assert len(busy.behind_s) >= 20
    assert max(busy.behind_s) <= 20


class SiteMachine(RuleBasedStateMachine):
    """Registry, follower, rebuilds, compactions and restarts, against the plain model of Site."""

    def __init__(self) -> None:
        super().__init__()
        self.exits = ExitStack()
        folder = Path(self.exits.enter_context(tempfile.TemporaryDirectory()))
        writer = self.exits.enter_context(SqlRegistry.open_writer(folder / "registry.db"))
        self.site = Site(folder, writer)
        self.every: list[NewItem] = []

    def teardown(self) -> None:
        self.exits.close()

    @rule(count=st.integers(1, 3))
    def register(self, count: int) -> None:
        self.every += self.site.register(count)

    @precondition(lambda self: self.site.present)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.site.present) - 1))
        self.site.withdraw(list(self.site.present)[place])

    @precondition(lambda self: self.site.present)
    @rule(data=st.data(), state=st.sampled_from(ItemState))
    def set_state(self, data: st.DataObject, state: ItemState) -> None:
        item_id = data.draw(st.sampled_from(sorted(self.site.present)))
        self.site.set_state(item_id, state)

    @rule()
    def rebuild(self) -> None:
        rebuild(self.site.writer, self.site.index_dir)

    @rule()
    def compact(self) -> None:
        compacted = compact(self.site.writer, self.site.index_dir)
        assert compacted.items == len(self.site.present) - len(self.site.hidden)

    @rule()
    def restart(self) -> None:
        self.site.restart()

    @precondition(lambda self: self.every)
    @rule()
    def step_and_look_up(self) -> None:
        self.site.follower.step()
        matchable = self.site.present.keys() - self.site.hidden
        assert self.site.matching(self.every) == matchable
        assert self.site.live.status().items == len(matchable)

    @invariant()
    def index_is_never_ahead_of_the_registry(self) -> None:
        assert self.site.live.cursor.sequence <= self.site.writer.head().sequence


TestSiteMachine = SiteMachine.TestCase
TestSiteMachine.settings = settings(max_examples=FEW, stateful_step_count=20)
