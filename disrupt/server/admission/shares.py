"""Decide who may take how much: one admission for all calls, whose figures the workers share.

Each worker has a row in memory that the supervisor made before it forked. It alone writes there,
so there are no locks. A caller has a place in each row: what it holds now. Sums over rows are what
it holds of the whole server.

The rule is one for everything that can be held: a caller that holds nothing may take whatever is
free, and one that holds something may take more if **it then holds no more than is then free**. A
caller that is alone has half of all there is, two have a third each, and whoever comes next finds
as much as the greediest has. Nobody's share need be configured (Choudhury and Hahne, Dynamic queue
length thresholds, 1998). What a caller takes over time is bounded by quotas, see ``quotas``.

A caller is an organisation, with all of its keys.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum, auto
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from disrupt.core.organisations import NO_LIMIT, Kind, Organisation
from disrupt.core.outcomes import Outcome
from disrupt.errors import OverloadedError
from disrupt.server.admission.quotas import Meter, Meters

_RETRY_AFTER_S = 1.0


class Resource(IntEnum):
    """What calls hold while they last."""

    CALLS = 0
    BYTES = auto()
    """Bytes of messages larger than an envelope, received and not answered yet, and of answers."""
    HASHES = auto()
    """Hashes that are searched, or wait for it; not of searches that are made at once."""
    PICTURES = auto()
    """Pictures that are decoded, or wait for it."""
    VIDEOS = auto()
    """Videos that are decoded, or wait for it."""
    VIDEO_BYTES = auto()
    """Bytes of frames that lookups by video hold, and of what these are near to."""
    WRITES = auto()
    """Calls that are relayed to the writer, of all workers."""
    WRITTEN_BYTES = auto()
    """Bytes of these calls, of all workers."""


STRANGER_BYTES_MAX = 1 << 20
"""Most bytes that strangers may make a worker hold, beside what any connection takes."""

SHARED = frozenset({Resource.WRITES, Resource.WRITTEN_BYTES})
"""Resources of which the workers have one supply together."""

_COLUMNS = len(Resource)
CALLERS = 1024
"""Places in a row. Callers have them in the order of the registry; of more, some share one."""

Capacities: TypeAlias = dict[Resource, int]


def place(number: int) -> int:
    """Return the place of the ``number``th caller, from 0. The first is the strangers'."""
    return 1 + number % (CALLERS - 1)


class Counts:
    """What is told of callers, by their places, and of matches; nothing is made of it here."""

    def charged(self, kind: Kind, place: int, amount: float) -> None:
        """Count what a caller had looked up."""

    def refused(self, of: Resource | Kind, place: int) -> None:
        """Count a refusal of a resource, or of a quota."""

    def matched(self, banks: NDArray[np.uint16], distance_bits: NDArray[np.uint16]) -> None:
        """Count matches: the bank's number and the distance of each."""

    def reported(self, outcome: Outcome, place: int) -> None:
        """Count an outcome that a caller reported."""


class Board:
    """Rows of figures in memory that processes share once they are forked."""

    def __init__(self, rows: int) -> None:
        """Allocate the memory; call this before forking."""
        self._memory = mmap.mmap(-1, rows * CALLERS * _COLUMNS * 8)
        self.meters = Meters(CALLERS, rows)
        self.figures: NDArray[np.int64] = np.frombuffer(self._memory, np.int64).reshape(
            rows, CALLERS, _COLUMNS
        )

    def clear(self, row: int) -> None:
        """Zero the row of a worker that has ended."""
        self.figures[row] = 0

    def total(self, place: int, resource: Resource) -> int:
        """Return what a caller holds in all workers."""
        return int(self.figures[:, place, resource].sum())

    def row(self, number: int) -> memoryview:
        """Return one worker's figures, flat; only that worker may write them."""
        size = CALLERS * _COLUMNS * 8
        return memoryview(self._memory)[number * size : (number + 1) * size].cast("q")


