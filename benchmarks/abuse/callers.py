"""Honest callers, in an open loop: calls begin when they are due, whatever became of others."""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from disrupt.client.connection import connect
from disrupt.submission import requests
from disrupt.v1 import match_pb2, registration_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub
from rig.media.photographs import EVERYWHERE
from rig.media.videos import photograph
from rig.model.write import Write

_BATCH = 64
_PICTURES_EVERY = 20
"""Lookups from one picture to the next; the others are of hashes."""
_PICTURE_PX = 512
_CONNECTIONS = 4
_WITHIN_S = 10.0
"""Deadline of a lookup: one that is answered later is no answer."""
_HEALTH_WITHIN_S = 5.0
_LONGEST_S = 60.0
_EVERY_S = 1.0
"""From a withdrawal, and a check of health, to the next."""
_SERVICES = ("", "disrupt.v1.MatchService", "disrupt.v1.RegistrationService")


@dataclass(frozen=True, slots=True)
class Call:
    """One call: ``lookup``, ``withdrawal`` or ``health``; its time in s, and whether it was good.

    A good lookup of a hash that is registered has its match.
    """

    kind: str
    took_s: float
    good: bool


class Callers:
    """Callers of a server behind the proxy. For one event loop."""

    def __init__(self, address: str, authority: str, match_key: str, register_key: str) -> None:
        ours, theirs = (
            connect(address, key, authority.encode()) for key in (match_key, register_key)
        )
        self._match: list[Any] = [MatchServiceStub(ours.open_async()) for _ in range(_CONNECTIONS)]
        channel = theirs.open_async()
        self._registration: Any = RegistrationServiceStub(channel)
        self._health: Any = HealthStub(channel)
        self._of_match, self._of_registration = ours.metadata, theirs.metadata
        self._chance = random.Random(1)
        image = photograph(EVERYWHERE[0]).convert("RGB")
        image.thumbnail((_PICTURE_PX, _PICTURE_PX))
        file = io.BytesIO()
        image.save(file, "JPEG")
        self._picture = match_pb2.MatchImageRequest(image=file.getvalue())
        self._registered = bytes(32)

    async def register(self) -> None:
        """Register the hash that lookups have to find, and wait until they do."""
        write = Write.new(self._chance, items=1, hashes=1)
        await self._registration.RegisterHashes(write.request, metadata=self._of_registration)
        self._registered = write.hashes[0].value
        while not (await self._look_up(1)).good:
            pass

    async def capacity(self, seconds: float, at_once: int = 16) -> float:
        """Return the good lookups a second of callers that wait for each other's answers."""
        give_up_s = time.monotonic() + seconds

        async def repeat(first: int) -> int:
            good, number = 0, first
            while time.monotonic() < give_up_s:
                good += (await self._look_up(number)).good
                number += 1
            return good

        good = await asyncio.gather(*(repeat(number) for number in range(at_once)))
        return sum(good) / seconds

    async def call(self, per_s: float, seconds: float) -> list[Call]:
        """Make ``per_s`` lookups a second, evenly, and withdrawals and checks of health beside."""
        async with asyncio.TaskGroup() as tasks:
            begun = [
                tasks.create_task(_at(at_s, call))
                for at_s, call in [
                    *((n / per_s, self._look_up(n)) for n in range(int(per_s * seconds))),
                    *((n * _EVERY_S, self._withdraw()) for n in range(int(seconds / _EVERY_S))),
                    *((n * _EVERY_S, self._check()) for n in range(int(seconds / _EVERY_S))),
                ]
            ]
        return [call.result() for call in begun]

    async def _look_up(self, number: int) -> Call:
        stub = self._match[number % _CONNECTIONS]
        with _timed() as taken:
            if number % _PICTURES_EVERY == 0:
                await stub.MatchImage(self._picture, metadata=self._of_match, timeout=_WITHIN_S)
                good = True
            else:
                hashes = self._registered + self._chance.randbytes(32 * (_BATCH - 1))
                request = match_pb2.MatchHashesRequest(hashes=hashes)
                answer = await stub.MatchHashes(request, metadata=self._of_match, timeout=_WITHIN_S)
                good = len(answer.matches.item_ids) == 16
            taken.good = good
        return Call("lookup", taken.s, taken.good)

    async def _withdraw(self) -> Call:
        write = Write.new(self._chance, items=1, hashes=2)
        metadata = self._of_registration
        with _timed() as taken:
            answer = await self._registration.RegisterHashes(
                write.request, metadata=metadata, timeout=_LONGEST_S
            )
            opens = requests.access(answer.receipt.case_number, write.request.context.access.pin)
            request = registration_pb2.WithdrawCaseRequest(access=opens)
            taken.restart()
            await self._registration.WithdrawCase(request, metadata=metadata, timeout=_LONGEST_S)
            taken.good = True
        return Call("withdrawal", taken.s if taken.good else _LONGEST_S, taken.good)

    async def _check(self) -> Call:
        with _timed() as taken:
            answers = [
                await self._health.Check(
                    health_pb2.HealthCheckRequest(service=service), timeout=_HEALTH_WITHIN_S
                )
                for service in _SERVICES
            ]
            serving = health_pb2.HealthCheckResponse.SERVING
            taken.good = all(answer.status == serving for answer in answers)
        return Call("health", taken.s, taken.good)


async def _at(at_s: float, call: Awaitable[Call]) -> Call:
    await asyncio.sleep(at_s)
    return await call


@dataclass(slots=True)
class _Taken:
    began_s: float
    s: float = 0.0
    good: bool = False

    def restart(self) -> None:
        self.began_s = time.monotonic()


@contextmanager
def _timed() -> Iterator[_Taken]:
    """Time a block; a call that fails in it is not good."""
    taken = _Taken(time.monotonic())
    try:
        yield taken
    except grpc.RpcError:
        taken.good = False
    finally:
        taken.s = time.monotonic() - taken.began_s
