"""Simulate who waits, and what a flood gains, where more is registered than goes live at once.

People and floods share one address, or one key, for a day. What goes live at once is counted by the
server's own code; turns are given as the registry gives them, whose tests hold it to this order.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from benchmarks.harness.report import outputs, publish, show
from disrupt.server.config import Config
from disrupt.services.live_limits import LiveLimits

_H_S, _DAY_S = 3600.0, 86_400.0
_DAY = "2026-01-01"
_KEY = "key"
_MOST_PICTURES = 64
_MEDIAN_PICTURES, _SPREAD = 5.0, 0.9
"""Pictures of a case: half have up to five, one in a hundred has some forty."""
_CALLS_PER_S = 2.0
"""Calls that the page's gateway lets one network make."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A case that registers pictures at a time, all in one call."""

    at_s: float
    case: int
    pictures: int
    is_honest: bool
    paid: int
    """Pictures, the first ones, whose turns the device has paid for."""


@dataclass(frozen=True, slots=True)
class Row:
    """Waits of honest people, in hours, and pictures of the flood that were live after a day.

    ``first`` is the wait of the first picture of a case, ``any`` of every picture. ``cpu_h`` is the
    processor time that the flood spent on proofs of work.
    """

    scenario: str
    pictures_at_once: int
    turns_per_h: float
    people: int
    at_once_share: float
    first_median_h: float
    first_worst_h: float
    any_worst_h: float
    flood_live: int
    flood_most: int
    cpu_h: float


@dataclass(slots=True)
class _Queue:
    """Queue of the waiting items of one network, in the order in which they go live."""

    waiting: dict[tuple[int, bool], deque[int]] = field(default_factory=dict)
    had: Counter[int] = field(default_factory=Counter)
    heap: list[tuple[bool, int, int, int]] = field(default_factory=list)

    def add(self, case: int, number: int, *, is_paid: bool) -> None:
        numbers = self.waiting.setdefault((case, is_paid), deque())
        numbers.append(number)
        if len(numbers) == 1:
            self._push(case, is_paid=is_paid)

    def next(self) -> tuple[int, int] | None:
        """Remove and return number and case of the picture whose turn it is."""
        while self.heap:
            is_unpaid, had, _, case = heapq.heappop(self.heap)
            numbers = self.waiting[case, not is_unpaid]
            if had != self.had[case]:  # it had a turn for what it has paid for meanwhile
                self._push(case, is_paid=not is_unpaid)
                continue
            number = numbers.popleft()
            self.had[case] += 1
            if numbers:
                self._push(case, is_paid=not is_unpaid)
            return number, case
        return None

    def _push(self, case: int, *, is_paid: bool) -> None:
        first = self.waiting[case, is_paid][0]
        heapq.heappush(self.heap, (not is_paid, self.had[case], first, case))


def people(chance: random.Random, count: int, hours: float) -> Iterator[Arrival]:
    """Yield honest cases, spread over the first hours of a day; their devices pay for all."""
    for case in range(count):
        pictures = math.ceil(chance.lognormvariate(math.log(_MEDIAN_PICTURES), _SPREAD))
        at_s = chance.uniform(0, hours) * _H_S
        pictures = min(pictures, _MOST_PICTURES)
        yield Arrival(at_s, case, pictures, is_honest=True, paid=pictures)


def flood(cases: int, calls: int, *, paid: int) -> Iterator[Arrival]:
    """Yield the calls of a flood, of as many pictures as a call may have, from the begin on."""
    for call in range(calls):
        yield Arrival(
            *(call / _CALLS_PER_S, -1 - call % cases, _MOST_PICTURES),
            is_honest=False,
            paid=paid,
        )


