"""The part of the registry's contract for acts on all items that conditions name."""

from collections.abc import Collection
from typing import Protocol

from disrupt.core.acts import Act
from disrupt.core.review import Done, ItemCounts, ItemFilter
from disrupt.core.states import ItemState

ITEMS_OF_ACT_MAX = 100_000
"""Most items that conditions may name for an act: some seconds, in which nobody else writes."""


class BulkReader(Protocol):
    """Reading for acts on many items, as ``contract.RegistryReader`` reads."""

    def count_items(self, wanted: ItemFilter) -> ItemCounts:
        """Count what conditions name. May look at every item."""

    def count_hidden(self, *, since_s: int) -> int:
        """Count the items that staff hid since a time (seconds since 1970), and that still are.

        And those that they moved: to platforms whose keys do not name the other bank, these are
        hidden, too.
        What an act on many hid more than ``UNDO_WITHIN_S`` ago is left out.
        """


class BulkWriter(BulkReader, Protocol):
    """Writing of acts on many items, as ``contract.RegistryWriter`` writes."""

    def set_all_states(
        self, wanted: ItemFilter, state: ItemState, act: Act, *, expected: int
    ) -> Done:
        """Set the state of all items that conditions name, with one act for those that it changes.

        The act names the one bank, the case and the key that they have in common by the conditions.
        ItemsChangedError unless they name ``expected`` items, LimitExceededError if these are more
        than ``ITEMS_OF_ACT_MAX``: nothing is changed then. In the feed as ``set_states``.
        """

    def undo(self, number: int, act: Act, *, banks: Collection[int]) -> Done:
        """Give items in ``banks`` the states back that an act on many took, and note that.

        Left as they are: items that were withdrawn or renewed since, that staff have decided on by
        ``set_states``, or that have another state now. Those are not given back later either, so
        that a second call changes nothing. NotFoundError if there is no such act on many, or it was
        on another bank; UndoTooLateError ``UNDO_WITHIN_S`` after it.
        """

    def forget(self, *, day: str, at_s: int) -> bool:
        """Erase what is kept for some days: tags, and what acts would need to be undone.

        ``TAGGED_DAYS`` before a day (ISO date, UTC), and ``UNDO_WITHIN_S`` before a time. Tells
        whether more is left: then call again.
        """
