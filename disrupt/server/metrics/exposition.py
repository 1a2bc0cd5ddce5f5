"""Figures in the form that Prometheus reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from disrupt.server.metrics import families
from disrupt.server.metrics.figures import BUCKETS_S, Family, Figures, Kind

Names: TypeAlias = "Mapping[str, Mapping[int, str]]"
"""By label, the names of the numbers that are its values."""

_BOUNDS = (*(f"{bound:g}" for bound in BUCKETS_S), "+Inf")


def _has_numbers(values: Sequence[str] | range) -> bool:
    return isinstance(values, range)


class Exposition(Collector):
    """Collect counters as sums over processes, and gauges of each process.

    Histograms, and counters by number, leave out series of which nothing was counted, which are
    many, and those whose number has no name yet: a name is read within seconds, and a series must
    not begin under another. Other counters are there from 0 on, as Prometheus sees growth only in
    a series that it has seen before.
    """

    def __init__(self, figures: Figures, names: Callable[[], Names]) -> None:
        """Show ``figures``; ``names`` is asked each time."""
        self._figures = figures
        self._names = names

    def collect(self) -> Iterator[Metric]:
        """Implement Collector."""
        names = self._names()
        for family in self._figures.families:
            numbers = self._figures.read(family)
            if family.kind is Kind.GAUGE:
                yield self._gauge(family, numbers)
            else:
                yield self._sums(family, numbers.sum(axis=0), names)

    def _gauge(self, family: Family, numbers: NDArray[np.float64]) -> Metric:
        metric = GaugeMetricFamily(
            family.name, family.description, labels=["process", *family.labels]
        )
        seen_s = self._figures.read(families.SEEN)[:, 0, 0]
        for row, process in enumerate(self._figures.rows):
            if not seen_s[row] or not process.startswith(family.shown_by):
                continue
            for series, value in enumerate(numbers[row, :, 0].tolist()):
                metric.add_metric([process, *map(str, family.values(series))], value)
        return metric

    def _sums(
        self,
        family: Family,
        numbers: NDArray[np.float64],
        names: Names,
    ) -> Metric:
        make = HistogramMetricFamily if family.kind is Kind.HISTOGRAM else CounterMetricFamily
        metric = make(family.name, family.description, labels=[*family.labels])
        shown: Iterable[int] = range(len(numbers))
        if family.kind is Kind.HISTOGRAM or any(map(_has_numbers, family.labels.values())):
            shown = np.flatnonzero(numbers.any(axis=1)).tolist()
        for series in shown:
            labels = [
                names.get(label, {}).get(value, "") if isinstance(value, int) else value
                for label, value in zip(family.labels, family.values(series), strict=True)
            ]
            if all(labels):
                self._add(metric, labels, numbers[series])
        return metric

    @staticmethod
    def _add(metric: Metric, labels: Sequence[str], numbers: NDArray[np.float64]) -> None:
        if isinstance(metric, HistogramMetricFamily):
            counts = np.cumsum(numbers[:-1]).tolist()
            buckets = list(zip(_BOUNDS, counts, strict=True))
            metric.add_metric(labels, buckets, sum_value=float(numbers[-1]))
        elif isinstance(metric, CounterMetricFamily):
            metric.add_metric(labels, float(numbers[0]))