def simulate(
    arrivals: Iterable[Arrival], *, at_once: int, per_h: float, origins: tuple[bytes, ...]
) -> tuple[dict[int, list[float]], int]:
    """Return the waits of each honest case's pictures, in s, and how much of the flood was live."""
    limits = LiveLimits(at_once, at_once)
    queue, came = _Queue(), dict[int, Arrival]()
    waits, numbers = dict[int, list[float]](), itertools.count()
    flooded, next_s = 0, 0.0

    def turns(until_s: float) -> None:
        nonlocal flooded, next_s
        while next_s <= until_s:
            turn = queue.next()
            if turn is None:
                next_s = max(next_s, until_s)
                return
            arrival = came[turn[0]]
            if arrival.is_honest:
                waits[arrival.case].append(next_s - arrival.at_s)
            else:
                flooded += next_s <= _DAY_S
            next_s += _H_S / per_h

    for arrival in sorted(arrivals, key=lambda arrival: arrival.at_s):
        turns(arrival.at_s)
        of_case = waits.setdefault(arrival.case, []) if arrival.is_honest else []
        for place in range(arrival.pictures):
            if limits.left(_KEY, origins, _DAY) >= 1:
                limits.charge(_KEY, origins, 1, _DAY)
                of_case.append(0.0)
                flooded += not arrival.is_honest
                continue
            number = next(numbers)
            came[number] = arrival
            queue.add(arrival.case, number, is_paid=place < arrival.paid)
    turns(math.inf)
    return waits, flooded


def measure(at_once: int, per_key: int, per_h: float, proof_s: float, scale: float) -> list[Row]:
    """Simulate every scenario with one pair of limits; ``scale`` shortens the floods."""
    cases = max(round(1000 * scale), 2)
    mobile = 40, 24.0
    scenarios: dict[str, tuple[int, float, tuple[bytes, ...], list[Arrival]]] = {
        "a school: 30 people in an hour": (30, 1.0, (b"a",), []),
        "a mobile network: 40 people in a day": (*mobile, (b"a",), []),
        "a helpline's address: 40 people in 8 hours": (40, 8.0, (b"a",), []),
        "a helpline's key: 200 people in 8 hours": (200, 8.0, (), []),
    }
    floods = {
        "one case": (1, 0),
        f"{cases} cases, unpaid": (cases, 0),
        f"{cases} cases, a proof each": (cases, 1),
    }
    for name, (count, paid) in floods.items():
        calls = list(flood(count, cases, paid=paid))
        scenarios[f"mobile, and a flood of {name}"] = (*mobile, (b"a",), calls)
    rows = []
    for name, (count, hours, origins, flooding) in scenarios.items():
        most = at_once if origins else per_key
        arrivals = [*people(random.Random(1), count, hours), *flooding]
        waits, flooded = simulate(arrivals, at_once=most, per_h=per_h, origins=origins)
        every = [wait / _H_S for of_case in waits.values() for wait in of_case]
        firsts = sorted(min(of_case) / _H_S for of_case in waits.values())
        proofs = sum(arrival.paid for arrival in flooding)
        rows.append(
            Row(
                *(name, most, per_h, count),
                sum(wait == 0 for wait in every) / len(every),
                *(firsts[len(firsts) // 2], firsts[-1], max(every)),
                *(flooded, round(most + 24 * per_h + 1) if flooding else 0),
                proofs * proof_s / _H_S,
            )
        )
    return rows


@click.command(help=__doc__)
@click.option("--pictures", "at_once", type=int, multiple=True, help="Pictures of a network a day.")
@click.option("--turns", "per_h", type=float, multiple=True, help="Turns an hour.")
@click.option(
    "--proof-s", default=0.6, show_default=True, help="Processor time of a proof for one picture."
)
@click.option("--scale", default=1.0, show_default=True, help="Length of the floods.")
@outputs(cannot_show="Nobody has watched how people and floods really arrive; both are assumed.")
def main(
    at_once: tuple[int, ...],
    per_h: tuple[float, ...],
    proof_s: float,
    scale: float,
) -> None:
    """Print the waits for each pair of limits, by default those of the server."""
    config = Config(data_dir=Path())
    pairs = itertools.product(
        at_once or (config.live_pictures_per_origin,), per_h or (config.turns_per_h,)
    )
    rows = [
        row
        for most, turns in pairs
        for row in measure(*(most, config.live_pictures_per_key, turns, proof_s, scale))
    ]
    show([asdict(row) for row in rows])
    failures = [
        f"{row.scenario}: {row.flood_live} pictures of the flood are live"
        for row in rows
        if row.flood_live > row.flood_most
    ]
    publish({"rows": [asdict(row) for row in rows]}, failures=failures)


if __name__ == "__main__":
    main()
