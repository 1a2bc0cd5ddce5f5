"""Metrics in the text that Prometheus reads."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from disrupt.server.metrics.families import BUCKETS_S, FAMILIES, Counter, Family, Gauge
from disrupt.server.metrics.rows import OTHER_ROW, Rows

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS = (*(f"{bound:g}" for bound in BUCKETS_S), "+Inf")


def exposed(rows: Rows) -> bytes:
    """Return all metrics of a server as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(rows))
    return generate_latest(registry)


class _Collector(Collector):
    """Counters and histograms are sums over processes; gauges are of each process."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def collect(self) -> Iterator[Metric]:
        """Implement Collector."""
        sums: dict[str, dict[tuple[str, ...], list[float]]] = defaultdict(dict)
        for process, text, numbers in self._rows.read():
            name, *labels = json.loads(text)
            family = FAMILIES.get(name)
            if family is None:  # of the program before
                continue
            if isinstance(family, Gauge):
                if math.isnan(numbers[0]) or not self._rows.is_current(process):
                    continue
                if family.of_each_process:
                    labels = [process.removesuffix(OTHER_ROW), *labels]
            before = sums[name].get(key := tuple(labels))
            sums[name][key] = (
                [a + b for a, b in zip(before, numbers, strict=True)] if before else numbers
            )
        for name, series in sums.items():
            yield _metric(FAMILIES[name], series)


def _metric(family: Family, series: dict[tuple[str, ...], list[float]]) -> Metric:
    name, description, labels = family.name, family.description, list(family.labels)
    if isinstance(family, Counter):
        counter = CounterMetricFamily(name, description, labels=labels)
        for values, numbers in series.items():
            counter.add_metric(values, numbers[0])
        return counter
    if isinstance(family, Gauge):
        labels = ["process", *labels] if family.of_each_process else labels
        gauge = GaugeMetricFamily(name, description, labels=labels)
        for values, numbers in series.items():
            gauge.add_metric(values, numbers[0])
        return gauge
    histogram = HistogramMetricFamily(name, description, labels=labels)
    for values, (*counts, sum_s) in series.items():
        buckets = list(zip(_BOUNDS, accumulate(counts), strict=True))
        histogram.add_metric(values, buckets, sum_value=sum_s)
    return histogram
