"""Counters of the door, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters of a door. No label names an upload, a hash, a match or a caller."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.lookups = Counter(
            "disrupt_door_lookups",
            "Uploads and hashes, by route, and by match, no_match, or why there is no answer",
            ("route", "result"),
            registry=self.registry,
        )
        self.actions = Counter(
            "disrupt_door_actions",
            "What became of uploads, by route and action",
            ("route", "action"),
            registry=self.registry,
        )
        self.matches = Counter(
            "disrupt_door_matches",
            "Matches, by bank, extent and what they alone make of an upload",
            ("bank", "extent", "action"),
            registry=self.registry,
        )
        self.outcomes = Counter(
            "disrupt_door_outcomes",
            "Outcomes, by sent, dropped since the item was withdrawn, or lost",
            ("result",),
            registry=self.registry,
        )

    def show(self, name: str, documentation: str, value: Callable[[], float]) -> None:
        """Add a gauge whose value is read whenever metrics are."""
        Gauge(name, documentation, registry=self.registry).set_function(value)

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self.registry)
