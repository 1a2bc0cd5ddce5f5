"""Sum counts up by month and by label, as they are published."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

from disrupt.core.media import MediaKind
from disrupt.core.outcomes import MatchOutcome
from disrupt.core.tallies import (
    AGES,
    DAYS,
    DISTANCES,
    LABELS,
    MONTHLY,
    MORE_BITS,
    MORE_DAYS,
    Closing,
    Count,
    Tally,
)
from disrupt.reports.disclosure import Figure, publish

_Counted: TypeAlias = tuple[tuple[str, ...], int]
"""Values of labels, and how often they were counted."""

MONTH = "month"
"""Label of the table of months."""

_TABLES: Mapping[Tally, tuple[tuple[str, ...], ...]] = {
    Tally.CASES_OPENED: (),
    Tally.DOORS: (("door",),),
    Tally.LANGUAGES: (("language",),),
    Tally.REGISTRATIONS: (),
    Tally.ITEMS_REGISTERED: (("kind", "age"),),
    Tally.CASES_CLOSED: (("how",),),
    Tally.ITEMS_WITHDRAWN: (("kind", "age"),),
    Tally.ITEMS_ERASED: (("kind", "age"),),
    Tally.UPLOADS_LOOKED_UP: (("organisation",),),
    Tally.UPLOADS_LOOKED_UP_AGAIN: (("organisation",),),
    Tally.UPLOADS_MATCHED: (("organisation",), ("bank",), ("distance",), ("extent",)),
    Tally.OUTCOMES: (("organisation", "outcome"), ("days",)),
    Tally.DISPUTES: (("organisation",),),
    Tally.REVIEWS: (("action",), ("days",)),
}
"""Labels of the tables of each tally, most important first. No label is in two tables of a tally:
the sums of what they share would tell more than ``disclosure`` knows."""

_VALUES: Mapping[str, tuple[str, ...]] = {
    "kind": tuple(kind.name.lower() for kind in MediaKind),
    "age": tuple(AGES.values()),
    "how": (Closing.WITHDRAWN, Closing.ERASED),
    "distance": (*(label for _, label in DISTANCES), MORE_BITS),
    "extent": ("whole", "part", "unknown"),
    "outcome": tuple(outcome.name.lower() for outcome in MatchOutcome),
    "days": (*(label for _, label in DAYS), MORE_DAYS),
    "door": ("page", "helpline", "staff", "other"),
}
"""Values of labels that have a vocabulary, in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Period:
    """Days of a report, first and last included (ISO, UTC)."""

    first_day: str
    last_day: str

    @property
    def months(self) -> list[str]:
        """Return the months that have a day in it, as YYYY-MM."""
        first, last = (
            day.year * 12 + day.month - 1
            for day in map(date.fromisoformat, (self.first_day, self.last_day))
        )
        return [f"{month // 12:04}-{month % 12 + 1:02}" for month in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Table:
    """Figures by the values of ``labels``, each combination once; ``withheld``: they are not told.

    Values stand in the order in which they are shown.
    """

    labels: tuple[str, ...]
    rows: Mapping[tuple[str, ...], Figure]
    withheld: bool = False

    def values(self, at: int) -> list[str]:
        """Return the values of a label, in order."""
        return list(dict.fromkeys(values[at] for values in self.rows))


@dataclass(frozen=True, slots=True)
class Family:
    """What is published of one thing that is counted: its total, and tables that all add up to it.

    ``name`` is a tally's, or NOTICES.
    """

    name: str
    total: Figure
    tables: tuple[Table, ...]

    @property
    def is_rounded(self) -> bool:
        """Tell whether any figure of it is rounded."""
        figures = (figure for table in self.tables for figure in table.rows.values())
        return any(not figure.is_exact for figure in (self.total, *figures))


def family(name: str, parts: Iterable[tuple[tuple[str, ...], Sequence[_Counted]]]) -> Family:
    """Make the family of tables, each given by its labels and by counts of their values."""
    counted = []
    for labels, counts in parts:
        sums = Counter[tuple[str, ...]]()
        for values, count in counts:
            sums[values] += count
        counted.append((labels, {values: sums[values] for values in _combinations(labels, sums)}))
    total = sum(counted[0][1].values())
    of_total, *figures = publish([[total], *(list(sums.values()) for _, sums in counted)])
    return Family(
        name,
        of_total[0],
        tuple(
            Table(labels, dict(zip(sums, row, strict=True)) if row else {}, withheld=row is None)
            for (labels, sums), row in itertools.zip_longest(counted, figures)
        ),
    )


def families(counts: Sequence[Count], period: Period) -> dict[Tally, Family]:
    """Return the family of each tally, from the counts of a period."""
    months: list[_Counted] = [((month,), 0) for month in period.months]
    result = {}
    for tally, tables in _TABLES.items():
        own = [count for count in counts if count.tally == tally]
        parts = [(labels, _by(own, tally, labels)) for labels in tables]
        if tally not in MONTHLY:
            parts.append(((MONTH,), [*months, *(((each.day[:7],), each.count) for each in own)]))
        result[tally] = family(tally, parts)
    return result


def organisations(counts: Iterable[Count]) -> dict[str, list[str]]:
    """Return the rights of each organisation that used a key, by its name."""
    rights: dict[str, set[str]] = {}
    for count in counts:
        if count.tally == Tally.ORGANISATIONS_ACTIVE and count.count:
            organisation, right = count.labels
            rights.setdefault(organisation, set()).add(right)
    return {name: sorted(rights[name]) for name in sorted(rights, key=str.casefold)}


def restores(counts: Iterable[Count]) -> list[tuple[str, str]]:
    """Return the days on which a restored registry began, and the newest that it had counted."""
    return [(each.day, each.labels[0]) for each in counts if each.tally == Tally.RESTORES]


def _by(counts: Iterable[Count], tally: Tally, labels: tuple[str, ...]) -> list[_Counted]:
    places = [LABELS[tally].index(label) for label in labels]
    return [(tuple(each.labels[at] for at in places), each.count) for each in counts]


def _combinations(
    labels: tuple[str, ...], counted: Iterable[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """Return all combinations of the values of labels: of their vocabularies, and what is new."""
    columns = []
    for label, values in zip(labels, zip(*counted, strict=True), strict=False):
        known = _VALUES.get(label, ())
        new = dict.fromkeys(value for value in values if value not in known)
        columns.append([*known, *(new if label == MONTH else sorted(new, key=str.casefold))])
    return list(itertools.product(*columns)) if columns else []
