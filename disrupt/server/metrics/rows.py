"""Named numbers of the server's processes, in memory that they share once they are forked.

Each process has a row and alone writes it, so no process waits for another. A process that is
started anew goes on in the row of its predecessor, so no counter falls. The memory has no file: a
full disk ends nobody, as it would with the multiprocess files of prometheus_client. It has a
descriptor, by which the supervisor passes it on to the program that takes its place.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterator, Sequence

import structlog

WIDEST = 32
"""Most numbers of one name."""

OTHER_ROW = "'"
"""End of the names of every other program's rows: those of two programs that serve side by side,
as one takes the other's place, are apart."""

_ROW_BYTES = 1 << 20
"""Room of a process for some 10 000 names. Pages that are never written take no memory."""
_SPARE, _BEGIN = 1, 1 + WIDEST
"""Number 0 of a row is the end of what is used; then come spare numbers, and the records.

A record is the length of its name in bytes, the count of its numbers, the name, and the numbers.
"""

_log = structlog.get_logger(__name__)


class Row:
    """The numbers of one process, float64, all 0 at first.

    Any thread may add names; the numbers of a name are for one thread, or under one lock.
    """

    def __init__(self, memory: memoryview | None = None) -> None:
        """Go on with what is in ``memory``; without any, take some of this process alone."""
        self._bytes = (memory or memoryview(bytearray(_ROW_BYTES))).cast("B")
        self.numbers: memoryview[float] = self._bytes.cast("d")
        self._places = {name: place for name, place, _ in self._records()}
        self._adding = threading.Lock()

    def place(self, name: str, width: int) -> int:
        """Return where the ``width`` numbers of a name begin, which is added where it is new."""
        with self._adding:
            place = self._places.get(name)
            if place is None:
                place = self._places[name] = self._append(name.encode(), width)
        return place

    def find(self, name: str) -> int | None:
        """Return where the numbers of a name began when this row was opened; None without any."""
        return self._places.get(name)

    def _append(self, name: bytes, width: int) -> int:
        begin = int(self.numbers[0]) or _BEGIN
        place = begin + 2 + -(-len(name) // 8)
        if place + width > len(self.numbers):
            _log.error("metrics_full")
            return _SPARE
        self._bytes[8 * (begin + 2) : 8 * (begin + 2) + len(name)] = name
        for at in range(place, place + width):  # a process that was killed may have left some
            self.numbers[at] = 0.0
        self.numbers[begin], self.numbers[begin + 1] = len(name), width
        self.numbers[0] = place + width  # last: from here on the record is there
        return place

    def read(self) -> Iterator[tuple[str, list[float]]]:
        """Yield every name with its numbers."""
        for name, place, width in self._records():
            yield name, [*self.numbers[place : place + width]]

    def _records(self) -> Iterator[tuple[str, int, int]]:
        begin, end = _BEGIN, int(self.numbers[0])
        while begin < end:
            length, width = int(self.numbers[begin]), int(self.numbers[begin + 1])
            at = 8 * (begin + 2)
            place = begin + 2 + -(-length // 8)
            yield bytes(self._bytes[at : at + length]).decode(), place, width
            begin = place + width


class Rows:
    """A row for each process. Make this before forking."""

    def __init__(
        self, processes: Sequence[str], descriptor: int | None = None, former: Sequence[str] = ()
    ) -> None:
        """Take a row for each name, of new memory or of that with a descriptor.

        The latter has rows with the names ``former``, in this order.
        """
        self._current = {*processes}
        self.names = (*former, *(process for process in processes if process not in former))
        self.descriptor = os.memfd_create("metrics") if descriptor is None else descriptor
        size = len(self.names) * _ROW_BYTES
        os.ftruncate(self.descriptor, size)
        self._memory = memoryview(mmap.mmap(self.descriptor, size))
        self._numbers = {process: number for number, process in enumerate(self.names)}

    def is_current(self, process: str) -> bool:
        """Tell whether a process is of this program, and not of the one before."""
        return process in self._current

    def of(self, process: str) -> Row:
        """Return the row of a process, with what is in it."""
        begin = self._numbers[process] * _ROW_BYTES
        return Row(self._memory[begin : begin + _ROW_BYTES])

    def length(self, process: str) -> int:
        """Return how far a row is used. It grows with each name that is added."""
        begin = self._numbers[process] * _ROW_BYTES
        return int(self._memory[begin : begin + 8].cast("d")[0])

    def read(self) -> Iterator[tuple[str, str, list[float]]]:
        """Yield every process with each of its names and numbers."""
        for process in self._numbers:
            for name, numbers in self.of(process).read():
                yield process, name, numbers
