"""What a server's metrics say, read from outside, and what came between two times."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from prometheus_client.parser import text_string_to_metric_families

from disrupt.errors import UnavailableError

_TIMEOUT_S = 5.0
_BYTES_MAX = 16 * 2**20

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scrape:
    """Samples of /metrics at a time, by name and labels, and the lines of /readyz."""

    at_s: float
    samples: Mapping[str, Mapping[Labels, float]]
    faults: tuple[str, ...]

    def by(self, name: str, *labels: str, **wanted: str) -> dict[tuple[str, ...], float]:
        """Sum the samples that are labelled as ``wanted``, by the values of ``labels``."""
        sums: defaultdict[tuple[str, ...], float] = defaultdict(float)
        for pairs, value in self.samples.get(name, {}).items():
            has = dict(pairs)
            if wanted.items() <= has.items():
                sums[tuple(has.get(label, "") for label in labels)] += value
        return dict(sums)

    def since(
        self, before: Scrape, name: str, *labels: str, **wanted: str
    ) -> dict[tuple[str, ...], float]:
        """Return the growth of counters, in the same form; what did not grow is left out.

        A counter that is smaller than before began anew.
        """
        earlier = before.by(name, *labels, **wanted)
        grown = {
            key: value - earlier.get(key, 0.0) if value >= earlier.get(key, 0.0) else value
            for key, value in self.by(name, *labels, **wanted).items()
        }
        return {key: value for key, value in grown.items() if value}

    def quantile(self, before: Scrape, name: str, share: float, **wanted: str) -> float | None:
        """Return an upper bound of this share of what a histogram took in; None if it took none."""
        counts = self.since(before, f"{name}_bucket", "le", **wanted)
        bounds = sorted((float(bound), count) for (bound,), count in counts.items())
        if not bounds:
            return None
        return next(bound for bound, count in bounds if count >= share * bounds[-1][1])


def scrape(url: str) -> Scrape:
    """Read the metrics of a server, whose monitor is at ``url``. Raises UnavailableError."""
    text, _ = _get(f"{url}/metrics")
    try:
        samples = parsed(text)
    except ValueError as error:
        raise UnavailableError(f"What {url}/metrics answers is not metrics.") from error
    reasons, status = _get(f"{url}/readyz")
    is_ready = status == HTTPStatus.OK
    return Scrape(time.monotonic(), samples, () if is_ready else tuple(reasons.splitlines()))


def parsed(text: str) -> dict[str, dict[Labels, float]]:
    """Return the samples of a text, by name and labels. Raises ValueError."""
    samples: defaultdict[str, dict[Labels, float]] = defaultdict(dict)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples[sample.name][frozenset(sample.labels.items())] = sample.value
    return samples


def _get(url: str) -> tuple[str, int]:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 the operator's own
            return answer.read(_BYTES_MAX).decode("utf-8", "replace"), answer.status
    except urllib.error.HTTPError as error:
        return error.read(_BYTES_MAX).decode("utf-8", "replace"), error.code
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UnavailableError(f"{url} does not answer: {reason}.") from error
