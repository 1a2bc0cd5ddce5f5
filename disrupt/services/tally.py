"""Count the hashes that are registered in a day, so that a flood is seen."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple


class Registered(NamedTuple):
    """Hashes of a day: of the case and of the widest network that have most, and all."""

    case: int = 0
    origin: int = 0
    all: int = 0


@dataclass(slots=True)
class Tally:
    """The hashes of one day (UTC), also of what waits. Begins anew at a restart."""

    _day: str = field(default="", init=False)
    _cases: Counter[str] = field(default_factory=Counter, init=False)
    _origins: Counter[tuple[str, bytes]] = field(default_factory=Counter, init=False)
    _most: Registered = field(default=Registered(), init=False)

    def count(self, case: str, key: str, origin: bytes, hashes: int, day: str) -> None:
        """Count hashes of a case; ``origin`` is the token of its network, empty for none."""
        if day != self._day:
            self._day, self._most = day, Registered()
            self._cases.clear()
            self._origins.clear()
        self._cases[case] += hashes
        if origin:
            self._origins[key, origin] += hashes
        self._most = Registered(
            max(self._most.case, self._cases[case]),
            max(self._most.origin, self._origins[key, origin] if origin else 0),
            self._most.all + hashes,
        )

    def most(self, day: str) -> Registered:
        """Return the counts of a day."""
        return self._most if day == self._day else Registered()
