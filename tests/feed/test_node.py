"""A machine that follows the registry of others: its list of removals, and other registries."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from disrupt.core.policy import MINORS
from disrupt.data_directory import HEAD_NOTE, DataDirectory
from disrupt.errors import OtherHistoryError
from disrupt.feed import node
from disrupt.feed.follower import Follower
from disrupt.feed.node import Node, read_followed, wipe_if_away
from disrupt.feed.removals import RemovalList
from disrupt.index.generations import generations, served
from disrupt.index.live import LiveIndex
from disrupt.registry import head_note, journal, sqlite
from disrupt.registry.backup import bring_up_to_date
from disrupt.registry.records import NewItem
from disrupt.registry.registry import RegistryReader, RegistryWriter
from disrupt.upkeep import rebuild
from disrupt.upkeep.rebuild import Rebuilt
from rig.media.codes import search
from rig.media.registrations import ACT, DAY, api_key, item_of, new_item, registration

_H = 3600.0


class OnTimeline:
    """A registry that says on which timeline it is."""

    def __init__(self, reader: RegistryReader, timeline: int) -> None:
        self._reader = reader
        self._timeline = timeline

    def __getattr__(self, name: str) -> object:
        return getattr(self._reader, name)

    def timeline(self) -> int:
        return self._timeline


class Site:
    """A machine that writes, and one that follows it."""

    def __init__(self, folder: Path) -> None:
        self.chance = random.Random(5)
        self.writing = DataDirectory(folder / "writer")
        self.node = DataDirectory(folder / "node")
        for directory in (self.writing, self.node):
            directory.make()
        self.writing.secrets()
        with self.writer():
            pass

    def writer(self, *, restoring: bool = False) -> AbstractContextManager[RegistryWriter]:
        return sqlite.open_writer(self.writing.registry, restoring=restoring)

    def register(self, *items: NewItem) -> tuple[NewItem, str]:
        """Register items, or a new one, into a new case; return the first, and the case."""
        wanted = items or (new_item(self.chance),)
        with self.writer() as writer:
            done = writer.register(registration(self.chance, None, *wanted), day=DAY)
        return wanted[0], done.case_number

    def withdraw(self, case_number: str) -> None:
        with self.writer() as writer:
            writer.withdraw(case_number, None, day=DAY)

    def follow(self, timeline: int = 1) -> None:
        """Follow once, as a process that has just started does."""
        with sqlite.open_reader(self.writing.registry) as reader:
            self.following(OnTimeline(reader, timeline)).step()  # type: ignore[arg-type]

    def following(self, reader: RegistryReader) -> Node:
        return Node(reader, self.node, RemovalList(self.node.journal))

    def listed(self) -> set[journal.Record]:
        return set(RemovalList(self.node.journal).contents().records)

    def copy(self) -> Path:
        """Copy the registry of now, as a backup."""
        copied = self.writing.path.with_name("copy.db")
        shutil.copy(self.writing.registry, copied)
        return copied

    def put_back(self, copied: Path) -> None:
        """Put a copy of the registry in its place, and lose what lay beside it."""
        for path in self.writing.path.glob("re*"):
            path.unlink()
        shutil.copy(copied, self.writing.registry)


def finds(live: LiveIndex, code: NDArray[np.uint8]) -> bool:
    return len(search(live, code[None], 0)) > 0


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_the_list_is_that_of_the_registry_and_goes_on_with_it(site: Site) -> None:
    picture = item_of(site.chance, 1)
    _, case_number = site.register(picture)
    _, other = site.register()
    with sqlite.open_reader(site.writing.registry) as reader:
        node = site.following(reader)
        for act in range(4):
            node.step()
            contents = journal.read(site.writing.journal)
            assert contents is not None
            assert site.listed() == set(contents.records)
            with site.writer() as writer:
                if act == 0:  # renewed
                    newer = item_of(site.chance, 1)
                    again = registration(site.chance, case_number, newer, bank=MINORS.number)
                    writer.register(again, day=DAY)
                elif act == 1:
                    writer.withdraw(other, None, day=DAY)
                elif act == 2:
                    writer.add_key(api_key("a2345678"), act=ACT)
                    writer.revoke_key("a2345678", day=DAY, act=ACT)
    site.follow()  # and compares all of it
    size = site.node.journal.stat().st_size
    site.follow()
    assert site.node.journal.stat().st_size == size


def test_the_index_is_built_before_the_first_lookup(site: Site) -> None:
    item, _ = site.register()
    site.follow()
    live = LiveIndex()
    with sqlite.open_reader(site.writing.registry) as reader:
        Follower(reader, live, site.node.index).step()
    assert finds(live, item.fingerprints["hash"][0])


@pytest.mark.parametrize(("away_h", "wiped"), [(0, False), (23.9, False), (24.1, True), (-1, True)])
def test_a_machine_that_was_away_too_long_begins_without_an_index(
    site: Site, monkeypatch: pytest.MonkeyPatch, away_h: float, wiped: bool
) -> None:
    site.follow()
    now_s = time.time() + away_h * _H
    monkeypatch.setattr("disrupt.feed.node.time.time", lambda: now_s)
    assert wipe_if_away(site.node, 24 * _H) is wiped
    assert site.node.index.exists() is not wiped


def test_so_does_one_that_does_not_know_how_long_it_was_away(site: Site) -> None:
    site.follow()
    site.node.followed.write_text("{}")
    assert wipe_if_away(site.node, 24 * _H)
    site.follow()
    assert read_followed(site.node.followed)
    assert served(site.node.index)


def test_an_older_copy_is_followed_only_once_it_lacks_what_was_removed(site: Site) -> None:
    kept, _ = site.register()
    gone, case_number = site.register()
    copied = site.copy()
    site.register()
    site.follow()
    site.withdraw(case_number)
    site.follow()
    before = generations(site.node.index)

    site.put_back(copied)  # nobody has opened it yet
    with pytest.raises(OtherHistoryError, match="newest changes are gone"):
        site.follow()
    with site.writer() as writer:  # somebody has, without the list
        writer.begin_epoch()
    with pytest.raises(OtherHistoryError, match="has 1 items or keys that were removed"):
        site.follow()
    assert generations(site.node.index) == before

    bring_up_to_date(site.writing.path, RemovalList(site.node.journal).contents().records)
    site.follow()
    assert served(site.node.index) > before[0]
    live = LiveIndex()
    with sqlite.open_reader(site.writing.registry) as reader:
        Follower(reader, live, site.node.index).step()
    assert finds(live, kept.fingerprints["hash"][0])
    assert not finds(live, gone.fingerprints["hash"][0])


def test_an_index_is_published_once_its_registry_is_noted_as_the_newest(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.register()
    copied = site.copy()
    site.register()
    site.follow()
    site.put_back(copied)
    with site.writer() as writer:
        writer.begin_epoch()
        epoch = writer.head().epoch
    noted = []

    def build(reader: RegistryReader, index: Path) -> Rebuilt:
        noted.append(head_note.read(site.node.path / HEAD_NOTE))
        return rebuild.build(reader, index)

    monkeypatch.setattr(node, "build", build)
    site.follow()
    assert [head and head.epoch for head in noted] == [epoch]


def test_a_key_that_was_revoked_is_missed_in_an_older_copy(site: Site) -> None:
    with site.writer() as writer:
        writer.add_key(api_key("a2345678"), act=ACT)
    copied = site.copy()
    with site.writer() as writer:
        writer.revoke_key("a2345678", day=DAY, act=ACT)
    site.follow()
    site.put_back(copied)
    with site.writer() as writer:
        writer.begin_epoch()
    with pytest.raises(OtherHistoryError, match="has 1 items or keys that were removed"):
        site.follow()


def test_a_promotion_is_followed_and_the_primary_before_it_no_more(site: Site) -> None:
    site.register()
    site.follow(timeline=1)
    former = site.copy()
    with site.writer() as writer:
        writer.begin_epoch()
    site.follow(timeline=2)
    followed = read_followed(site.node.followed)
    assert followed
    assert followed.timeline == 2
    site.put_back(former)
    with pytest.raises(OtherHistoryError, match="a primary that was replaced"):
        site.follow(timeline=1)


class Lookups:
    """A process of the node that answers lookups from the registry of the moment."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.live = LiveIndex()
        self.timeline = 1
        with self._reading() as reader:
            self._follower = Follower(reader, self.live, site.node.index, outlives_registry=True)

    @contextmanager
    def _reading(self) -> Iterator[RegistryReader]:
        with sqlite.open_reader(self.site.writing.registry) as reader:
            yield OnTimeline(reader, self.timeline)  # type: ignore[misc]

    def step(self) -> bool:
        """Make a step; return whether that brought it level."""
        with self._reading() as reader:
            self._follower._reader = reader
            began_s = time.monotonic()
            self._follower.step()
        return self._follower.behind_s(time.monotonic()) <= time.monotonic() - began_s


