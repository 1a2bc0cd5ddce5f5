"""The part of the registry's contract for items that take turns at going live.

They are WAITING with the reason LIMIT. Items with one tag of an origin, or of one key without
origins, are a queue.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol


class TurnQueue(NamedTuple):
    """A queue: the tag of an origin, else None and the id of a key.

    ``day`` (ISO, UTC) is that on which the newest of its ``items`` was registered.
    """

    origin_tag: bytes | None
    key_id: str
    day: str
    items: int


class Turn(NamedTuple):
    """An item that is to go live: its internal number, and how many hashes it has."""

    number: int
    hashes: int


class TurnReader(Protocol):
    """Reading turns, as ``contract.RegistryReader`` reads."""

    def turn_queues(self) -> Sequence[TurnQueue]:
        """Return the queues that have items."""

    def next_turns(self, queue: TurnQueue, limit: int) -> Sequence[Turn]:
        """Return the items of a queue whose turns are next, up to ``limit`` (≥ 1).

        Those whose device has paid come first. Of these, and of the others, cases take turns: an
        item goes before another if fewer of its case went live by turns, or were registered before
        it, and else if it is older.
        """


class TurnWriter(TurnReader, Protocol):
    """Writing turns, as ``contract.RegistryWriter`` writes."""

    def give_turns(self, numbers: Collection[int], *, at_s: int) -> Sequence[bytes]:
        """Make items LIVE that are WAITING, with an act of the server each; return their ids."""

    def forget_origins(self, *, day: str) -> None:
        """Delete what tags of origins of days before ``day`` (ISO, UTC) were made with."""
