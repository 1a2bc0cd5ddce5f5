"""Round the counts of a report, so that it tells of no group of 1 to 9.

All partitions of one total are published together, or not: its labels, its months, the total
itself. If one of their counts is 1 to 9, it is shown as fewer than 10, zeros stay, and all other
counts are rounded, each by itself, to the nearest 10. What a reader knows then is an interval for
each count, and that each partition has the same sum. A count between 1 and 9 can be anything else
as long as that sum has two possible values, for any one count can take up the difference. Where it
has one alone, partitions are left out from the last on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SMALL = 10
"""Counts from 1 to below this are not told apart. The statistical offices of Europe ask for 3 to 10
in a cell; the largest is taken, as what is counted here is of victims."""
BASE = 10
"""Counts are rounded to the nearest multiple of this."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A count as it is published: it lies between ``least`` and ``most``, both included."""

    least: int
    most: int

    @property
    def is_exact(self) -> bool:
        """Tell whether it is the count itself."""
        return self.least == self.most

    @property
    def is_small(self) -> bool:
        """Tell whether it is a count that is not zero, and is below SMALL."""
        return 0 < self.most < SMALL

    @property
    def nearest(self) -> int:
        """Return the number to show; of a small count, half of SMALL, to draw it."""
        if self.is_exact:
            return self.least
        return SMALL // 2 if self.is_small else (self.most + BASE // 2) // BASE * BASE


def publish(partitions: Sequence[Sequence[int]]) -> list[list[Figure]]:
    """Return the figures of partitions of one total: of the first ones, if not of all.

    Each has the counts, 0 or more, of disjoint parts of what the total counts; most important
    first.
    """
    if not any(0 < count < SMALL for counts in partitions for count in counts):
        return [[Figure(count, count) for count in counts] for counts in partitions]
    rounded = [[_rounded(count) for count in counts] for counts in partitions]
    kept = len(rounded)
    while kept > 1 and not _is_open(rounded[:kept]):
        kept -= 1
    return rounded[:kept]


def _rounded(count: int) -> Figure:
    if count == 0:
        return Figure(0, 0)
    if count < SMALL:
        return Figure(1, SMALL - 1)
    nearest = (count + BASE // 2) // BASE * BASE
    return Figure(max(nearest - BASE // 2, SMALL), nearest + BASE // 2 - 1)


def _is_open(partitions: Sequence[Sequence[Figure]]) -> bool:
    """Tell whether the sum of the partitions has more than one possible value."""
    least = max(sum(figure.least for figure in figures) for figures in partitions)
    most = min(sum(figure.most for figure in figures) for figures in partitions)
    return least < most