@pytest.fixture
def lookups(site: Site) -> Lookups:
    site.register()
    site.follow()
    lookups = Lookups(site)
    assert lookups.step()
    return lookups


def test_lookups_follow_a_promotion_at_once_and_then_its_index(
    site: Site, lookups: Lookups
) -> None:
    with site.writer() as writer:
        writer.begin_epoch()
    lookups.timeline = 2
    lookups.step()
    item, case_number = site.register()
    assert lookups.step()
    assert finds(lookups.live, item.fingerprints["hash"][0])
    site.follow(timeline=2)
    site.withdraw(case_number)
    assert lookups.step()
    assert not finds(lookups.live, item.fingerprints["hash"][0])
    assert lookups.live.snapshot.generation == served(site.node.index) == 2


@pytest.mark.parametrize("is_replaced", [True, False])
def test_lookups_do_not_go_back_to_an_older_registry(
    site: Site, lookups: Lookups, is_replaced: bool
) -> None:
    former = site.copy()
    item, _ = site.register() if not is_replaced else (None, "")
    assert lookups.step()
    if is_replaced:  # and the primary before it is as new
        with site.writer() as writer:
            writer.begin_epoch()
        lookups.timeline = 2
        lookups.step()
        assert lookups.step()
        lookups.timeline = 1
    site.put_back(former)
    if not is_replaced:
        with site.writer() as writer:
            writer.begin_epoch()
    assert not lookups.step()
    if item:
        assert finds(lookups.live, item.fingerprints["hash"][0])


def test_a_damaged_list_is_completed_from_the_registry(site: Site) -> None:
    for _ in range(3):
        site.withdraw(site.register()[1])
    site.follow()
    whole = site.listed()
    content = bytearray(site.node.journal.read_bytes())
    content[100] ^= 1
    site.node.journal.write_bytes(content[:-1])
    site.follow()
    assert site.listed() == whole
