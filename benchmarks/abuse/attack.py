"""Define what every attack has: a target, a pace, and results."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import grpc
from grpc import aio

from benchmarks.abuse.wire import Wire
from disrupt.client.failures import failure

MATCH, REGISTRATION = "/disrupt.v1.MatchService", "/disrupt.v1.RegistrationService"
HEALTH = "/grpc.health.v1.Health"

TICK_S = 0.5
_AGAIN_PER_TICK = 40
"""Most calls that a crowd begins anew per tick: no flood, but as many as never end."""
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Keys:
    """Secrets of keys with one right each."""

    match: str
    register: str


@dataclass(frozen=True, slots=True)
class Target:
    """Server, keys and files of an attacker, and what it knows of somebody else's case."""

    address: str
    keys: Keys
    max_message_bytes: int
    registration: bytes
    """Serialized RegisterHashesRequest that was answered with ``case``."""
    case: str
    video: bytes
    """A file that can be decoded as it comes."""


@dataclass(frozen=True, slots=True)
class Toll:
    """Results of an attack: answers by reason, and the processor time that it took itself."""

    answers: Counter[str]
    seconds: float
    cpu_s: float

    @property
    def cpu_share(self) -> float:
        """Processor time of the attacker, as a share of one core."""
        return self.cpu_s / self.seconds


@dataclass(eq=False, slots=True)
class Attack:
    """One attack under way, which takes ``most_cpu_share`` of a core at most."""

    target: Target
    most_cpu_share: float = math.inf
    answers: Counter[str] = field(default_factory=Counter)
    under_way: asyncio.Event = field(default_factory=asyncio.Event)
    chance: random.Random = field(default_factory=random.Random)
    _began_s: float = 0.0
    _began_cpu_s: float = 0.0

    def begin(self) -> None:
        """Count answers, time and processor time from now on."""
        self.answers.clear()
        self._began_s, self._began_cpu_s = time.monotonic(), time.process_time()

    def toll(self) -> Toll:
        """Return its results since it began."""
        return Toll(
            self.answers,
            time.monotonic() - self._began_s,
            time.process_time() - self._began_cpu_s,
        )

    async def breathe(self) -> None:
        """Wait while it has taken more than its share of a core."""
        toll = self.toll()
        if self.under_way.is_set():
            await asyncio.sleep(max(0.0, toll.cpu_s / self.most_cpu_share - toll.seconds))

    async def unary(
        self, channel: aio.Channel, method: str, request: bytes, about: str = ""
    ) -> None:
        """Call, and count the answer under a name that begins with ``about``."""
        call: Any = channel.unary_unary(method)
        await self._counted(call(request, **self._options(method)), about)

    async def stream(self, channel: aio.Channel, method: str, requests: Iterable[bytes]) -> None:
        """Call with a stream of messages, and count the answer."""

        async def sent() -> AsyncIterator[bytes]:
            for request in requests:
                yield request

        call: Any = channel.stream_unary(method)
        await self._counted(call(sent(), **self._options(method)))

    def key(self, method: str) -> str | None:
        """Secret of the key that a method takes."""
        keys = {MATCH: self.target.keys.match, REGISTRATION: self.target.keys.register}
        return keys.get(method.rpartition("/")[0])

    def channel(self) -> aio.Channel:
        """Open a connection of its own, for messages of any size."""
        return aio.insecure_channel(
            self.target.address,
            options=[
                ("grpc.use_local_subchannel_pool", 1),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ],
        )

    def _options(self, method: str) -> dict[str, object]:
        return {
            "metadata": (("authorization", f"Bearer {self.key(method)}"),),
            "timeout": _TIMEOUT_S,
        }

    async def _counted(self, call: Awaitable[object], about: str = "") -> None:
        try:
            await call
            self.answers[f"{about}OK"] += 1
        except grpc.RpcError as error:
            self.answers[f"{about}{failure(error, self.target.address).reason}"] += 1


async def at_pace(
    attack: Attack,
    call: Callable[[int], Coroutine[Any, Any, None]],
    *,
    every_s: float,
    most: int,
    at_once: int = 1,
) -> None:
    """Make ``at_once`` calls every ``every_s``, unless more than ``most`` would be open."""
    loop, open_ = asyncio.get_running_loop(), set[asyncio.Future[None]]()
    next_s = loop.time()
    async with asyncio.TaskGroup() as tasks:
        for number in count():
            await attack.breathe()
            if len(open_) + at_once <= most:
                for at in range(at_once):
                    task = tasks.create_task(call(number * at_once + at))
                    open_.add(task)
                    task.add_done_callback(open_.discard)
            attack.under_way.set()
            next_s = max(next_s + every_s, loop.time() - 1)
            await asyncio.sleep(next_s - loop.time())


async def crowd(
    attack: Attack,
    method: str,
    begins: bytes,
    *,
    calls: int,
    connections: int,
    then: Callable[[], Iterable[bytes]] = tuple,
) -> None:
    """Keep calls open that begin with ``begins``; each sends a part of its own ``then`` each tick.

    None of them ends. Calls that the server ends are slowly begun anew, and so are connections.
    """
    pause = math.ceil(connections / _AGAIN_PER_TICK)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(
                _connection(attack, method, begins, calls // connections, then, pause)
            )


async def _connection(
    attack: Attack,
    method: str,
    begins: bytes,
    calls: int,
    then: Callable[[], Iterable[bytes]],
    pause: int,
) -> None:
    """Keep calls open on one connection; begin one anew each ``pause`` ticks."""
    wire: Wire | None = None
    left = calls

    async def speak(on: Wire, call: int) -> None:
        await on.send(call, begins)
        for part in then():
            await asyncio.sleep(TICK_S)
            await attack.breathe()
            if call not in on.calls:
                break
            await on.send(call, part)

    try:
        async with asyncio.TaskGroup() as tasks:
            for tick in count(1):
                if wire is None or not wire.is_open:
                    with suppress(OSError):
                        wire = await Wire.open(attack.target.address)
                while wire is not None and len(wire.calls) < calls and left:
                    left -= 1
                    call = wire.begin(method, attack.key(method))
                    if call is None:
                        break
                    attack.answers["BEGUN"] += 1
                    tasks.create_task(speak(wire, call))
                attack.under_way.set()
                await asyncio.sleep(TICK_S)
                left = int(tick % pause == 0)
    finally:
        if wire is not None:
            wire.close()
