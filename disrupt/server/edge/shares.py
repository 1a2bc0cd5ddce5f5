"""Decide how much of each resource a caller may hold: one Admission for each process.

The rule is one for everything that can be held: **a caller may hold as much as it leaves free**,
and one that holds nothing may take what fits. A caller that is alone has half of all there is, two
have a third each, and whoever comes next finds as much as the greediest has. Nobody's share need be
configured (Choudhury and Hahne, Dynamic queue length thresholds, 1998). Nobody waits: whoever asks
for more is refused, and told when to try again.

How much there is of what waits in a queue follows from how fast the queue moves, as measured: where
decoding is slow, fewer pictures may wait, so that none waits long. Only the delay counts, not who
asks or why. Lookups by hash do not wait there, and go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum, auto
from types import MappingProxyType
from typing import Any, TypeAlias

from disrupt.errors import OverloadedError
from disrupt.server.metrics import families

_RETRY_AFTER_S = 1.0


class Resource(IntEnum):
    """Resources that calls hold. A worker counts all but the last two, the writer these two."""

    CALLS = 0
    READS = auto()
    """Messages that are slow to arrive."""
    HASHES = auto()
    """Hashes that are searched, or wait for it; not of searches that are made at once."""
    PICTURES = auto()
    """Pictures that are decoded, or wait for it."""
    VIDEOS = auto()
    """Videos that are decoded, or wait for it."""
    VIDEO_BYTES = auto()
    """Bytes of frames that lookups by video hold, and of what these are near to."""
    ANSWER_BYTES = auto()
    """Bytes of large answers that their callers have not taken yet: gRPC holds these."""
    WRITES = auto()
    """Calls that workers relay to the writer."""
    WRITTEN_BYTES = auto()
    """Bytes of the registrations among them."""


Capacities: TypeAlias = dict[Resource, int]
Measured: TypeAlias = Mapping[Resource, Callable[[], int]]
"""Functions that return the present capacity of some resources."""


class Holder:
    """A caller in one process: what it holds. For one event loop."""

    __slots__ = ("_admission", "_held", "key_id")

    def __init__(self, admission: Admission, key_id: str) -> None:
        self.key_id = key_id
        self._admission = admission
        self._held = [0] * len(Resource)

    def held(self, resource: Resource) -> int:
        """Return how much it holds."""
        return self._held[resource]

    def may_take(self, resource: Resource, amount: int) -> bool:
        """Tell whether it leaves free what it would hold, or holds nothing and there is room.

        Who holds nothing is not refused for a delay: others caused it, and its turn comes first.
        """
        return self._fits(resource, amount, self._admission.capacity(resource)) or (
            not self._held[resource]
            and self._fits(resource, amount, self._admission.capacities[resource])
        )

    def _fits(self, resource: Resource, amount: int, capacity: int) -> bool:
        held = self._held[resource]
        free = capacity - self._admission.taken[resource] - amount
        return free >= 0 and (not held or held + amount <= free)

    def check(self, resource: Resource, amount: int = 1) -> None:
        """Raise OverloadedError where ``amount`` more is beyond its share."""
        if self.may_take(resource, amount):
            return
        delayed = self._fits(resource, amount, self._admission.capacities[resource])
        cause = "delay" if delayed else "share"
        families.ADMISSION_REFUSALS.add(resource.name.lower(), self.key_id, cause)
        whose = "which take long just now" if delayed else "many of them of this key"
        raise OverloadedError(
            f"The server is busy with {_NAMES[resource]}, {whose}. Try again in a moment.",
            retry_after_s=_RETRY_AFTER_S,
        )

    def take(self, resource: Resource, amount: int = 1) -> None:
        """Take ``amount``. Raises OverloadedError where that is more than its share."""
        self.check(resource, amount)
        self._held[resource] += amount
        self._admission.taken[resource] += amount

    def give_back(self, resource: Resource, amount: int = 1) -> None:
        """Give back what was taken."""
        self._held[resource] -= amount
        self._admission.taken[resource] -= amount

    @contextmanager
    def holding(self, resource: Resource, amount: int = 1) -> Iterator[None]:
        """Hold ``amount`` within the block. Raises OverloadedError where that exceeds its share."""
        self.take(resource, amount)
        try:
            yield
        finally:
            self.give_back(resource, amount)

    def take_until_done(
        self, task: asyncio.Future[Any] | None, resource: Resource, amount: int = 1
    ) -> None:
        """Take ``amount``, and give it back when the task is done, as that of a call or a read.

        Raises OverloadedError where that is more than its share.
        """
        self.take(resource, amount)
        if task is not None:
            task.add_done_callback(lambda _: self.give_back(resource, amount))


class Admission:
    """The capacity of each resource in one process, and the amount that each caller holds."""

    def __init__(self, capacities: Capacities, measured: Measured = MappingProxyType({})) -> None:
        """``measured`` may lower capacities."""
        self.capacities = capacities
        self._measured = measured
        self.taken = [0] * len(Resource)
        """Amount that all callers hold of each resource."""
        self._holders: dict[str, Holder] = {}
        self._shown: set[tuple[str, Resource]] = set()

    def capacity(self, resource: Resource) -> int:
        """Return how much there is of a resource at present."""
        most, measured = self.capacities[resource], self._measured.get(resource)
        return most if measured is None else min(most, measured())

    def holder(self, key_id: str) -> Holder:
        """Return the caller with this key."""
        holder = self._holders.get(key_id)
        if holder is None:
            holder = self._holders[key_id] = Holder(self, key_id)
        return holder

    def show(self) -> None:
        """Set the metric of what each caller holds, or held when this was called before."""
        held = {
            (key_id, resource): by.held(resource)
            for key_id, by in self._holders.items()
            for resource in Resource
            if by.held(resource)
        }
        for key_id, resource in self._shown | held.keys():
            amount = held.get((key_id, resource), 0)
            families.ADMISSION_HELD.set(resource.name.lower(), key_id, value=amount)
        self._shown |= held.keys()


holder: ContextVar[Holder] = ContextVar("holder")
"""Who made the call that is being answered; not set of a call without a key."""


_NAMES = {
    Resource.CALLS: "calls",
    Resource.READS: "messages that arrive slowly",
    Resource.HASHES: "hashes to look up",
    Resource.PICTURES: "pictures",
    Resource.VIDEOS: "videos",
    Resource.VIDEO_BYTES: "frames of videos",
    Resource.ANSWER_BYTES: "answers that wait to be read",
    Resource.WRITES: "registrations",
    Resource.WRITTEN_BYTES: "registrations",
}
