"""Tallies: what happened, counted when it does, by day or month, so that no later act lowers them.

A tally names no person, item or hash, and no time of day. docs/tallies.md defines each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum, StrEnum

from disrupt.core.cases import AgeBand


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
    UPLOADS_LOOKED_UP_AGAIN = "uploads_looked_up_again"
    """Uploads of lookups that asked only for what is new since an earlier one."""
    UPLOADS_MATCHED = "uploads_matched"
    PROBING = "probing"
    """Items that an organisation explored bit by bit, once in an hour each."""
    OUTCOMES = "outcomes"
    """First reports of an outcome; ``days`` are those from the match to it."""
    DISPUTES = "disputes"
    """Items that an organisation began to dispute."""
    REVIEWS = "reviews"
    """Items that staff decided on; ``days`` are those from when the item was theirs to decide."""
    ORGANISATIONS_ACTIVE = "organisations_active"
    """1 for each organisation and right of which a key was used."""
    DOORS = "doors"
    """Cases opened, by the way they came, of a month."""
    LANGUAGES = "languages"
    """Cases opened at the page, by its language, of a month."""
    RESTORES = "restores"
    """Restored copies of the registry, by the newest day that they had counted."""


LABELS: Mapping[Tally, tuple[str, ...]] = {
    Tally.CASES_OPENED: (),
    Tally.CASES_CLOSED: ("how",),
    Tally.REGISTRATIONS: (),
    Tally.ITEMS_REGISTERED: ("kind", "age"),
    Tally.ITEMS_WITHDRAWN: ("kind", "age"),
    Tally.ITEMS_ERASED: ("kind", "age"),
    Tally.UPLOADS_LOOKED_UP: ("organisation",),
    Tally.UPLOADS_LOOKED_UP_AGAIN: ("organisation",),
    Tally.UPLOADS_MATCHED: ("organisation", "bank", "distance", "extent"),
    Tally.PROBING: ("organisation",),
    Tally.OUTCOMES: ("organisation", "outcome", "days"),
    Tally.DISPUTES: ("organisation",),
    Tally.REVIEWS: ("action", "days"),
    Tally.ORGANISATIONS_ACTIVE: ("organisation", "right"),
    Tally.DOORS: ("door",),
    Tally.LANGUAGES: ("language",),
    Tally.RESTORES: ("since",),
}
"""The labels of each tally, in order."""

MONTHLY = frozenset({Tally.DOORS, Tally.LANGUAGES})
"""Tallies counted by month: their day is the first of it."""

ROUNDED_TO = 5
"""Counts of MONTHLY are answered as the nearest multiple of this."""

BY_WORKERS = frozenset(
    {
        Tally.UPLOADS_LOOKED_UP,
        Tally.UPLOADS_LOOKED_UP_AGAIN,
        Tally.UPLOADS_MATCHED,
        Tally.PROBING,
    }
)
"""Tallies that workers count, and hand over to the writer."""

DAYS = ((0, "0"), (1, "1"), (3, "2-3"), (7, "4-7"), (30, "8-30"))
"""Largest number of days of each band, and its label; what took longer is ``MORE_DAYS``."""
MORE_DAYS = "31-"

DISTANCES = ((15, "0-15"), (23, "16-23"), (31, "24-31"))
"""Largest distance of each band, in bits, and its label; a larger one is ``MORE_BITS``."""
MORE_BITS = "32-"
DISTANCE_BANDS = frozenset({*(label for _, label in DISTANCES), MORE_BITS})
"""Labels of all bands of distances."""

AGES = {AgeBand.ADULT: "adults", AgeBand.MINOR: "minors", AgeBand.UNSURE: "unsure"}
"""Labels of ages."""

OTHER = "other"
"""Label of what is not in a vocabulary."""


class Door(IntEnum):
    """The way that a registration came, as it says; the numbers are those of proto/."""

    OTHER = 0
    PAGE = 1
    HELPLINE = 2
    STAFF = 3
    LIST = 4


class Closing(StrEnum):
    """How a case was closed."""

    WITHDRAWN = "withdrawn"
    REJECTED = "rejected"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Statement:
    """What a registration says of itself that is only counted: no item has it.

    ``age`` is that of the request. ``language`` is a tag of a language of the page, or OTHER.
    """

    age: AgeBand
    door: Door = Door.OTHER
    language: str = OTHER


@dataclass(frozen=True, slots=True)
class Count:
    """How often something happened on a day (ISO 8601, UTC), or in the month that it begins."""

    day: str
    tally: Tally
    labels: tuple[str, ...]
    """Values of the tally's LABELS, in their order."""
    count: int


@dataclass(frozen=True, slots=True)
class UploadBatch:
    """Uploads that a worker counted: ``run``, 16 bytes, is of the worker since its start.

    ``number`` grows from batch to batch of a run. One that was handed over is not changed: it comes
    again until the worker knows that it was added.
    """

    run: bytes
    number: int
    counts: tuple[Count, ...]


def days_band(days: int) -> str:
    """Return the label of a number of days; of less than none, that of none."""
    return next((label for most, label in DAYS if days <= most), MORE_DAYS)


def days_between(first: str, last: str) -> str:
    """Return the label of the days from one ISO date to another."""
    return days_band((date.fromisoformat(last) - date.fromisoformat(first)).days)


def distance_band(bits: int) -> str:
    """Return the label of a distance."""
    return next((label for most, label in DISTANCES if bits <= most), MORE_BITS)


def month_of(day: str) -> str:
    """Return the first day of the month of an ISO date."""
    return f"{day[:7]}-01"


def rounded(count: Count) -> Count:
    """Return a count as it is answered: of a month as the nearest multiple of ROUNDED_TO."""
    if count.tally not in MONTHLY:
        return count
    nearest = (count.count + ROUNDED_TO // 2) // ROUNDED_TO * ROUNDED_TO
    return Count(count.day, count.tally, count.labels, nearest)
