"""Pages of changes: how much is read for them, and how much memory they take."""

from __future__ import annotations

import asyncio
import random
import secrets
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from disrupt.core.changes import Cursor
from disrupt.core.media import ItemState
from disrupt.core.policy import ADULTS, ApiKey, Right
from disrupt.registry.contract import RegistryReader
from disrupt.registry.sql import SqlRegistry
from disrupt.server.calls.feed import FeedServicer
from disrupt.server.calls.interceptors import caller
from disrupt.services.cursors import SealedCursors
from disrupt.v1 import feed_pb2
from tests.registry.examples import ACT, DAY, new_item, registration

_CONTEXT: Any = None
_MIB = 2**20
_KEY = ApiKey("k", "mirror", bytes(32), frozenset([Right.FEED]), frozenset([ADULTS.number]), DAY)
_FOLLOWING: Any = SimpleNamespace(
    ring=SimpleNamespace(bank_names={ADULTS.number: ADULTS.name}, banks=(ADULTS,))
)


class Counting:
    """A registry that counts how often changes are read."""

    def __init__(self, registry: RegistryReader) -> None:
        self.head = registry.head
        self.reads = 0
        self._changes = registry.changes

    def changes(self, after: Cursor, limit: int, banks: frozenset[int]) -> object:
        self.reads += 1
        return self._changes(after, limit, banks)


def test_a_page_that_is_full_or_the_last_is_read_at_once(tmp_path: Path) -> None:
    chance = random.Random(2)
    items = [new_item(chance) for _ in range(3)]
    with SqlRegistry.open_writer(tmp_path / "registry.db") as writer:
        writer.register(registration(chance, None, *items), day=DAY)
        reader: Any = Counting(writer)
        servicer = FeedServicer(reader, _FOLLOWING, SealedCursors(secrets.token_bytes(32)))
        caller.set(_KEY)
        for page_size, changes, caught_up in ((1, 1, False), (3, 3, True), (4, 3, True)):
            reader.reads = 0
            request = feed_pb2.ListChangesRequest(page_size=page_size)
            page = asyncio.run(servicer.ListChanges(request, _CONTEXT))
            assert (len(page.changes), page.caught_up, reader.reads) == (changes, caught_up, 1)


class Mirror:
    """A copy of the list that takes nothing twice, and reads a page now and then."""

    def __init__(self, servicer: FeedServicer) -> None:
        self.items: set[bytes] = set()
        self._servicer = servicer
        self._cursor = ""

    def read_page(self, size: int) -> bool:
        """Read the next page; tell whether nothing follows it."""
        request = feed_pb2.ListChangesRequest(cursor=self._cursor, page_size=size)
        page = asyncio.run(self._servicer.ListChanges(request, _CONTEXT))
        assert len(page.changes) <= size
        for change in page.changes:
            if change.HasField("added"):
                assert change.added.item_id not in self.items
                assert change.added.fingerprints.ByteSize()
                self.items.add(change.added.item_id)
            else:
                self.items.discard(change.removed.item_id)
        self._cursor = page.next_cursor
        return page.caught_up


@pytest.mark.parametrize("seed", range(3))
def test_mirrors_have_what_is_live_however_late_they_read_and_are_given_nothing_twice(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    present = dict[bytes, tuple[str, ItemState]]()
    with SqlRegistry.open_writer(tmp_path / "registry.db") as writer:
        servicer = FeedServicer(writer, _FOLLOWING, SealedCursors(secrets.token_bytes(32)))
        caller.set(_KEY)
        mirrors = [Mirror(servicer) for _ in range(4)]
        for _ in range(120):
            act = chance.random()
            if act < 0.3 or not present:
                done = writer.register(registration(chance), day=DAY)
                present[done.items[0].item_id] = done.case_number, ItemState.LIVE
            elif act < 0.4:
                item_id = chance.choice(sorted(present))
                writer.withdraw(present.pop(item_id)[0], [item_id], day=DAY)
            elif act < 0.8:
                state = chance.choice([*ItemState])
                for item_id in chance.sample(sorted(present), min(2, len(present))):
                    writer.set_states([item_id], state, day=DAY, act=ACT)
                    present[item_id] = present[item_id][0], state
            else:
                mirrors[chance.randrange(3)].read_page(chance.randint(1, 9))
        for mirror in mirrors:
            while not mirror.read_page(5):
                pass
            live = {item for item, (_, state) in present.items() if state == ItemState.LIVE}
            assert mirror.items == live


@pytest.mark.slow
def test_a_page_of_the_largest_items_takes_memory_for_few_of_them(tmp_path: Path) -> None:
    chance = random.Random(1)
    path = tmp_path / "registry.db"
    with SqlRegistry.open_writer(path) as writer:
        for _ in range(5):
            largest = [new_item(chance, 8000) for _ in range(8)]
            writer.register(registration(chance, None, *largest), day=DAY)
    with SqlRegistry.open_reader(path) as reader:
        servicer = FeedServicer(reader, _FOLLOWING, SealedCursors(secrets.token_bytes(32)))
        caller.set(_KEY)
        items, pages, cursor = set[bytes](), 0, ""
        tracemalloc.start()
        try:
            while True:
                request = feed_pb2.ListChangesRequest(cursor=cursor, page_size=1000)
                page = asyncio.run(servicer.ListChanges(request, _CONTEXT))
                items |= {change.added.item_id for change in page.changes}
                pages += 1
                cursor = page.next_cursor
                if page.caught_up:
                    break
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (len(items), pages) == (40, 8)
    assert peak_bytes < 8 * _MIB  # the pages together hold 14 MiB
