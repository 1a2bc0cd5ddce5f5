"""Send a server five times the pictures and videos that it can take, beside lookups by hash.

A closed loop guesses the peak, and open loops around it find the rate that the server sustains, and
that of its largest goodput. This rate takes turns with five times the sustained one, whatever
becomes of the calls; at last comes half of what is sustained.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.load.arrivals import (
    OK,
    Called,
    Draw,
    arrivals,
    closed_loop,
    goodput_per_s,
    open_loop,
    quantile_ms,
)
from benchmarks.load.calls import Callers
from disrupt.errors import OverloadedError

_CALLERS = 16
"""Callers of the closed loop."""
_STEPS = (0.7, 0.85, 1.0, 1.15)
"""Rates that are tried, as shares of the closed loop's."""
_SUSTAINED = 0.99
"""Least share of the calls that are answered at a rate which is sustained."""
_BEYOND, _AFTER = 5.0, 0.5
_ROUNDS = 3
"""Turns of the peak and of the load beyond it, so that both meet what else the machine does."""
_LOOKUPS_PER_S = 20.0
_GOODPUT = 0.8
_REFUSED_MS = 100.0
_RECOVERED_S = 5.0
_REFUSED = OverloadedError.reason


@dataclass(frozen=True, slots=True)
class Overload:
    """Figures of a run. Rates are of pictures and videos together.

    Times of refusals are from the sending to the refusal, others from when a call was due.
    ``recovery_s``: time from the end of the load to when the last call came that was not answered.
    """

    sustained_per_s: float
    peak_per_s: float
    offered_per_s: float
    goodput_per_s: float
    goodput_share: float
    answered_p99_ms: float
    refused: int
    refused_p50_ms: float
    refused_p99_ms: float
    recovery_s: float
    lookups: int
    lookups_p99_ms: float
    peak_lookups_p99_ms: float
    failed_lookups: int
    outcomes: dict[str, int]

    @property
    def failures(self) -> list[str]:
        """Name the bounds that are missed."""
        odd = [name for name in self.outcomes if name not in {OK, _REFUSED}]
        checks = {
            f"goodput is below {_GOODPUT:.0%} of the peak": self.goodput_share < _GOODPUT,
            "nothing was refused": not self.refused,
            f"1 in 100 refusals takes over {_REFUSED_MS:g} ms": self.refused_p99_ms > _REFUSED_MS,
            f"recovery takes over {_RECOVERED_S:g} s": self.recovery_s > _RECOVERED_S,
            "lookups by hash failed": self.failed_lookups > 0,
            f"calls ended otherwise: {', '.join(odd)}": bool(odd),
        }
        return [text for text, is_so in checks.items() if is_so]


async def overload(callers: Callers, seconds: float, seed: int) -> Overload:
    """Find what the server sustains, go beyond it, and come back; a part takes ``seconds``."""
    chance = random.Random(seed)

    async def opened(draw: Draw, *rates_per_s: float) -> list[Called]:
        """Let calls arrive at one rate after the other, each for ``seconds``."""
        times_s = (
            at * seconds + due_s
            for at, rate_per_s in enumerate(rates_per_s)
            for due_s in arrivals(rate_per_s, seconds, chance)
        )
        called: list[Called] = []
        await open_loop(draw, times_s, called)
        return called

    warming: list[Called] = []
    await closed_loop(callers.media, _CALLERS, seconds, warming)
    guess_per_s = goodput_per_s(warming, seconds)
    sustained_per_s, best_per_s, peak_per_s = _STEPS[0] * guess_per_s, 0.0, 0.0
    for share in _STEPS:
        called = await opened(callers.media, share * guess_per_s)
        goodput = goodput_per_s(called, seconds)
        if goodput > peak_per_s:
            best_per_s, peak_per_s = share * guess_per_s, goodput
        if sum(call.outcome == OK for call in called) >= _SUSTAINED * len(called):
            sustained_per_s = share * guess_per_s
    rates_per_s = (*(best_per_s, _BEYOND * sustained_per_s) * _ROUNDS, _AFTER * sustained_per_s)
    media, lookups = await asyncio.gather(
        opened(callers.media, *rates_per_s),
        opened(callers.lookup, *[_LOOKUPS_PER_S] * len(rates_per_s)),
    )
    end_s = 2 * _ROUNDS * seconds

    def at_peak(time_s: float) -> bool:
        return time_s < end_s and int(time_s / seconds) % 2 == 0

    def beyond(time_s: float) -> bool:
        return time_s < end_s and int(time_s / seconds) % 2 == 1

    answered = [call for call in media if call.outcome == OK]
    peak, goodput = (
        sum(during(call.ended_s) for call in answered) / (_ROUNDS * seconds)
        for during in (at_peak, beyond)
    )
    refused_s = [call.served_s for call in media if beyond(call.due_s) and call.outcome == _REFUSED]
    missed_s = [call.due_s - end_s for call in media if call.outcome != OK]
    return Overload(
        sustained_per_s=sustained_per_s,
        peak_per_s=peak,
        offered_per_s=sum(beyond(call.due_s) for call in media) / (_ROUNDS * seconds),
        goodput_per_s=goodput,
        goodput_share=goodput / peak,
        answered_p99_ms=_p99_ms([call for call in answered if beyond(call.due_s)]),
        refused=len(refused_s),
        refused_p50_ms=quantile_ms(refused_s, 0.5),
        refused_p99_ms=quantile_ms(refused_s, 0.99),
        recovery_s=max(0.0, *missed_s) if missed_s else 0.0,
        lookups=len(lookups),
        lookups_p99_ms=_p99_ms([call for call in lookups if beyond(call.due_s)]),
        peak_lookups_p99_ms=_p99_ms([call for call in lookups if at_peak(call.due_s)]),
        failed_lookups=sum(call.outcome != OK for call in lookups),
        outcomes=dict(Counter(call.outcome for call in media)),
    )


def _p99_ms(called: Sequence[Called]) -> float:
    return quantile_ms([call.took_s for call in called if call.outcome == OK], 0.99)
