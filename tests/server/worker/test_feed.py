"""Pages of changes: what they show, how much is read for them, and how much memory they take."""

from __future__ import annotations

import asyncio
import random
import secrets
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from disrupt.core.acts import OPERATOR, Act, Action
from disrupt.core.policy import ADULTS, ApiKey, Right
from disrupt.core.states import ItemState
from disrupt.registry import sqlite
from disrupt.registry.registry import RegistryReader
from disrupt.server.config import Config
from disrupt.server.edge.interceptors import caller
from disrupt.server.worker.feed import FeedServicer
from disrupt.services.cursors import SealedCursors
from disrupt.v1 import feed_pb2
from rig.media.registrations import DAY, new_item, registration

_CONTEXT: Any = None
_MIB = 2**20
_KEY = ApiKey(
    "k", "mirror", "o", bytes(32), frozenset([Right.FEED]), frozenset([ADULTS.number]), DAY
)
_FOLLOWING: Any = SimpleNamespace(
    ring=SimpleNamespace(bank_names={ADULTS.number: ADULTS.name}, banks=(ADULTS,))
)
_NO_RELAY: Any = None


def feed_of(reader: RegistryReader) -> FeedServicer:
    cursors = SealedCursors(secrets.token_bytes(32))
    return FeedServicer(Config(data_dir=Path()), reader, _FOLLOWING, _NO_RELAY, cursors)


def test_a_page_of_the_largest_items_takes_memory_for_few_of_them(tmp_path: Path) -> None:
    chance = random.Random(1)
    path = tmp_path / "registry.db"
    with sqlite.open_writer(path) as writer:
        for _ in range(5):
            largest = [new_item(chance, 8000) for _ in range(8)]
            writer.register(registration(chance, None, *largest), day=DAY)
    with sqlite.open_reader(path) as reader:
        servicer = feed_of(reader)
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


def test_a_mirror_sees_a_hidden_item_go_and_a_shown_one_come(tmp_path: Path) -> None:
    item, seen = new_item(random.Random(2)), list[str | None]()
    with sqlite.open_writer(tmp_path / "registry.db") as writer:
        writer.register(registration(random.Random(3), None, item), day=DAY)
        servicer = feed_of(writer)
        caller.set(_KEY)
        cursor = ""
        for state in (ItemState.WAITING, ItemState.REJECTED, ItemState.ENABLED, ItemState.LIVE):
            request = feed_pb2.ListChangesRequest(cursor=cursor)
            page = asyncio.run(servicer.ListChanges(request, _CONTEXT))
            cursor = page.next_cursor
            seen += [change.WhichOneof("change") for change in page.changes]
            writer.set_states([item.item_id], state, Act(OPERATOR, "", Action.DISABLE, 1))
        page = asyncio.run(servicer.ListChanges(feed_pb2.ListChangesRequest(), _CONTEXT))
    assert seen == ["added", "removed", "added"]
    # From the beginning, only the newest change shows it.
    kinds = [change.WhichOneof("change") for change in page.changes]
    assert kinds == ["removed", "removed", "added"]
