"""Bound how many pictures of one network, or of one key, go live at once in a day."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field

WIDER_TIMES = (1, 2, 4)
"""Limits of an origin, and of the wider networks that it is part of, as multiples of its own."""

_NARROWEST = 0


@dataclass(slots=True)
class LiveLimits:
    """Let so many pictures of an origin, or of a key, go live at once on a day (UTC).

    A call with origin tokens is bounded by the limits of these networks alone, so that nobody else
    makes its registrations wait; the limit of the key bounds its calls without one. What waits
    counts against no limit. Pictures are those of ``core.plausibility.pictures``. For one thread at
    a time; limits are whole after a restart.
    """

    pictures_per_key: float = math.inf
    pictures_per_origin: float = math.inf
    _day: str = field(default="", init=False)
    _live: defaultdict[tuple[str, int, bytes], float] = field(
        default_factory=lambda: defaultdict(float), init=False
    )
    """Pictures of a day, by key, width of the network, and its token."""

    def left(self, caller: str, origins: tuple[bytes, ...], day: str) -> float:
        """Return how many pictures may go live, of a caller and its networks, narrowest first."""
        live = self._of(day)
        if not origins:
            return self.pictures_per_key - live.get((caller, _NARROWEST, b""), 0.0)
        return min(
            self.pictures_per_origin * WIDER_TIMES[width] - live.get((caller, width, origin), 0.0)
            for width, origin in enumerate(origins)
        )

    def charge(self, caller: str, origins: tuple[bytes, ...], pictures: float, day: str) -> None:
        """Charge a caller with pictures that went live."""
        for width, origin in enumerate(origins or (b"",)):
            self._of(day)[caller, width, origin] += pictures

    def _of(self, day: str) -> defaultdict[tuple[str, int, bytes], float]:
        if day != self._day:
            self._day = day
            self._live.clear()
        return self._live
