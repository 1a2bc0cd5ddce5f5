"""Figures that the processes of a server count, in memory that they share once they are forked.

Each process has a row and alone writes it, so no process waits for another. A process that is
started anew goes on where the last one of its row ended, so that no counter falls. The memory has
no file: a full disk ends nobody.
"""

from __future__ import annotations

import math
import mmap
import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

BUCKETS_S = (
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    120,
)
"""Upper bounds of the buckets of a histogram, in s; one more has what took longer."""

_NUMBER_BYTES = 8


class Kind(Enum):
    """How the figures of a family are to be read."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, eq=False)
class Family:
    """A metric with its labels; each label has these values and no others.

    A label whose values are a ``range`` has numbers, which ``exposition`` gives names.
    """

    name: str
    description: str
    kind: Kind
    labels: Mapping[str, Sequence[str] | range]
    shown_by: str = ""
    """How the names of the processes begin that show a gauge."""

    @property
    def width(self) -> int:
        """Numbers for each series."""
        # a histogram has its buckets, what took longer than the last, and the sum
        return len(BUCKETS_S) + 2 if self.kind is Kind.HISTOGRAM else 1

    @property
    def size(self) -> int:
        """Numbers of all series."""
        return self.width * math.prod(map(len, self.labels.values()))

    def place(self, values: tuple[str | int, ...]) -> int:
        """Return where a series begins. Raises ValueError for a value that a label has not."""
        place = 0
        for label, value in zip(self.labels.values(), values, strict=True):
            place = place * len(label) + label.index(value)  # type: ignore[arg-type]  # str or int
        return place * self.width

    def values(self, series: int) -> list[str | int]:
        """Return the values of the labels of a series, by its number."""
        places = np.unravel_index(series, [len(label) for label in self.labels.values()] or [1])
        return [
            label[int(place)] for label, place in zip(self.labels.values(), places, strict=False)
        ]


class Figures:
    """The rows of all processes."""

    def __init__(self, families: Sequence[Family], rows: Sequence[str]) -> None:
        """Allocate the memory, all 0; call this before forking. ``rows`` names the processes."""
        self.families = tuple(families)
        self.rows = tuple(rows)
        sizes = [family.size for family in families]
        begins = np.cumsum([0, *sizes[:-1]]).tolist()
        self._begins: dict[Family, int] = dict(zip(self.families, begins, strict=True))
        memory = mmap.mmap(-1, len(self.rows) * sum(sizes) * _NUMBER_BYTES)
        self._numbers: NDArray[np.float64] = np.frombuffer(memory, np.float64).reshape(
            len(self.rows), sum(sizes)
        )

    def row(self, name: str) -> Row:
        """Return the row of a process, for it alone."""
        return Row(self._numbers[self.rows.index(name)].data.cast("B").cast("d"), self._begins)

    def clear_gauges(self, row: str) -> None:
        """Zero the gauges of a process that has ended; its counters stay."""
        numbers = self._numbers[self.rows.index(row)]
        for family, begin in self._begins.items():
            if family.kind is Kind.GAUGE:
                numbers[begin : begin + family.size] = 0

    def read(self, family: Family) -> NDArray[np.float64]:
        """Return a copy of the figures of a family: float64 of shape (rows, series, width)."""
        begin = self._begins[family]
        part = self._numbers[:, begin : begin + family.size]
        return part.reshape(len(self.rows), -1, family.width).copy()


class Row:
    """The figures of one process, for all of its threads."""

    def __init__(self, numbers: memoryview[float], begins: Mapping[Family, int]) -> None:
        self._numbers = numbers
        self._begins = begins
        self._places: dict[tuple[Family, tuple[str | int, ...]], int] = {}
        self._lock = threading.Lock()

    def add(self, family: Family, *labels: str | int, amount: float = 1.0) -> None:
        """Add to a counter."""
        place = self._place(family, labels)
        with self._lock:
            self._numbers[place] += amount

    def set(self, family: Family, *labels: str | int, value: float) -> None:
        """Set a gauge."""
        self._numbers[self._place(family, labels)] = value

    def observe(self, family: Family, *labels: str | int, value_s: float) -> None:
        """Count a duration, in s, in a histogram."""
        place = self._place(family, labels)
        bucket = place + bisect_left(BUCKETS_S, value_s)
        with self._lock:
            self._numbers[bucket] += 1
            self._numbers[place + len(BUCKETS_S) + 1] += value_s

    def _place(self, family: Family, labels: tuple[str | int, ...]) -> int:
        place = self._places.get((family, labels))
        if place is None:
            place = self._begins[family] + family.place(labels)
            self._places[family, labels] = place
        return place
