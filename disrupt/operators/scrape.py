"""Metrics of a server, read from outside, and what came between two times."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

from disrupt.errors import UnavailableError

_TIMEOUT_S = 5.0

Sums = dict[tuple[str, ...], float]


@dataclass(frozen=True, slots=True)
class Scrape:
    """Samples of /metrics by name, each with its labels, and the lines of /readyz."""

    at_s: float
    samples: Mapping[str, list[tuple[dict[str, str], float]]]
    readiness: str

    def by(self, name: str, *labels: str, **wanted: str) -> Sums:
        """Sum the samples that are labelled as ``wanted``, by the values of ``labels``."""
        sums: defaultdict[tuple[str, ...], float] = defaultdict(float)
        for has, value in self.samples.get(name, ()):
            if wanted.items() <= has.items():
                sums[tuple(has.get(label, "") for label in labels)] += value
        return dict(sums)

    def since(self, before: Scrape, name: str, *labels: str, **wanted: str) -> Sums:
        """Return the growth of counters, without those that did not grow.

        A counter that is smaller than before began anew.
        """
        earlier = before.by(name, *labels, **wanted)
        grown = {
            key: value - earlier.get(key, 0.0) if value >= earlier.get(key, 0.0) else value
            for key, value in self.by(name, *labels, **wanted).items()
        }
        return {key: value for key, value in grown.items() if value}

    def quantile_s(self, before: Scrape, name: str, share: float, **wanted: str) -> float | None:
        """Return a bound on this share of the durations of a histogram since; None without any."""
        counts = self.since(before, f"{name}_bucket", "le", **wanted)
        bounds = sorted((float(bound), count) for (bound,), count in counts.items())
        if not bounds:
            return None
        return next(bound for bound, count in bounds if count >= share * bounds[-1][1])


def scrape(address: str) -> Scrape:
    """Read the metrics of a server, HOST:PORT. Raises UnavailableError."""
    try:
        samples = parsed(_get(f"http://{address}/metrics"))
    except ValueError as error:
        raise UnavailableError(f"What {address} answers is not metrics.") from error
    return Scrape(time.monotonic(), samples, _get(f"http://{address}/readyz"))


def parsed(text: str) -> dict[str, list[tuple[dict[str, str], float]]]:
    """Return the samples of a text by name. Raises ValueError."""
    samples: defaultdict[str, list[tuple[dict[str, str], float]]] = defaultdict(list)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name].append((dict(sample.labels), sample.value))
    return samples


def _get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 the operator's own
            text: str = answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode("utf-8", "replace")
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UnavailableError(f"{url} does not answer: {reason}.") from error
    return text
