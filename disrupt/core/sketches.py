"""Sketches count lookups near an item by disguised hashes, of which only distances can be told.

A sketch is in memory only, and is of one day. It holds no hash that anybody looked up: each is
disguised under the secret of the day, and only those that are far from all others are kept.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BITS, MAX_DISTANCE_BITS

FAR_BITS = 2 * MAX_DISTANCE_BITS
"""Two lookups that are farther from each other cannot both be near to one stored hash."""

SKETCH_SECRET_BYTES = 32


class Disguise:
    """Permutation of a hash's bits and a mask over them, drawn from a secret for one day.

    Distances stay as they are. Whoever has the secret can undo it: it protects what is written down
    by mistake, in a log or a message, and not the memory of the process.
    """

    def __init__(self, secret: bytes, day: str) -> None:
        """Derive the disguise of a day from ``secret``, 32 random bytes."""
        seed = hmac.digest(secret, b"disrupt sketch\0" + day.encode(), hashlib.sha256)
        drawn = np.random.Generator(np.random.Philox(key=np.frombuffer(seed[:16], np.uint64)))
        self.day = day
        self._order = drawn.permutation(HASH_BITS)
        mask = hashlib.sha256(b"mask\0" + seed).digest()
        self._mask = np.frombuffer(mask, np.uint8)

    def __call__(self, hashes: NDArray[np.uint8]) -> list[bytes]:
        """Return the disguised hashes of ``hashes``, uint8 (n, 32)."""
        bits = np.unpackbits(hashes, axis=1)[:, self._order]
        return [packed.tobytes() for packed in np.packbits(bits, axis=1) ^ self._mask]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A lookup that was near to an item: who asked, and its disguised hash.

    ``limit`` is how many far ones of one organisation are counted for an item of its kind.
    """

    item_id: bytes
    organisation: str
    disguised: bytes
    limit: int


@dataclass(slots=True)
class Sketch:
    """Lookups near to items that are far from each other, by item and organisation, of one day.

    At most ``limit`` of an item and an organisation, and ``most`` in all: then those of the item
    and organisation that were seen least recently are forgotten. For one thread at a time.
    """

    most: int
    day: str = ""
    _far: OrderedDict[tuple[bytes, str], list[int]] = field(default_factory=OrderedDict)
    _held: int = 0

    def begin(self, day: str) -> None:
        """Forget everything if the day is another one."""
        if day != self.day:
            self.day = day
            self._far.clear()
            self._held = 0

    def add(self, sighting: Sighting) -> bool:
        """Count a lookup if it is far from all that were counted for its item and organisation."""
        place = (sighting.item_id, sighting.organisation)
        far = self._far.setdefault(place, [])
        self._far.move_to_end(place)
        value = int.from_bytes(sighting.disguised)
        if len(far) >= sighting.limit or any(
            (value ^ counted).bit_count() <= FAR_BITS for counted in far
        ):
            return False
        far.append(value)
        self._held += 1
        while self._held > self.most and len(self._far) > 1:
            _, forgotten = self._far.popitem(last=False)
            self._held -= len(forgotten)
        return True

    def count(self, item_id: bytes, organisation: str) -> int:
        """Return how many far lookups of an organisation were near to an item."""
        return len(self._far.get((item_id, organisation), ()))
