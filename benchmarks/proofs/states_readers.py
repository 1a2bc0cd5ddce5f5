"""The readers of the proof of states: workers that follow a registry, and mirrors of its feed."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import ExitStack

import numpy as np

from benchmarks.proofs.states_model import Difference, Seen
from disrupt.core.changes import Cursor
from disrupt.core.media import StoredItems
from disrupt.core.policy import FIRST_BANKS
from disrupt.data_directory import DataDirectory
from disrupt.feed.follower import Follower
from disrupt.index.columns import Hits
from disrupt.index.live import LiveIndex
from disrupt.registry import opening
from disrupt.registry.contract import NewItem, RegistryReader
from disrupt.wire import feed as wire

_BANK_NAMES = {bank.number: bank.name for bank in FIRST_BANKS}
_BANK_NUMBERS = {bank.name: bank.number for bank in FIRST_BANKS}


class Worker:
    """A live index and its follower, which read the registry as a worker's do."""

    def __init__(self, directory: DataDirectory) -> None:
        self._stack = ExitStack()
        reader = self._stack.enter_context(opening.reading(directory))
        self.live = LiveIndex()
        self._follower = Follower(reader, self.live, directory.index)
        self._follower.step()

    def close(self) -> None:
        """Close the registry."""
        self._stack.close()

    def follow(self) -> None:
        """Take up what is published, and apply every change."""
        self._follower.step()

    def finds(self, items: Collection[NewItem]) -> list[Seen]:
        """Return what lookups of these items find, sorted, as often as found."""
        own = np.unique([item.fingerprints["hash"][0] for item in items], axis=0)
        return seen(self.live.search(own, 0))


class Mirror:
    """A copy of the list, or of one bank of it, by the messages of FeedService.

    It takes nothing twice.
    """

    def __init__(self, bank: int | None = None) -> None:
        self.bank = bank
        self.items: dict[bytes, Seen] = {}
        self._cursor: Cursor | None = None

    def read(self, registry: RegistryReader, size: int) -> bool:
        """Read a page; return False if there was none. Raises Difference."""
        after = self._cursor or Cursor(registry.head().epoch, 0)
        banks = None if self.bank is None else [self.bank]
        changes, self._cursor = registry.changes(after, size, banks)
        for change in wire.page(changes, _BANK_NAMES, "", caught_up=False).changes:
            if not change.HasField("added"):
                self.items.pop(change.removed.item_id, None)
            elif change.added.item_id in self.items:
                raise Difference("the mirror is given an item that it has")
            else:
                bank = _BANK_NUMBERS[change.added.bank]
                item_id = change.added.item_id
                self.items[item_id] = (item_id, bank, change.added.assurance)
        return bool(changes)


def mirrors() -> list[Mirror]:
    """Return a mirror of all banks, and one of each."""
    return [Mirror(), *(Mirror(bank.number) for bank in FIRST_BANKS)]


def seen(columns: Hits | StoredItems) -> list[Seen]:
    """Return what columns say of items, sorted."""
    rows = zip(columns.item_id, columns.bank.tolist(), columns.assurance.tolist(), strict=True)
    return sorted((item_id.tobytes(), bank, assurance) for item_id, bank, assurance in rows)
