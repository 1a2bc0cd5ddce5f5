"""Mirrors: copies of some banks that platforms keep by the feed, and what is known of each."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from disrupt.core.media import Assurance, MediaKind
    from disrupt.core.policy import ApiKey

VERSION_CHARACTERS_MAX = 40


@dataclass(frozen=True, slots=True)
class FeedBank:
    """A bank as the feed names it; ``max_distance_bits`` is inclusive."""

    name: str
    max_distance_bits: int


@dataclass(frozen=True, slots=True, eq=False)
class FeedItem:
    """An item as the feed brings it, in the bank of this name.

    ``fingerprints`` has dtype FINGERPRINT, shape (n,), n ≥ 1; ``below_bits`` u8 (n,), as those of
    ``media.StoredItem``.
    """

    item_id: bytes
    bank: str
    kind: MediaKind
    assurance: Assurance
    fingerprints: NDArray[np.void]
    below_bits: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class FeedPage:
    """A page of the feed: what each item is after it, None where it is gone, by item id.

    ``cursor`` is the text with which the next page is asked for. ``answered_at_s`` is the hotline's
    time (s since 1970), ``max_age_s`` the age at which a mirror has to stop answering.
    """

    items: Mapping[bytes, FeedItem | None]
    cursor: str
    caught_up: bool
    banks: Sequence[FeedBank]
    answered_at_s: int
    max_age_s: int

    def joined(self, later: FeedPage) -> FeedPage:
        """Return both pages as one."""
        return FeedPage(
            {**self.items, **later.items},
            later.cursor,
            later.caught_up,
            later.banks,
            later.answered_at_s,
            later.max_age_s,
        )


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment by the clocks of one machine.

    ``boot`` tells its starts apart; ``boot_s`` is the time since, by a clock that nobody sets;
    ``clock_s`` that of the clock, since 1970.
    """

    boot: str
    boot_s: float
    clock_s: float

    def age_s(self, now: Moment) -> float:
        """Return the time until ``now``; infinite where clocks that were set do not show it."""
        if self.boot == now.boot:
            return now.boot_s - self.boot_s
        return now.clock_s - self.clock_s if now.clock_s >= self.clock_s else math.inf


@dataclass(frozen=True, slots=True)
class MirrorState:
    """How far a mirror has come, as its registry has it.

    ``cursor`` is the text to go on with, empty at the beginning; ``bank_names`` those of the feed.
    Items up to the number ``passed`` are of before the feed was begun anew; those that do not come
    again go once all is read; 0: there are none. ``level`` is when the mirror last had all changes,
    by its own clocks, ``level_at_s`` by the hotline's (s since 1970); None and 0 before that.
    ``max_age_s`` is the hotline's, 0 while it is not known.
    """

    cursor: str
    bank_names: frozenset[str]
    passed: int
    level: Moment | None
    level_at_s: int
    max_age_s: int

    def age_s(self, now: Moment) -> float:
        """Return the time since this mirror had all changes; infinite where that is unknown."""
        return self.level.age_s(now) if self.level else math.inf


@dataclass(frozen=True, slots=True)
class MirrorReport:
    """The newest report of a mirror, by the key with which it reads; times in s since 1970.

    ``level_s`` is when it had all changes, 0: never. What was withdrawn before ``clean_s`` is in no
    file of it.
    """

    key_id: str
    reported_s: int
    level_s: int
    clean_s: int
    version: str


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """A program that reads the feed: its key, and the report of it, None where it never reported.

    ``behind_s`` bounds the age of the oldest withdrawn hash that its files may hold. Who reports
    nothing is as late as its key is old: nobody knows what it holds. ``has_ended``: the key is
    valid no more.
    """

    key: ApiKey
    report: MirrorReport | None
    behind_s: int
    has_ended: bool