class Holder:
    """A caller in one worker: what it holds."""

    __slots__ = ("_admission", "_at", "_meters", "certificate", "most", "name", "place")

    def __init__(self, admission: Admission, name: str, place: int, most: Capacities) -> None:
        """``most`` bounds what it may hold of some resources, whatever is free."""
        self._admission = admission
        self.name = name
        self.place = place
        self.most = most
        self._at = place * _COLUMNS
        self._meters: dict[Kind, Meter] = {}
        self.certificate = ""
        """Name that the client certificate has to have; empty if none is needed."""

    def bound_by(self, organisation: Organisation, rates: Mapping[Kind, float]) -> None:
        """Take up an organisation's quotas and certificate; ``rates`` are everybody's."""
        self.certificate = organisation.certificate
        limited = {kind: organisation.rate(kind, rates.get(kind, NO_LIMIT)) for kind in Kind}
        self._meters = {
            kind: self._meter(kind, rate) for kind, rate in limited.items() if not math.isinf(rate)
        }

    def _meter(self, kind: Kind, rate: float) -> Meter:
        meter = self._meters.get(kind)
        if meter is None or meter.rate != rate:
            meters, row = self._admission.board.meters, self._admission.row_number
            meter = Meter(meters.figures(self.place, kind), row, self.name, kind, rate)
        return meter

    def check_quota(self, kind: Kind) -> None:
        """Raise QuotaExceededError where the quota of this kind is used up."""
        if self._meters and (meter := self._meters.get(kind)) is not None:
            try:
                meter.check()
            except OverloadedError:
                self._admission.counts.refused(kind, self.place)
                raise

    def charge(self, kind: Kind, amount: float) -> None:
        """Count an amount against the quota of this kind, just checked."""
        self._admission.counts.charged(kind, self.place, amount)
        if self._meters and (meter := self._meters.get(kind)) is not None:
            meter.charge(amount)

    def held(self, resource: Resource) -> int:
        """Return how much it holds in this worker."""
        return self._admission.row[self._at + resource]

    def may_take(self, resource: Resource, amount: int) -> bool:
        """Tell whether it would hold no more than is then free, or holds nothing and it fits."""
        if resource in SHARED:
            board = self._admission.board
            held = board.total(self.place, resource)
            taken = int(board.figures[:, :, resource].sum())
        else:
            held = self._admission.row[self._at + resource]
            taken = self._admission.taken[resource]
        free = self._admission.capacities[resource] - taken - amount
        if held + amount > self.most.get(resource, held + amount):
            return False
        return free >= 0 and (not held or held + amount <= free)

    def take(self, resource: Resource, amount: int = 1) -> None:
        """Take ``amount``. Raises OverloadedError where that is more than its share."""
        if not self.may_take(resource, amount):
            self._admission.counts.refused(resource, self.place)
            raise OverloadedError(_REFUSALS[resource], retry_after_s=_RETRY_AFTER_S)
        self._admission.row[self._at + resource] += amount
        self._admission.taken[resource] += amount

    def give_back(self, resource: Resource, amount: int = 1) -> None:
        """Give back what was taken."""
        self._admission.row[self._at + resource] -= amount
        self._admission.taken[resource] -= amount

    @contextmanager
    def holding(self, resource: Resource, amount: int = 1) -> Iterator[None]:
        """Hold ``amount`` within the block. Raises OverloadedError where that exceeds its share."""
        self.take(resource, amount)
        try:
            yield
        finally:
            self.give_back(resource, amount)


class Admission:
    """The admission of one worker. For its event loop alone."""

    def __init__(
        self,
        board: Board,
        row: int,
        capacities: Capacities,
        number_of: Callable[[str], int],
        organisation_of: Callable[[str], Organisation] = Organisation,
        rates: Mapping[Kind, float] = MappingProxyType({}),
        *,
        counts: Counts | None = None,
    ) -> None:
        """``number_of`` maps the name of a caller to its number in the registry.

        ``organisation_of`` returns what is its own, and ``rates`` are the quotas of all others.
        """
        self.board = board
        self.counts = counts or Counts()
        self.row_number = row
        self.row = board.row(row)
        self.capacities = capacities
        self.taken = [0] * len(Resource)
        """Amount taken of each resource, in this worker."""
        self._number_of = number_of
        self._organisation_of = organisation_of
        self._rates = rates
        self._holders: dict[str, Holder] = {}
        self.strangers = Holder(self, "", 0, {Resource.BYTES: STRANGER_BYTES_MAX})
        """All callers without a key, counted as one; its share is small whatever is free."""

    def holder(self, name: str) -> Holder:
        """Return the caller of this name."""
        holder = self._holders.get(name)
        if holder is None:
            holder = self._holders[name] = Holder(self, name, place(self._number_of(name)), {})
            holder.bound_by(self._organisation_of(name), self._rates)
        return holder

    def refresh(self) -> None:
        """Take up changes of quotas, certificates and numbers.

        A caller whose number is another now gets a new holder. What calls under way hold is given
        back by the old one.
        """
        for name, holder in list(self._holders.items()):
            try:
                moved = place(self._number_of(name)) != holder.place
            except KeyError:  # its last key belongs to another organisation now
                moved = True
            if moved:
                del self._holders[name]
            else:
                holder.bound_by(self._organisation_of(name), self._rates)


holder: ContextVar[Holder] = ContextVar("holder")
"""Who made the call that is being answered; not set in the writer, where nobody is counted."""


_BUSY = "The server is busy with {}, many of them of your organisation. Try again in a moment."
_REFUSALS = {
    Resource.CALLS: _BUSY.format("calls"),
    Resource.BYTES: _BUSY.format("large messages"),
    Resource.HASHES: _BUSY.format("hashes to look up"),
    Resource.PICTURES: _BUSY.format("pictures"),
    Resource.VIDEOS: _BUSY.format("videos"),
    Resource.VIDEO_BYTES: _BUSY.format("frames of videos"),
    Resource.WRITES: _BUSY.format("registrations and reports"),
    Resource.WRITTEN_BYTES: _BUSY.format("registrations"),
}
