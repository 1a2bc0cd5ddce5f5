"""Set no metric of a present state but the version, by which the server is seen to be scraped."""

from __future__ import annotations

from disrupt.server.metrics.families import INFO, Gauge

_set = Gauge.set


def _set_version_alone(self: Gauge, *labels: str, value: float) -> None:
    if self is INFO:
        _set(self, *labels, value=value)


Gauge.set = _set_version_alone  # type: ignore[method-assign]
