"""Show the figures of the first scrape for ever."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric

from disrupt.server.metrics.exposition import Exposition

_collect = Exposition.collect
_first: list[Metric] = []


def _frozen(self: Exposition) -> Iterator[Metric]:
    if not _first:
        _first.extend(_collect(self))
    return iter(_first)


Exposition.collect = _frozen  # type: ignore[method-assign]
