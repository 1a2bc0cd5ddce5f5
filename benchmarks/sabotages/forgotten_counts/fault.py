"""Have each process forget what its predecessor counted."""

from __future__ import annotations

from disrupt.server.metrics.families import Family
from disrupt.server.metrics.rows import Row

_use = Family.use


def _use_empty(row: Row) -> None:
    row.numbers[0] = 0.0
    row._places.clear()
    _use(row)


Family.use = _use_empty  # type: ignore[method-assign]
