"""Send a server five times the pictures and videos that it can take, beside lookups by hash.

Callers that wait for each answer find the peak, and calls that arrive at random times the share of
it that the server sustains. Then three times: the peak again, five times the sustained rate,
whatever becomes of the calls, and half of it. So both rates meet what else the machine does.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

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
from benchmarks.load.site import Result, Settings, Site
from disrupt.errors import OverloadedError

_CALLERS = 16
"""Callers of the closed loop."""
_STEPS = (0.7, 0.8, 0.9, 1.0)
"""Rates that are tried in turn, as shares of the peak; the first is taken for sustained."""
_SUSTAINED = 0.99
"""Least share of the calls that are answered at a rate which is sustained."""
_BEYOND, _AFTER = 5.0, 0.5
_ROUNDS = 3
_LOOKUPS_PER_S = 20.0
_GOODPUT = 0.8
_REFUSED_MS = 100.0
_RECOVERED_S = 5.0
_REFUSED = OverloadedError.reason


@dataclass(frozen=True, slots=True)
class Overload:
    """Figures of a run. Rates are of pictures and videos together.

    Times of refusals are from the sending to the refusal, others from when a call was due.
    ``recovery_s``: longest time from the end of the load to when a call came that was not answered.
    Lookups are those by hash beside five times the sustained rate, and after it.
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
    after_lookups_p99_ms: float
    failed_lookups: int
    outcomes: dict[str, int]

    @property
    def tables(self) -> dict[str, list[dict[str, object]]]:
        """Return the figures as tables: of the run, and of outcomes."""
        figures = asdict(self)
        outcomes = figures.pop("outcomes")
        return {
            "overload": [{"figure": name, "value": value} for name, value in figures.items()],
            "outcomes": [{"outcome": name, "calls": count} for name, count in outcomes.items()],
        }

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


def overload(settings: Settings) -> Result:
    """Go beyond what a server can take, and judge it."""

    async def measured(site: Site) -> Overload:
        async with Callers(site.server, site.codes, site.seed) as callers:
            return await _overloaded(callers, settings.seconds, site.seed)

    with Site.started(settings) as site:
        result = asyncio.run(measured(site))
    return Result({**result.tables}, result.failures)


async def _overloaded(callers: Callers, seconds: float, seed: int) -> Overload:
    """Find what the server sustains, go beyond it, and come back; each turn takes ``seconds``."""
    chance = random.Random(seed)

    async def peak() -> float:
        called: list[Called] = []
        await closed_loop(callers.media, _CALLERS, seconds, called)
        return max(goodput_per_s(called, seconds), 1 / seconds)

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

    await peak()  # warms up
    sustained = _STEPS[0]
    for share in _STEPS[1:]:
        called = await opened(callers.media, share * await peak())
        if sum(call.outcome == OK for call in called) < _SUSTAINED * len(called):
            break
        sustained = share
    peaks_per_s, media, lookups = [], list[Called](), list[Called]()
    for _ in range(_ROUNDS):
        peaks_per_s.append(await peak())
        rate_per_s = sustained * peaks_per_s[-1]
        turn = await asyncio.gather(
            opened(callers.media, _BEYOND * rate_per_s, _AFTER * rate_per_s),
            opened(callers.lookup, _LOOKUPS_PER_S, _LOOKUPS_PER_S),
        )
        media += turn[0]
        lookups += turn[1]
    beyond = [call for call in media if call.due_s < seconds]
    refused_s = [call.served_s for call in beyond if call.outcome == _REFUSED]
    during, after = (
        [call for call in lookups if (call.due_s < seconds) is is_beyond]
        for is_beyond in (True, False)
    )
    peak_per_s = sum(peaks_per_s) / _ROUNDS
    goodput = goodput_per_s(beyond, seconds) / _ROUNDS
    return Overload(
        sustained_per_s=sustained * peak_per_s,
        peak_per_s=peak_per_s,
        offered_per_s=len(beyond) / seconds / _ROUNDS,
        goodput_per_s=goodput,
        goodput_share=goodput / peak_per_s,
        answered_p99_ms=_p99_ms(beyond),
        refused=len(refused_s),
        refused_p50_ms=quantile_ms(refused_s, 0.5),
        refused_p99_ms=quantile_ms(refused_s, 0.99),
        recovery_s=max([0.0, *(call.due_s - seconds for call in media if call.outcome != OK)]),
        lookups=len(lookups),
        lookups_p99_ms=_p99_ms(during),
        after_lookups_p99_ms=_p99_ms(after),
        failed_lookups=sum(call.outcome != OK for call in lookups),
        outcomes=dict(Counter(call.outcome for call in media)),
    )


def _p99_ms(called: Sequence[Called]) -> float:
    return quantile_ms([call.took_s for call in called if call.outcome == OK], 0.99)
