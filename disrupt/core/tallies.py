"""Tallies: what happened, counted when it does, by day or month, so that no later act lowers them.

A tally names no person, item or hash, and no time of day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Tally(StrEnum):
    """What is counted; the names are those of proto/ and of a stored column."""

    CASES_OPENED = "cases_opened"
    CASES_CLOSED = "cases_closed"
    REGISTRATIONS = "registrations"
    """Requests that added an item."""
    ITEMS_REGISTERED = "items_registered"
    ITEMS_WITHDRAWN = "items_withdrawn"
    ITEMS_ERASED = "items_erased"
    """Items of cases that staff erased without their PIN."""
    UPLOADS_LOOKED_UP = "uploads_looked_up"
    UPLOADS_MATCHED = "uploads_matched"
    OUTCOMES = "outcomes"
    """First reports of an outcome; ``days`` are those from the match to it."""
    DISPUTES = "disputes"
    REVIEWS = "reviews"
    """Items that staff decided on; ``days`` are those from when the item was theirs to decide."""
    ORGANISATIONS_ACTIVE = "organisations_active"
    """1 for each organisation and right of which a key was used."""
    DOORS = "doors"
    """Cases opened, by the way they came, of a month."""
    LANGUAGES = "languages"
    """Cases opened at the page, by its language, of a month."""


LABELS: Mapping[Tally, tuple[str, ...]] = {
    Tally.CASES_OPENED: (),
    Tally.CASES_CLOSED: ("how",),
    Tally.REGISTRATIONS: (),
    Tally.ITEMS_REGISTERED: ("kind", "age"),
    Tally.ITEMS_WITHDRAWN: ("kind", "age"),
    Tally.ITEMS_ERASED: ("kind", "age"),
    Tally.UPLOADS_LOOKED_UP: ("organisation",),
    Tally.UPLOADS_MATCHED: ("organisation", "bank", "distance", "extent"),
    Tally.OUTCOMES: ("organisation", "outcome", "days"),
    Tally.DISPUTES: ("organisation",),
    Tally.REVIEWS: ("action", "days"),
    Tally.ORGANISATIONS_ACTIVE: ("organisation", "right"),
    Tally.DOORS: ("door",),
    Tally.LANGUAGES: ("language",),
}
"""The labels of each tally, in order."""

MONTHLY = frozenset({Tally.DOORS, Tally.LANGUAGES})
"""Tallies counted by month: their day is the first of it."""

DAYS = ((0, "0"), (1, "1"), (3, "2-3"), (7, "4-7"), (30, "8-30"))
"""Largest number of days of each band, and its label; what took longer is ``MORE_DAYS``."""
MORE_DAYS = "31-"


@dataclass(frozen=True, slots=True)
class Count:
    """How often something happened on a day (ISO 8601, UTC), or in the month that it begins."""

    day: str
    tally: Tally
    labels: tuple[str, ...]
    """Values of the tally's LABELS, in their order."""
    count: int


def days_band(days: int) -> str:
    """Return the label of a number of days; of less than none, that of none."""
    return next((label for most, label in DAYS if days <= most), MORE_DAYS)
