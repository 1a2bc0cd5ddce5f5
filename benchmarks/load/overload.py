"""Send a server five times the pictures and videos that it can take, beside lookups by hash.

A closed loop finds the peak; an open loop at half of it says how long a call takes on a calm day.
Then calls arrive at five times the peak, whatever becomes of them: goodput must stay at 80 % of the
peak, whoever is refused must hear so within 50 ms, with a time to try again, and lookups by hash
must go on without an error. Then, at once, half of the peak again: within 5 s at most one call in a
hundred may be refused, or take longer than three times as on the calm day. Callers are four
organisations, as one alone has half of a server at most. Exit code 1 if a bound is missed.

    ./scripts/bench overload --json overload.json
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

import click

from benchmarks.harness.deployment import WITH_BYTECODE, Deployment
from benchmarks.harness.videos import encode, footage
from benchmarks.load.arrivals import (
    OK,
    Call,
    Called,
    closed_loop,
    due,
    goodput,
    open_loop,
    quantiles_ms,
)
from benchmarks.load.mix import jpeg
from disrupt import logs
from disrupt.client import AsyncMatchClient
from disrupt.client.retries import RetryPolicy
from disrupt.core.policy import Right
from disrupt.errors import DisruptError, OverloadedError
from disrupt.server.upkeep.administration import administration
from disrupt.wire import admin as wire

SABOTAGES = ("endless-queues",)

_ORGANISATIONS = 4
_CALLERS = 4
"""Callers of the closed loop, for each organisation."""
_VIDEOS = 0.1
"""Share of the heavy calls that send a video."""
_BEYOND = 5.0
_CALM = 0.5
_GOODPUT = 0.8
_REFUSED_MS = 50.0
_RECOVERED_S = 5.0
_AS_CALM = 3.0
_LOOKUPS_PER_S = 20.0
_PICTURES = 16
_ENDLESS = "hashing_queue = 100000\nvideo_queue = 100000\n"
_LATE, _ONE = 0.01, 1
"""Share of calls that may be late for another reason, and one more."""
_TIMEOUT_S = 120.0
_VIDEO_S = 2.0
_REFUSED = OverloadedError.reason


@dataclass
class Report:
    """Figures of a run; rates of pictures and videos together, a second."""

    peak_per_s: float = 0.0
    calm_p99_ms: float = 0.0
    goodput_per_s: float = 0.0
    goodput_share: float = 0.0
    refused: int = 0
    refused_p99_ms: float = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)
    lookups: int = 0
    lookup_errors: int = 0
    lookups_p99_ms: float = 0.0
    recovery_s: float = 0.0

    @property
    def failures(self) -> list[str]:
        """Name the bounds that are missed."""
        odd = [name for name in self.outcomes if name not in {OK, _REFUSED}]
        checks = {
            f"goodput is less than {_GOODPUT:.0%} of the peak": self.goodput_share < _GOODPUT,
            f"refusals take more than {_REFUSED_MS:g} ms": self.refused_p99_ms > _REFUSED_MS,
            "nothing was refused": not self.refused,
            f"calls ended otherwise: {', '.join(odd)}": bool(odd),
            "lookups by hash failed": bool(self.lookup_errors),
            f"recovery takes more than {_RECOVERED_S:g} s": self.recovery_s > _RECOVERED_S,
        }
        return [text for text, is_so in checks.items() if is_so]


class _Callers:
    """Organisations with a client each; an asynchronous context."""

    def __init__(self, server: Deployment, seed: int) -> None:
        self._server = server
        self._chance = random.Random(seed)
        self._pictures = [jpeg(seed + at) for at in range(_PICTURES)]
        self._video = encode(footage(seed, seconds=_VIDEO_S))
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._clients = [
            await self._stack.enter_async_context(
                AsyncMatchClient(
                    self._server.address,
                    key=_key(self._server, f"organisation {number}"),
                    timeout_s=_TIMEOUT_S,
                    retries=RetryPolicy(attempts=1),
                )
            )
            for number in range(_ORGANISATIONS)
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def heavy(self) -> Call:
        """Draw a picture or a video, of any organisation."""
        client = self._chance.choice(self._clients)
        if self._chance.random() < _VIDEOS:
            return _call("video", lambda: client.match_video(self._video, hash_locally=False))
        picture = self._chance.choice(self._pictures)
        return _call("picture", lambda: client.match_image(picture, hash_locally=False))

    def light(self) -> Call:
        """Draw a lookup by hash, of any organisation."""
        client = self._chance.choice(self._clients)
        return _call("lookup", lambda: client.match_hashes(secrets.token_bytes(32)))

    async def arriving(
        self, seconds: float, draw: Callable[[], Call], *rates_per_s: float
    ) -> list[Called]:
        """Make calls at random times, at one mean rate after another, each for so long."""
        times_s = (
            at * seconds + due_s
            for at, rate_per_s in enumerate(rates_per_s)
            for due_s in due(rate_per_s, seconds, self._chance)
        )
        called: list[Called] = []
        await open_loop(draw, times_s, called)
        return called


def _call(kind: str, make: Callable[[], Awaitable[object]]) -> Call:
    async def outcome() -> str:
        try:
            await make()
        except DisruptError as error:
            told = "" if error.retry_after_s is not None else " without a time to try again"
            return f"{error.reason}{told}"
        return OK

    return Call(kind, outcome)


def _key(server: Deployment, organisation: str) -> str:
    with administration(server.data_dir) as admin:
        request = wire.create_request(organisation, (Right.MATCH,), ())
        return str(admin.create(request).secret)


async def overload(server: Deployment, seconds: float, seed: int) -> Report:
    """Find the peak, go beyond it, and come back; each part takes so long."""
    report = Report()
    async with _Callers(server, seed) as callers:
        warming: list[Called] = []
        await closed_loop(callers.heavy, _ORGANISATIONS * _CALLERS, seconds / 4, warming)
        at_peak: list[Called] = []
        await closed_loop(callers.heavy, _ORGANISATIONS * _CALLERS, seconds, at_peak)
        peak_per_s = goodput(at_peak, seconds)
        calm = await callers.arriving(seconds, callers.heavy, _CALM * peak_per_s)
        rates_per_s = (_BEYOND * peak_per_s, _CALM * peak_per_s)
        async with asyncio.TaskGroup() as group:
            heavy = group.create_task(callers.arriving(seconds, callers.heavy, *rates_per_s))
            lookups = group.create_task(callers.arriving(seconds, callers.light, _LOOKUPS_PER_S))
    beyond = [call for call in heavy.result() if call.due_s < seconds]
    after = [call for call in heavy.result() if call.due_s >= seconds]
    report.peak_per_s = round(peak_per_s, 2)
    calm_s = [call.took_s for call in calm if call.outcome == OK]
    (report.calm_p99_ms,) = quantiles_ms(calm_s, 0.99) or [0.0]
    _sum_up(report, beyond, seconds)
    light = lookups.result()
    report.lookups = len(light)
    report.lookup_errors = sum(call.outcome != OK for call in light)
    (report.lookups_p99_ms,) = quantiles_ms([call.took_s for call in light], 0.99) or [0.0]
    report.recovery_s = recovery_s(after, seconds, _AS_CALM * report.calm_p99_ms / 1000)
    return report


def _sum_up(report: Report, beyond: Sequence[Called], seconds: float) -> None:
    report.outcomes = dict(Counter(call.outcome for call in beyond))
    report.goodput_per_s = round(goodput(beyond, seconds), 2)
    report.goodput_share = round(report.goodput_per_s / max(report.peak_per_s, 1e-9), 3)
    refused_s = [call.served_s for call in beyond if call.outcome == _REFUSED]
    report.refused = len(refused_s)
    (report.refused_p99_ms,) = quantiles_ms(refused_s, 0.99) or [0.0]


def recovery_s(after: Sequence[Called], since_s: float, most_s: float) -> float:
    """Return how long after ``since_s`` calls are well: of those due later, 99 % are.

    A call is well that is answered within ``most_s``.
    """
    late = 0
    for count, call in enumerate(sorted(after, key=lambda call: -call.due_s), start=1):
        late += call.outcome != OK or call.took_s > most_s
        if late > _LATE * count + _ONE:
            return round(call.due_s - since_s, 2)
    return 0.0


@click.command(help=__doc__)
@click.option("--seconds", default=20.0, show_default=True, help="Of each part.")
@click.option("--workers", default=1, show_default=True, help="Of the server.")
@click.option("--seed", default=1, show_default=True)
@click.option("--sabotage", type=click.Choice(SABOTAGES), help="Let all wait: must be found.")
@click.option(
    "--json", "json_path", required=True, help="File for the report, - for standard output."
)
def main(seconds: float, workers: int, seed: int, sabotage: str | None, json_path: str) -> None:
    """Overload, write the report; exit with 1 if a bound is missed."""
    logs.configure("overload", "warning")
    with tempfile.TemporaryDirectory(prefix="disrupt-overload-") as work:
        server = Deployment.start(
            Path(work) / "data",
            workers=workers,
            settings=_ENDLESS if sabotage else "",
            wrapper=WITH_BYTECODE,
        )
        try:
            report = asyncio.run(overload(server, seconds, seed))
        finally:
            with suppress(ProcessLookupError):
                server.kill()
    for failure in report.failures:
        print(f"Failed: {failure}.", file=sys.stderr)
    result = asdict(report) | {"failures": report.failures, "sabotage": sabotage}
    with click.open_file(json_path, "w") as file:
        file.write(json.dumps(result, indent=2) + "\n")
    sys.exit(bool(report.failures))


if __name__ == "__main__":
    main()
