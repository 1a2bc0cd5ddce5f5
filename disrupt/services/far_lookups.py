"""Find items that are near to lookups, of several organisations, that do not resemble each other.

Workers count in ``SeenLookups``, and tell the writer only of lookups that are far from all that
they have counted for that item and organisation on this day; the writer joins what it is told in
``FarLookups``.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog
from numpy.typing import NDArray

from disrupt.core.lookups import Matches
from disrupt.core.media import StateReason
from disrupt.core.sketches import Disguise, Sighting, Sketch
from disrupt.core.waiting import LookupPolicy
from disrupt.registry.contract import RegistryWriter

SIGHTINGS_AT_ONCE = 1000
"""Most lookups that a worker tells the writer of in one call, which takes it milliseconds."""

_UNTOLD_MAX = 10_000
"""Most lookups that wait to be told; the oldest are forgotten, as they are with their process."""

_COUNTED_MAX = 100_000
"""Most lookups that a process counts at a time, of some 100 bytes each."""

_MATCHES_LOOKED_AT = 64
"""Most matches of one answer that are looked at: answers in a crowd have a hundred thousand."""

_log = structlog.get_logger(__name__)


class SeenLookups:
    """What one worker counts of its lookups. Thread-safe."""

    def __init__(self, secret: bytes, policy: LookupPolicy) -> None:
        """Count under ``secret``, 32 random bytes that all processes of a server share."""
        self._secret = secret
        self._policy = policy
        self._disguise = Disguise(secret, "")
        self._sketch = Sketch(_COUNTED_MAX)
        self._untold: deque[Sighting] = deque(maxlen=_UNTOLD_MAX)
        self._lock = threading.Lock()

    def note(
        self, matches: Matches, queries: NDArray[np.uint8], organisation: str, day: str
    ) -> None:
        """Count one lookup, whatever the number of its hashes, for each item that it was near to.

        ``queries``, uint8 (n, 32), are what was searched. Of an item, the hash that was nearest
        counts, among the first matches.
        """
        if not len(matches):
            return
        item_ids = matches.item_ids[:_MATCHES_LOOKED_AT].tobytes()
        width = matches.item_ids.shape[1]
        nearest: dict[bytes, int] = {}
        by_distance = np.argsort(matches.distance_bits[:_MATCHES_LOOKED_AT], kind="stable")
        for row in by_distance.tolist():
            nearest.setdefault(item_ids[row * width : (row + 1) * width], row)
        rows = list(nearest.values())
        self.note_hashes(
            list(nearest),
            matches.kind[rows].tolist(),
            queries[matches.version[rows]],
            organisation,
            day,
        )

    def note_hashes(
        self,
        item_ids: Sequence[bytes],
        kinds: Sequence[int],
        hashes: NDArray[np.uint8],
        organisation: str,
        day: str,
    ) -> None:
        """Count one lookup for each of these items, of which ``hashes``, (n, 32), came nearest."""
        with self._lock:
            self._begin(day)
            disguised = self._disguise(hashes)
            for item_id, kind, value in zip(item_ids, kinds, disguised, strict=True):
                sighting = Sighting(item_id, organisation, value, self._policy.limit(kind))
                if self._sketch.add(sighting):
                    self._untold.append(sighting)

    def untold(self) -> tuple[str, list[Sighting]]:
        """Return the day, and the next lookups of which the writer was not told; they stay."""
        with self._lock:
            count = min(len(self._untold), SIGHTINGS_AT_ONCE)
            return self._sketch.day, [self._untold[at] for at in range(count)]

    def told(self, sightings: Sequence[Sighting]) -> None:
        """Forget lookups of which the writer was told; those of another day are forgotten."""
        with self._lock:
            told = {id(sighting) for sighting in sightings}
            while self._untold and id(self._untold[0]) in told:
                self._untold.popleft()

    def _begin(self, day: str) -> None:
        if day != self._sketch.day:
            self._sketch.begin(day)
            self._disguise = Disguise(self._secret, day)
            self._untold.clear()


@dataclass(slots=True)
class FarLookups:
    """What the writer knows of the lookups of all workers. Thread-safe."""

    registry: RegistryWriter
    policy: LookupPolicy = field(default_factory=LookupPolicy)
    _sketch: Sketch = field(default_factory=lambda: Sketch(_COUNTED_MAX), init=False)
    _convinced: defaultdict[bytes, set[str]] = field(
        default_factory=lambda: defaultdict(set), init=False
    )
    """Organisations by item that have looked up enough that is far from each other."""
    _due: set[bytes] = field(default_factory=set, init=False)
    """Items that have enough lookups, and that the registry was not told of yet."""
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def add(self, day: str, sightings: Sequence[Sighting], *, today: str, at_s: int) -> None:
        """Count lookups of a day; an item that has enough of them waits, if the registry lets it.

        Lookups of another day than ``today`` are disguised otherwise, and not counted.
        """
        if day != today:
            return
        with self._lock:
            if day != self._sketch.day:
                self._sketch.begin(day)
                self._convinced.clear()
                self._due.clear()
            self._due.update(filter(None, map(self._count, sightings)))
            due = list(self._due)
            self._due.clear()
        try:
            while due:
                self._hide(due[-1], day, at_s)
                due.pop()
        finally:
            # Where the disk is full: the worker tells again, and then this is tried again.
            with self._lock:
                self._due.update(due)

    def _count(self, sighting: Sighting) -> bytes | None:
        """Count a lookup; return the item if it has enough of them now, and had not before."""
        item_id, organisation = sighting.item_id, sighting.organisation
        counted = self._sketch.add(sighting)
        if not counted or self._sketch.count(item_id, organisation) < sighting.limit:
            return None
        convinced = self._convinced[item_id]
        was_enough = len(convinced) >= self.policy.organisations
        convinced.add(organisation)
        is_enough = len(convinced) >= self.policy.organisations
        return item_id if is_enough and not was_enough else None

    def _hide(self, item_id: bytes, day: str, at_s: int) -> None:
        waits = self.registry.hide(item_id, StateReason.MANY_LOOKUPS, day=day, at_s=at_s)
        event = "item_waits" if waits else "item_near_to_many"
        reason = StateReason.MANY_LOOKUPS.name.lower()
        _log.warning(event, item_id=item_id.hex(), reason=reason)
