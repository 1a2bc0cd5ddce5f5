"""Counts of the present minute and day, which each process adds to and sees of all."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import NamedTuple

from disrupt.server.metrics.families import Family
from disrupt.server.metrics.rows import Row

MINUTE_S, DAY_S = 60, 86_400


class Counts(NamedTuple):
    """Counts of the present minute and day (UTC)."""

    minute: float
    day: float


class Windows:
    """Counts with one label, in the rows of metrics but not among them.

    Each process writes its own: the number of a minute since 1970 and its count, then those of a
    day. A count of another minute or day is over. For the event loop of a process.
    """

    def __init__(self, name: str) -> None:
        """``name`` stands for the layout, too: another one needs another name."""
        self._name = name
        self._own: dict[str, tuple[memoryview[float], int]] = {}
        self._cells: dict[str, list[tuple[memoryview[float], int]]] = {}
        """Places in the rows of all processes, by label."""
        self._read: dict[str, tuple[int, Row]] = {}
        """Rows of processes, with how far each was used when it was read."""

    def find(self, labels: Collection[str]) -> None:
        """Find the counts of these labels, and of no others, in the rows of all processes.

        To be called from time to time: a process that counts a label for the first time is not
        seen before.
        """
        names = {label: json.dumps([self._name, label]) for label in labels}
        row, rows = Family.in_use()
        self._own = {label: (row.numbers, row.place(name, 4)) for label, name in names.items()}
        read = [row]
        if rows is not None and names:
            for process in rows.names:
                length, before = rows.length(process), self._read.get(process)
                if before is None or before[0] != length:
                    self._read[process] = length, rows.of(process)
            read = [row for _, row in self._read.values()]
        self._cells = {
            label: [(row.numbers, at) for row in read if (at := row.find(name)) is not None]
            for label, name in names.items()
        }

    def counts(self, label: str, now_s: float) -> Counts:
        """Return what all processes counted of a label in the minute and day of ``now_s``."""
        minute, day = now_s // MINUTE_S, now_s // DAY_S
        in_minute = in_day = 0.0
        for numbers, place in self._cells.get(label, ()):
            if numbers[place] == minute:
                in_minute += numbers[place + 1]
            if numbers[place + 2] == day:
                in_day += numbers[place + 3]
        return Counts(in_minute, in_day)

    def add(self, label: str, amount: float, now_s: float) -> None:
        """Add to the counts of this process; a negative amount takes away what was added."""
        numbers, place = self._own[label]
        for at, length_s in ((place, MINUTE_S), (place + 2, DAY_S)):
            window = now_s // length_s
            if numbers[at] != window:
                numbers[at + 1] = 0.0  # first, so that nobody sees it with the new window
                numbers[at] = window
            numbers[at + 1] = max(0.0, numbers[at + 1] + amount)
