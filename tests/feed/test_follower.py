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
from disrupt.core.outcomes import MatchedVersion, MatchOutcome, OutcomeReport
from disrupt.core.states import ItemState
from disrupt.errors import OtherHistoryError, UnavailableError
from disrupt.feed.follower import Follower
from disrupt.index.generations import create_first
from disrupt.index.live import LiveIndex
from disrupt.registry import sqlite
from disrupt.registry.records import NewItem
from disrupt.registry.registry import RegistryReader, RegistryWriter
from disrupt.upkeep.rebuild import rebuild
from rig.media.codes import search
from rig.media.registrations import ACT, DAY, new_item, registration


class Site:
    """A data directory with its registry, and one process that serves it."""

    def __init__(self, folder: Path, writer: RegistryWriter) -> None:
        self.index_dir = folder / "index"
        self.writer = writer
        self.chance = random.Random(1)
        self.present: dict[bytes, NewItem] = {}
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

    def matching(self, items: Sequence[NewItem]) -> set[bytes]:
        hits = search(self.live, np.concatenate([item.fingerprints["hash"] for item in items]), 0)
        return {item_id.tobytes() for item_id in hits.item_id}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with sqlite.open_writer(tmp_path / "registry.db") as writer:
        yield Site(tmp_path, writer)


def test_one_step_takes_in_more_than_a_page(site: Site) -> None:
    items = [item for _ in range(12) for item in site.register(100)]
    site.follower.step()
    assert site.live.cursor == site.writer.head()
    assert site.matching(items) == {item.item_id for item in items}


class Watched(LiveIndex):
    """Record how far the old and the new state had come at each swap."""

    def __init__(self) -> None:
        super().__init__()
        self.swaps: list[tuple[int, int]] = []

    def replace(self, prepared: LiveIndex) -> None:
        if self.serving:
            self.swaps.append((self.cursor.sequence, prepared.cursor.sequence))
        super().replace(prepared)


def test_an_item_that_is_disputed_again_and_again_is_missing_at_no_page(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (item,) = site.register()
    site.follower.step()
    for outcome in (MatchOutcome.FALSE_POSITIVE, MatchOutcome.BLOCKED):
        version = MatchedVersion(0, 0, 20)
        site.writer.report(OutcomeReport(item.item_id, "a", outcome, b"m", (version,)), day=DAY)
        for _ in range(12):
            site.register(100)
    read, found = site.writer.changes, list[bool]()

    def look_and_read(after: Cursor, limit: int) -> tuple[Sequence[Change], Cursor]:
        found.append(item.item_id in site.matching([item]))
        return read(after, limit)

    monkeypatch.setattr(site.writer, "changes", look_and_read)
    site.follower.step()
    assert len(found) > 2
    assert all(found)
    site.writer.set_states([item.item_id], ItemState.DISABLED, ACT)
    site.follower.step()
    assert not site.matching([item])


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
    with sqlite.open_writer(tmp_path / "restored.db") as restored:
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
    """Registry, follower, rebuilds and restarts, against the plain model ``Site.present``."""

    def __init__(self) -> None:
        super().__init__()
        self.exits = ExitStack()
        folder = Path(self.exits.enter_context(tempfile.TemporaryDirectory()))
        writer = self.exits.enter_context(sqlite.open_writer(folder / "registry.db"))
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

    @rule()
    def rebuild(self) -> None:
        rebuild(self.site.writer, self.site.index_dir)

    @rule()
    def restart(self) -> None:
        self.site.restart()

    @precondition(lambda self: self.every)
    @rule()
    def step_and_look_up(self) -> None:
        self.site.follower.step()
        assert self.site.matching(self.every) == set(self.site.present)
        assert self.site.live.status().items == len(self.site.present)

    @invariant()
    def index_is_never_ahead_of_the_registry(self) -> None:
        assert self.site.live.cursor.sequence <= self.site.writer.head().sequence


TestSiteMachine = SiteMachine.TestCase
TestSiteMachine.settings = settings(max_examples=15, stateful_step_count=20)
