"""The calls of platforms and of people, as often as each comes."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from typing import Self

import grpc
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness.deployment import Deployment
from benchmarks.harness.writes import Desk, Write
from benchmarks.load.arrivals import OK, Call
from disrupt.client import AsyncMatchClient
from disrupt.client.failures import failure
from disrupt.client.retries import RetryPolicy
from disrupt.core.media import ItemState
from disrupt.errors import DisruptError
from disrupt.server.upkeep.administration import administration
from disrupt.wire import admin as wire

SHARES = {
    "lookup": 0.9,
    "batch": 0.05,
    "picture": 0.04,
    "registration": 0.005,
    "withdrawal": 0.0025,
    "state": 0.0025,
}
"""Share of each kind of call: lookups of one hash, of 64, and of pictures; writes."""

_BATCH = 64
_PICTURES = 16
_SIDE_PX = 640
_TIMEOUT_S = 30.0


class Mix:
    """Draws calls to a server; an asynchronous context, in which its connections are open."""

    def __init__(self, server: Deployment, asked: NDArray[np.uint8], seed: int) -> None:
        """Look up hashes of ``asked``, uint8 (n, 32)."""
        self._server, self._asked = server, asked
        self._chance = random.Random(seed)
        self._keys = {right: server.make_key(right, right) for right in ("match", "register")}
        self._pictures = [jpeg(seed + at) for at in range(_PICTURES)]
        self._writes: list[Write] = []
        self._stack, self._async_stack = ExitStack(), AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._client = await self._async_stack.enter_async_context(
            AsyncMatchClient(
                self._server.address,
                key=self._keys["match"],
                timeout_s=_TIMEOUT_S,
                retries=RetryPolicy(attempts=1),
            )
        )
        desk = Desk(self._server.address, self._keys["register"])
        self._desk = self._stack.enter_context(desk.open())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stack.close()
        await self._async_stack.aclose()

    def draw(self) -> Call:
        """Draw a call."""
        (kind,) = self._chance.choices([*SHARES], [*SHARES.values()])
        make: Callable[[], Awaitable[None]] = getattr(self, f"_{kind}")
        return Call(kind, lambda: self._outcome(make))

    async def _outcome(self, make: Callable[[], Awaitable[object]]) -> str:
        try:
            await make()
        except DisruptError as error:
            return error.reason
        except grpc.RpcError as error:
            return failure(error, self._server.address).reason
        return OK

    def _hashes(self, count: int) -> NDArray[np.uint8]:
        first = self._chance.randrange(len(self._asked) - count)
        return self._asked[first : first + count]

    async def _lookup(self) -> None:
        await self._client.match_hashes(self._hashes(1))

    async def _batch(self) -> None:
        await self._client.match_hashes(self._hashes(_BATCH))

    async def _picture(self) -> None:
        await self._client.match_image(self._chance.choice(self._pictures), hash_locally=False)

    async def _registration(self) -> None:
        write = Write.new(self._chance, items=1)
        await asyncio.to_thread(self._desk.register, write)
        self._writes.append(write)

    async def _withdrawal(self) -> None:
        await asyncio.to_thread(self._desk.withdraw, await self._taken())

    async def _state(self) -> None:
        write = await self._taken()
        state = self._chance.choice((ItemState.LIVE, ItemState.DISABLED))
        await asyncio.to_thread(self._set_state, write, state)
        self._writes.append(write)

    async def _taken(self) -> Write:
        """Take what was registered, so that no other call withdraws it meanwhile."""
        if not self._writes:
            await self._registration()
        return self._writes.pop(self._chance.randrange(len(self._writes)))

    def _set_state(self, write: Write, state: ItemState) -> None:
        with administration(self._server.data_dir) as admin:
            admin.set_states(wire.states_request(write.item_ids, state))


def jpeg(seed: int) -> bytes:
    """Make a picture of colours that flow into each other, 640 x 480 px."""
    coarse = np.random.default_rng(seed).integers(0, 256, (20, 20, 3), np.uint8)
    file = io.BytesIO()
    size = (_SIDE_PX, _SIDE_PX * 3 // 4)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()
