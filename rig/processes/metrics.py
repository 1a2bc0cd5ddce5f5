"""Read what a server says at /metrics."""

from __future__ import annotations

import urllib.request

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample


def samples(address: str, prefix: str, **labels: str) -> list[Sample]:
    """Return the samples whose names begin so, and that have these labels."""
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        families: list[Metric] = [*text_string_to_metric_families(answer.read().decode())]
    return [
        sample
        for family in families
        for sample in family.samples
        if sample.name.startswith(prefix) and labels.items() <= sample.labels.items()
    ]


def counted(address: str, name: str, **labels: str) -> float:
    """Return the sum of a metric over the labels that are not given."""
    named = [each for each in samples(address, name, **labels) if each.name == name]
    return sum(sample.value for sample in named)
