"""Let items that wait for their turns go live, each queue at its pace."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import date

from disrupt.core.plausibility import pictures
from disrupt.registry.records import TurnQueue
from disrupt.registry.registry import RegistryWriter

_H_S = 3600.0
_AT_ONCE = 100
"""Most items of a queue that one step lets go live."""
_LATE_S = 120.0
"""Longest time that a queue catches up with after it was not looked at."""
_LEAST_PER_H = 1.0


@dataclass(slots=True)
class Turns:
    """Let ``per_h`` pictures an hour of each queue go live; a video takes several turns.

    An origin has a queue for each day, since its tag changes: those of earlier days go at half the
    pace for each day, one picture an hour at least, so that who floods for days gains no more than
    twice the pace. For one thread at a time. Every queue begins with a turn, also after a restart.
    """

    registry: RegistryWriter
    per_h: float
    _next_s: dict[tuple[bytes | None, str], float] = field(default_factory=dict, init=False)
    """When a queue has its next turn."""
    longest: int = field(default=0, init=False)
    """Items of the longest queue, as of the last step."""

    def step(self, now_s: float, *, at_s: int, day: str) -> None:
        """Give the turns that are due; ``now_s`` of one clock, ``day`` today's ISO date (UTC)."""
        queues = self.registry.turn_queues()
        self.longest = max((queue.items for queue in queues), default=0)
        present = {(queue.origin_tag, queue.key_id) for queue in queues}
        self._next_s = {
            name: next_s
            for name, next_s in self._next_s.items()
            if name in present or next_s > now_s
        }
        for queue in queues:
            self._step(queue, now_s, at_s, day)

    def _step(self, queue: TurnQueue, now_s: float, at_s: int, day: str) -> None:
        name, turn_s = (queue.origin_tag, queue.key_id), _H_S / self._per_h(queue, day)
        next_s = max(self._next_s.get(name, now_s), now_s - _LATE_S)
        numbers = []
        if next_s <= now_s:
            for turn in self.registry.next_turns(queue, _AT_ONCE):
                if next_s > now_s:
                    break
                numbers.append(turn.number)
                next_s += turn_s * pictures(turn.hashes)
        if numbers:
            self.registry.give_turns(numbers, at_s=at_s)
        self._next_s[name] = next_s

    def _per_h(self, queue: TurnQueue, day: str) -> float:
        if queue.origin_tag is None:
            return self.per_h
        days = (date.fromisoformat(day) - date.fromisoformat(queue.day)).days
        return max(self.per_h * math.ldexp(1.0, -max(days, 0)), _LEAST_PER_H)
