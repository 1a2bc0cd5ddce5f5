"""The role of items: what staff see of them and decide, and what waits by a rule."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from disrupt.core.acts import Act, ActRecord
from disrupt.core.changes import Cursor
from disrupt.core.media import ItemState, StateReason, StateRecord
from disrupt.core.review import CaseFilter, ItemFilter, ReviewedCase, ReviewedItem

ROWS_AT_ONCE = 5_000
"""Most items or cases that a read for staff looks at: some tens of milliseconds."""


@dataclass(frozen=True, slots=True)
class Negatives:
    """Hashes of well-known harmless pictures: uint8 (n, 32), and the label of each."""

    hashes: NDArray[np.uint8]
    labels: tuple[str, ...]


class ItemReader(Protocol):
    """Read items of whatever case, the log of acts, and the negative bank."""

    def states(self, item_ids: Collection[bytes]) -> tuple[StateRecord, ...]:
        """Return the states of these items, by number. NotFoundError as for ``set_states``."""

    def count_states(self) -> Mapping[ItemState, int]:
        """Return how many items are in each state but LIVE; withdrawn ones are in none."""

    def reviewed_items(
        self, wanted: ItemFilter, before: int | None, limit: int
    ) -> tuple[Sequence[ReviewedItem], int]:
        """Return up to ``limit`` (≥ 1) items, newest first, and the number before which to go on.

        ``before`` is that number, None for the newest. Looks at ``ROWS_AT_ONCE`` numbers, so that
        there may be none though more follow; 0 at the end. NotFoundError where ``case_of`` is no
        item, or a withdrawn one.
        """

    def reviewed(self, item_ids: Collection[bytes]) -> Sequence[ReviewedItem]:
        """Return those of these items that are there and not withdrawn, by number."""

    def reviewed_cases(
        self, wanted: CaseFilter, before: int | None, limit: int
    ) -> tuple[Sequence[ReviewedCase], int]:
        """Return up to ``limit`` (≥ 1) cases, newest first; as ``reviewed_items``.

        Those of which an item is in one of the banks, or that have none left. Counts are of items
        in these banks.
        """

    def acts(self, after: int, limit: int) -> Sequence[ActRecord]:
        """Return up to ``limit`` (≥ 1) acts after a number, 0 for the first, oldest first.

        Fewer where their subjects have more than ``BYTES_AT_ONCE``; none after the newest.
        """

    def negatives(self) -> Negatives:
        """Return all hashes of harmless pictures, in the order of their hashes."""


class ItemWriter(Protocol):
    """Change the state, bank and assurance of items, and the negative bank."""

    def set_states(
        self,
        item_ids: Collection[bytes],
        state: ItemState,
        *,
        day: str,
        act: Act,
        reason: StateReason | None = None,
    ) -> Cursor:
        """Change the state of items, of whatever case, and return a cursor that includes that.

        Idempotent: an item that has the state is not changed, but for a ``reason`` other than its
        own, which readers of the feed do not see. The subject of the act gets ``items`` (those that
        were changed) and ``reason``. A case of which all items are DISABLED for a reason that is a
        rejection becomes REJECTED, and one that is REJECTED, and has another item now, ACTIVE.
        NotFoundError if any id is of no item, or of an erased one; then nothing is changed. States
        are kept in the database only: a restored backup has those of its time.
        """

    def move_items(self, item_ids: Collection[bytes], bank: int, *, act: Act) -> Cursor:
        """Move items, of whatever case, to another bank; return a cursor that includes that.

        An item keeps number, id and state. Readers of both banks see it leave the one, then come
        into the other; readers of one bank see the half of that. Idempotent. One act for each bank
        that is left: its subject gets ``items``, ``left`` and ``bank``. NotFoundError as for
        ``set_states``, InvalidRequestError if there is no such bank; then nothing is changed.
        """

    def confirm_items(self, item_ids: Collection[bytes], *, act: Act) -> Cursor:
        """Let the assurance of items be REVIEWED; return a cursor that includes that.

        Readers of the feed see a LIVE item go, and come with the assurance. Idempotent. The subject
        of the act gets ``items``. NotFoundError as for ``set_states``.
        """

    def hide(self, item_id: bytes, reason: StateReason, *, day: str, at_s: int) -> bool:
        """Let an item wait for review from ``at_s`` on; tell whether it does. An act of the server.

        It does not if it is not LIVE, may not be hidden (``core.waiting``), was REVIEWED, or has
        waited for this reason before. An item that is erased or not there does not either.
        """

    def release(self, until_s: int, *, day: str, at_s: int, limit: int) -> tuple[bytes, ...]:
        """Make up to ``limit`` items LIVE that wait by a rule since the hour of ``until_s``.

        Or since an earlier one. Returns their ids; the oldest come first. An act of the server.
        What was reported of them before does not count any more. Items that wait for another
        reason, as by their bank's rule or as staff decided, go on waiting.
        """

    def add_negatives(self, negatives: Negatives, *, day: str, act: Act) -> int:
        """Add hashes of harmless pictures; return how many are new. The others keep their label.

        The subject of the act gets ``labels``, and ``hashes``, how many are new.
        """

    def remove_negatives(self, label: str, *, act: Act) -> int:
        """Remove the hashes of a label; return how many there were. The act as above."""
