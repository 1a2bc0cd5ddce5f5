"""Decide which items of a registration wait for review: harmless pictures, and floods."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray

from disrupt.core.acts import Act
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.media import MediaKind, StateReason
from disrupt.core.waiting import AT_THE_DOOR
from disrupt.distinctiveness.nearness import limits_bits
from disrupt.errors import LimitExceededError
from disrupt.index.flat import FlatIndex
from disrupt.registry.contract import Negatives, NewItem, RegistryWriter

NEGATIVES_MAX = 10_000
"""Most harmless hashes: the largest registration is compared with so many in a second."""

CERTAIN_BITS = 12
"""At so many bits two hashes are of the same picture, whatever part of it one is of."""

_HOUR_S = 3600.0
_ORIGINS_MAX = 10_000

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """Bounds beyond which what is registered waits for review (docs/policy.md)."""

    items_per_h: int = 1000
    negative_bits: int = MAX_DISTANCE_BITS
    frames_percent: int = 50
    """Least share of a video's hashes that has to be near to harmless pictures."""


@dataclass(slots=True)
class Door:
    """The rules at registration. For one thread at a time, but for ``refresh``."""

    registry: RegistryWriter
    limits: DoorLimits = field(default_factory=DoorLimits)
    _negatives: FlatIndex = field(init=False)
    _reading: threading.Lock = field(default_factory=threading.Lock, init=False)
    """Held while the negative bank is read: what is read later must not be replaced by earlier."""
    _spent: OrderedDict[tuple[str, bytes], tuple[float, float]] = field(
        default_factory=OrderedDict, init=False
    )
    """Items by organisation and origin that have not grown back as of a time, oldest first."""

    def __post_init__(self) -> None:
        """Read the negative bank."""
        self.refresh()

    def refresh(self) -> None:
        """Read the negative bank, after it was changed."""
        with self._reading:
            self._negatives = FlatIndex.of(self.registry.negatives().hashes)

    def waits(
        self, items: Sequence[NewItem], organisation: str, origin: bytes, now_s: float
    ) -> list[StateReason | None]:
        """Return for each item why it waits; ``now_s`` of one monotonic clock.

        Items beyond what ``origin`` may register in an hour wait; if it is empty, ``organisation``
        stands for all who use its keys.
        """
        room = self.limits.items_per_h - self._held(organisation, origin, now_s)
        reasons: list[StateReason | None] = []
        for at, item in enumerate(items):
            if self._is_harmless(item.kind, item.fingerprints):
                reasons.append(StateReason.HARMLESS)
            else:
                reasons.append(StateReason.FLOOD if at + 1 > room else None)
        return reasons

    def note(
        self,
        items: Sequence[NewItem],
        added: int,
        organisation: str,
        origin: bytes,
        now_s: float,
    ) -> None:
        """Count items that were ``added`` to the registry, and log those that wait."""
        spent = self._held(organisation, origin, now_s) + added
        place = (organisation, origin)
        self._spent[place] = (spent, now_s)
        self._spent.move_to_end(place)
        while len(self._spent) > _ORIGINS_MAX:
            self._spent.popitem(last=False)
        for reason in AT_THE_DOOR:
            waiting = [item.item_id.hex() for item in items if item.waits == reason]
            if waiting:
                name = reason.name.lower()
                _log.warning(
                    "registered_items_wait",
                    item_ids=waiting,
                    reason=name,
                    organisation=organisation,
                )

    def _held(self, organisation: str, origin: bytes, now_s: float) -> float:
        """Return how many items of an origin have not grown back: an hour's grow back in one."""
        spent, as_of_s = self._spent.get((organisation, origin), (0.0, now_s))
        grown = (now_s - as_of_s) * self.limits.items_per_h / _HOUR_S
        return max(0.0, spent - grown)

    def _is_harmless(self, kind: MediaKind, fingerprints: NDArray[np.void]) -> bool:
        """Tell whether an item shows a picture of the negative bank.

        A picture does if it is near to one itself, or if any version of it is so near that this
        version is that picture: a logo in a corner is in few versions, and never all of one. A
        video does if enough of its hashes are near, since any may begin with a title.
        """
        if not len(self._negatives) or not len(fingerprints):
            return False
        hashes = np.ascontiguousarray(fingerprints["hash"])
        distances = self._negatives.nearest_bits(hashes)
        near = distances <= self.limits.negative_bits
        # As in lookups: what resembles any simple shape resembles nothing for sure.
        near[near] = distances[near] <= limits_bits(hashes[near])
        if kind == MediaKind.VIDEO:
            return bool(100 * near.sum() >= self.limits.frames_percent * len(near))
        certain = near & (distances <= CERTAIN_BITS)
        return bool((near & (fingerprints["plan"] == 0)).any() or certain.any())


def add_negatives(
    registry: RegistryWriter, hashes: NDArray[np.uint8], label: str, *, day: str, act: Act
) -> int:
    """Add hashes, uint8 (n, 32), of harmless pictures; return how many are new.

    Raises LimitExceededError where there would be more than NEGATIVES_MAX.
    """
    present = {packed.tobytes() for packed in registry.negatives().hashes}
    new = {packed.tobytes() for packed in hashes} - present
    held = len(present)
    if held + len(new) > NEGATIVES_MAX:
        raise LimitExceededError(
            f"At most {NEGATIVES_MAX} hashes of harmless pictures, and there are {held}. None was"
            " added. Remove some with `disrupt negatives remove`.",
            limit=str(NEGATIVES_MAX),
        )
    return registry.add_negatives(Negatives(hashes, (label,) * len(hashes)), day=day, act=act)
