"""Watch the metrics of a server, to tell whether they show a fault."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, Self, TypeAlias

from disrupt.errors import UnavailableError
from disrupt.server.metrics import families
from disrupt.server.metrics.figures import Family
from disrupt.server.metrics.scrape import Scrape, scrape

_PAUSE_S = 0.5
_NEARLY = 0.9
_FIRST_S = 60.0

CALLS = f"{families.CALLS.name}_count"


class Sight(NamedTuple):
    """A scrape, and when it began, in seconds since the epoch."""

    at_s: float
    metrics: Scrape


Sign: TypeAlias = "Callable[[Scrape, Sight], bool]"
"""Tells by the metrics before a fault, and at a time after it began, whether these show it."""


def grows(name: str, **labels: str) -> Sign:
    """Return the sign that a counter grows."""
    return lambda before, now: bool(now.metrics.since(before, name, **labels))


def ends(role: str) -> Sign:
    """Return the sign that a process of a role ended."""
    return grows(f"{families.PROCESS_ENDS.name}_total", role=role)


def is_silent(process: str, least_s: float) -> Sign:
    """Return the sign that a process gave no figures for a time; ``process`` begins its name."""

    def shows(_before: Scrape, now: Sight) -> bool:
        seen = now.metrics.by(families.SEEN.name, "process")
        ages_s = [now.at_s - at_s for (name,), at_s in seen.items() if name.startswith(process)]
        return max(ages_s, default=0.0) >= least_s

    return shows


def begins_anew(before: Scrape, now: Sight) -> bool:
    """Tell whether the server was started since."""
    return now.metrics.by(families.STARTED.name) != before.by(families.STARTED.name)


def is_used_up(family: Family, limit: Family) -> Sign:
    """Return the sign that a process has nearly all that it may have."""

    def shows(_before: Scrape, now: Sight) -> bool:
        most = now.metrics.by(limit.name, "process")
        used = now.metrics.by(family.name, "process")
        return any(value > _NEARLY * most[process] for process, value in used.items())

    return shows


def reaches(family: Family, least: float, **labels: str) -> Sign:
    """Return the sign that a gauge of any process is as high as this."""

    def shows(_before: Scrape, now: Sight) -> bool:
        values = now.metrics.by(family.name, "process", **labels).values()
        return max(values, default=0.0) >= least

    return shows


def refuses_writes(before: Scrape, now: Sight) -> bool:
    """Tell whether a write was refused."""
    grown = now.metrics.since(before, CALLS, "method", "outcome")
    return any(
        method.startswith("RegistrationService/") and outcome not in {"OK", "CANCELLED"}
        for method, outcome in grown
    )


def is_slow(method: str, bucket: str) -> Sign:
    """Return the sign that calls take longer than the bound of a bucket."""

    def shows(before: Scrape, now: Sight) -> bool:
        name = f"{families.CALLS.name}_bucket"
        grown = (now.metrics.since(before, name, le=le, method=method) for le in ("+Inf", bucket))
        calls, soon = (sum(counts.values()) for counts in grown)
        return calls > soon

    return shows


def _first(url: str) -> Scrape:
    give_up_s = time.monotonic() + _FIRST_S
    while True:
        try:
            return scrape(url)
        except UnavailableError:
            if time.monotonic() > give_up_s:
                raise
        time.sleep(_PAUSE_S)


class Watch:
    """Reads the metrics again and again, in a thread, from ``begin`` on."""

    def __init__(self, url: str) -> None:
        """Begin once there are metrics. Raises UnavailableError where none come."""
        self._url = url
        self._before = _first(url)
        self._since: list[Sight] = []
        self._began_s = time.monotonic()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()

    def begin(self) -> None:
        """Forget what was seen, but for the last metrics that can be read."""
        before = self._since[-1].metrics if self._since else self._before
        with suppress(UnavailableError):
            before = scrape(self._url)
        # a scrape under way goes to the list of before
        self._before, self._since = before, []
        self._began_s = time.monotonic()

    def shows(self, sign: Sign, within_s: float) -> bool:
        """Tell whether a sign is seen within a time from ``begin`` on."""
        until_s = self._began_s + within_s
        while True:
            seen = [sight for sight in self._since if sight.metrics.at_s <= until_s]
            if any(sign(self._before, sight) for sight in seen):
                return True
            if time.monotonic() > until_s:
                return False
            time.sleep(_PAUSE_S)

    def _look(self) -> None:
        while not self._ending.wait(_PAUSE_S):
            since, at_s = self._since, time.time()
            with suppress(UnavailableError):
                since.append(Sight(at_s, scrape(self._url)))
