"""Five attacks on a server behind the proxy, each in a process of its own.

An attacker goes on whatever is answered, and never waits for longer than it must.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import grpc
import numpy as np
from PIL import Image

from benchmarks.load.http2 import Http2, connect, many_headers
from disrupt.client.connection import connect as sdk_connection
from disrupt.v1 import match_pb2

_MATCH = "/disrupt.v1.MatchService"
_NICENESS = 10
"""Callers share the core with attackers, and go first."""
_NETWORKS = 16
_AGAIN_S = 0.5
"""Pause between two attempts of a stranger, on each of its connections."""
_REFUSED_PAUSE_S = 0.2
_CONNECTION_CALLS = 16
"""Calls at once that the proxy lets a connection have."""
_HASHES = 2500
_PICTURE_PX = 4000
"""Edge of a picture that takes a third of a second to decode and hash, and few bytes to send."""
_READ_BYTES = 32 << 20
_READ_PART_BYTES = 1 << 18
"""Bytes that each connection sends in half a second: too few to complete a message in time."""


@dataclass(frozen=True, slots=True)
class Target:
    """Address of a proxy, the certificate to trust, as PEM, and a key with the right to match."""

    address: str
    authority: str
    key: str


@dataclass(slots=True)
class Attacker:
    """An attack under way: whom it attacks, and what was answered, by gRPC's status."""

    target: Target
    answers: Counter[str] = field(default_factory=Counter)

    async def call(self, method: str, request: bytes, *, connections: int) -> None:
        """Keep as many calls open as the proxy lets through on so many connections."""
        target = self.target
        connection = sdk_connection(target.address, target.key, target.authority.encode())

        async def repeat(call: Any) -> None:  # noqa: ANN401 the stubs do not know its type
            while True:
                try:
                    await call(request, metadata=connection.metadata, timeout=60)
                    self.answers["OK"] += 1
                except grpc.RpcError as error:
                    self.answers[error.code().name] += 1
                    await asyncio.sleep(_REFUSED_PAUSE_S)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(connections):
                call: Any = connection.open_async().unary_unary(method)
                for _ in range(_CONNECTION_CALLS):
                    tasks.create_task(repeat(call))


async def headers_of_strangers(attacker: Attacker) -> None:
    """Send calls of 60 000 headers a byte each, twice a second from each of 16 networks."""
    target, headers = attacker.target, many_headers(60_000)

    async def repeat(network: int) -> None:
        while True:
            attacker.answers["BEGUN"] += 1
            with suppress(OSError, ssl.SSLError, TimeoutError):
                reader, writer = await connect(target.address, target.authority, network)
                async with asyncio.timeout(_AGAIN_S):
                    writer.write(headers)
                    while await reader.read(1 << 16):
                        pass
                writer.transport.abort()
            await asyncio.sleep(_AGAIN_S)

    await _from_each_network(repeat)


async def keys_of_strangers(attacker: Attacker) -> None:
    """Make up keys: 16 at once, twice a second from each of 16 networks."""
    target = attacker.target

    async def repeat(network: int) -> None:
        wire = None
        while True:
            with suppress(OSError, ssl.SSLError):
                if wire is None or not wire.is_open:
                    wire = await Http2.open(target.address, target.authority, network)
                    wire.statuses = attacker.answers
                for _ in range(_CONNECTION_CALLS - len(wire.calls)):
                    call = wire.begin(f"{_MATCH}/GetIndexStatus", random.randbytes(16).hex())
                    if call is not None:
                        wire.send(call, bytes(5), end=True)  # an empty message
            await asyncio.sleep(_AGAIN_S)

    await _from_each_network(repeat)


async def greedy_for_hashes(attacker: Attacker) -> None:
    """Look up 240 000 hashes at once, half as many again as a key may, with a valid key."""
    request = match_pb2.MatchHashesRequest(hashes=random.randbytes(32 * _HASHES))
    await attacker.call(f"{_MATCH}/MatchHashes", request.SerializeToString(), connections=6)


async def greedy_for_pictures(attacker: Attacker) -> None:
    """Look up 32 pictures at once, twice as many as a key may, with a valid key."""
    ramp = np.linspace(0, 255, _PICTURE_PX).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.add.outer(ramp // 2, ramp // 2)).save(file, "PNG")
    request = match_pb2.MatchImageRequest(image=file.getvalue())
    await attacker.call(f"{_MATCH}/MatchImage", request.SerializeToString(), connections=2)


async def endless_reads(attacker: Attacker) -> None:
    """Begin the largest pictures, 64 at once with a valid key, and go on with each for ever."""
    target, begun = attacker.target, b"\0" + _READ_BYTES.to_bytes(4)

    async def repeat(network: int) -> None:
        wire = None
        while True:
            with suppress(OSError, ssl.SSLError):
                if wire is None or not wire.is_open:
                    wire = await Http2.open(target.address, target.authority, network)
                    wire.statuses = attacker.answers
                for reading in wire.calls:
                    wire.send(reading, bytes(_READ_PART_BYTES))
                for _ in range(_CONNECTION_CALLS - len(wire.calls)):
                    call = wire.begin(f"{_MATCH}/MatchImage", target.key)
                    if call is not None:
                        attacker.answers["BEGUN"] += 1
                        wire.send(call, begun)
            await asyncio.sleep(_AGAIN_S)

    async with asyncio.TaskGroup() as tasks:
        for network in range(1, 5):
            tasks.create_task(repeat(network))


async def _from_each_network(repeat: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for network in range(1, _NETWORKS + 1):
            await asyncio.sleep(_AGAIN_S / _NETWORKS)
            tasks.create_task(repeat(network))


ATTACKS: dict[str, Callable[[Attacker], Coroutine[Any, Any, None]]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        headers_of_strangers,
        keys_of_strangers,
        greedy_for_hashes,
        greedy_for_pictures,
        endless_reads,
    )
}

STRANGERS = ("headers-of-strangers", "keys-of-strangers")
"""Attacks without a valid key."""


def attack(pipe: Connection, kind: str, target: Target) -> None:
    """Attack until killed; answer whatever comes through the pipe by the counts so far."""
    os.nice(_NICENESS)
    asyncio.run(_attack(pipe, ATTACKS[kind], Attacker(target)))


async def _attack(
    pipe: Connection, run: Callable[[Attacker], Coroutine[Any, Any, None]], attacker: Attacker
) -> None:
    async def answer() -> None:
        while True:
            await asyncio.to_thread(pipe.recv)
            pipe.send(attacker.answers)

    await asyncio.gather(run(attacker), answer())
