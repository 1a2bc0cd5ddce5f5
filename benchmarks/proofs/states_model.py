"""The model of the proof of states: what a registry has to hold, in plain dictionaries."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from disrupt.core.media import FINGERPRINT, Assurance, ItemState, MediaKind
from disrupt.registry.contract import NewItem

_REMEMBERED = 60
"""Items that are gone which the model remembers: lookups and files are searched for each."""

Seen = tuple[bytes, int, int]
"""Id, bank and assurance of an item."""


class Difference(Exception):  # noqa: N818 what it is, and no error of this program
    """A reader got something else than the model says."""


def compare(what: str, read: object, expected: object) -> None:
    """Raise Difference if what was read is not what was expected."""
    if read != expected:
        raise Difference(f"{what}: {read!r} instead of {expected!r}")


@dataclass(frozen=True, eq=False)
class Item:
    """An item of the model."""

    stored: NewItem
    case: str
    bank: int
    state: ItemState = ItemState.LIVE
    assurance: Assurance = Assurance.SELF_REPORTED

    @property
    def seen(self) -> Seen:
        """Id, bank and assurance, which readers get of the item."""
        return self.stored.item_id, self.bank, self.assurance


class Model:
    """Items that are registered, and those that are gone. Draws items at random."""

    def __init__(self, chance: random.Random) -> None:
        self.items: dict[bytes, Item] = {}
        """Registered items of any state, by id."""
        self.gone: list[NewItem] = []
        """Items that were withdrawn, or lost by a restore, the newest last."""
        self._withdrawn: set[bytes] = set()
        self._chance = chance

    def live(self) -> list[Seen]:
        """Return what readers get of all LIVE items, sorted."""
        return sorted(item.seen for item in self.items.values() if item.state == ItemState.LIVE)

    def states(self) -> dict[bytes, ItemState]:
        """Return the state of each item by id."""
        return {item_id: item.state for item_id, item in self.items.items()}

    def add(self, item: Item) -> None:
        """Add an item."""
        self.items[item.stored.item_id] = item

    def change(self, item_ids: Collection[bytes], **fields: Any) -> None:  # noqa: ANN401 replace's
        """Replace fields of items."""
        for item_id in item_ids:
            self.items[item_id] = replace(self.items[item_id], **fields)

    def withdraw(self, item: Item) -> None:
        """Remove an item for ever."""
        del self.items[item.stored.item_id]
        self._withdrawn.add(item.stored.item_id)
        self.gone = [*self.gone, item.stored][-_REMEMBERED:]

    def restore(self, backup: Mapping[bytes, Item]) -> None:
        """Bring back the items of a backup, but for those that were withdrawn since."""
        lost = [item.stored for item_id, item in self.items.items() if item_id not in backup]
        self.items = {
            item_id: item for item_id, item in backup.items() if item_id not in self._withdrawn
        }
        # A later backup brings back what an earlier one lacked.
        gone = [item for item in self.gone if item.item_id not in self.items]
        self.gone = [*gone, *lost][-_REMEMBERED:]

    def any_item(self) -> Item | None:
        """Draw an item; None if there is none."""
        return self.items[self._chance.choice([*self.items])] if self.items else None

    def some_ids(self) -> list[bytes]:
        """Draw the ids of up to four items."""
        return self._chance.sample([*self.items], min(len(self.items), self._chance.randint(1, 4)))

    def new_item(self) -> NewItem:
        """Make a picture that nobody has registered, with one hash."""
        return NewItem(self._chance.randbytes(16), MediaKind.IMAGE, self.row(plan=0, ordinal=0))

    def row(self, plan: int, ordinal: int) -> NDArray[np.void]:
        """Make a fingerprint with a random hash: dtype FINGERPRINT, shape (1,)."""
        row = np.zeros(1, FINGERPRINT)
        row["hash"] = np.frombuffer(self._chance.randbytes(32), np.uint8)
        row["plan"], row["ordinal"] = plan, ordinal
        return row
