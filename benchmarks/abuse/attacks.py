"""Attack a server in several ways, each in a process that uses little processor time.

Each goes at its own pace, whatever is answered. An attacker has its own keys; strangers have none.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks.abuse.attack import (
    HEALTH,
    MATCH,
    REGISTRATION,
    TICK_S,
    Attack,
    Target,
    at_pace,
    crowd,
)
from benchmarks.abuse.wire import begun_headers
from benchmarks.harness.h2load import framed
from disrupt.core.cases import CASE_NUMBERS, PIN_DIGITS, case_number
from disrupt.v1 import match_pb2, registration_pb2, types_pb2

TOGETHER = "together"
"""Name of all attacks at once."""

KNOWN_CASE = "known case: "
CHECKED = (f"{KNOWN_CASE}CASE_REFUSED", f"{KNOWN_CASE}REQUEST_ID_REUSED")
"""Answers that reveal whether a guessed PIN is right. For an unknown case, none does."""

_FRAMES_TAG = bytes([match_pb2.MatchVideoRequest.FRAMES_FIELD_NUMBER << 3 | 2])

_MAX_ITEMS, _MAX_HASHES_PER_ITEM = 64, 8000
"""Limits of a registration, the server's defaults."""


async def pin_guessing(attack: Attack) -> None:
    """Guess PINs: of a known case, of random ones, and by replaying somebody's registration."""
    known = registration_pb2.RegisterHashesRequest.FromString(attack.target.registration)

    def guess(case: str) -> bytes:
        opens = _access(attack.chance, case)
        return registration_pb2.GetCaseRequest(access=opens).SerializeToString()

    def replay() -> bytes:
        request = registration_pb2.RegisterHashesRequest()
        request.CopyFrom(known)
        request.context.access.CopyFrom(_access(attack.chance, known.context.access.case_number))
        return request.SerializeToString()

    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(attack.channel()) for _ in range(4)]

        async def call(number: int) -> None:
            channel = channels[number % len(channels)]
            if number % 3 == 0:
                method, request = f"{REGISTRATION}/RegisterHashes", replay()
                await attack.unary(channel, method, request, KNOWN_CASE)
            elif number % 3 == 1:
                method, request = f"{REGISTRATION}/GetCase", guess(attack.target.case)
                await attack.unary(channel, method, request, KNOWN_CASE)
            else:
                method, request = f"{REGISTRATION}/GetCase", guess(_any_case(attack.chance))
                await attack.unary(channel, method, request)

        await at_pace(attack, call, every_s=1 / 300, most=128)


async def large_registrations(attack: Attack) -> None:
    """Register the most that is allowed, what a message holds, and empty items, all at once."""
    item = registration_pb2.RegisterHashesRequest(
        items=[
            registration_pb2.MediaItem(
                kind=types_pb2.MEDIA_KIND_VIDEO,
                fingerprints=_frames(attack.chance, _MAX_HASHES_PER_ITEM),
            )
        ]
    ).SerializeToString()
    nothing = registration_pb2.RegisterHashesRequest(
        items=[registration_pb2.MediaItem()]
    ).SerializeToString()
    room = attack.target.max_message_bytes - 1024
    all_items = (
        item * min(_MAX_ITEMS, room // len(item)),
        item * (room // len(item)),
        nothing * (room // len(nothing)),  # which decodes to forty times its size
    )

    async def call(number: int) -> None:
        context = registration_pb2.RegistrationContext(
            request_id=attack.chance.randbytes(16),
            access=registration_pb2.CaseAccess(pin=_pin(attack.chance)),
        )
        begins = registration_pb2.RegisterHashesRequest(context=context).SerializeToString()
        async with attack.channel() as channel:
            await attack.unary(
                channel,
                f"{REGISTRATION}/RegisterHashes",
                begins + all_items[number % len(all_items)],
            )

    await at_pace(attack, call, every_s=5.0, at_once=8, most=8)


async def large_lookups(attack: Attack) -> None:
    """Look up as many hashes as a message holds, eight times at once."""
    hashes = attack.chance.randbytes((attack.target.max_message_bytes - 1024) // 32 * 32)
    request = match_pb2.MatchHashesRequest(hashes=hashes).SerializeToString()

    async def call(_: int) -> None:
        async with attack.channel() as channel:
            await attack.unary(channel, f"{MATCH}/MatchHashes", request)

    await at_pace(attack, call, every_s=5.0, at_once=8, most=8)


async def large_video_messages(attack: Attack) -> None:
    """Look up videos with 30 MB of frames, or of transforms without frames, in one message."""
    options = match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions())
    nothing = types_pb2.Fingerprints(transforms=[types_pb2.Transform()]).SerializeToString()
    room = attack.target.max_message_bytes - 1024
    frames = (
        _frames(attack.chance, room // 48).SerializeToString(),
        nothing * (room // len(nothing)),  # which decodes to forty times its size
    )
    requests = [
        [options.SerializeToString(), _FRAMES_TAG + _varint(len(part)) + part] for part in frames
    ]

    async def call(number: int) -> None:
        async with attack.channel() as channel:
            await attack.stream(channel, f"{MATCH}/MatchVideo", requests[number % len(requests)])

    await at_pace(attack, call, every_s=3.0, at_once=2, most=4)


async def unfinished_calls(attack: Attack) -> None:
    """Begin 6400 lookups whose messages never end: more than two workers take, 4048."""
    await crowd(attack, f"{MATCH}/MatchHashes", _BEGUN, calls=6400, connections=200)


async def strangers(attack: Attack) -> None:
    """Begin, without a key, 300 health checks that never end, and as many watches.

    On so many connections that each worker has more of them than it lets strangers keep open.
    """
    await asyncio.gather(
        crowd(attack, f"{HEALTH}/Check", _BEGUN, calls=300, connections=12),
        crowd(attack, f"{HEALTH}/Watch", framed([b""]), calls=300, connections=12),
    )


async def slow_videos(attack: Attack) -> None:
    """Send half of sixteen videos to all workers, and the other half a few bytes at a time."""
    options = match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions())
    video, half = attack.target.video, len(attack.target.video) // 2

    def chunk(begins: int, ends: int) -> bytes:
        part = match_pb2.MatchVideoRequest(chunk=video[begins:ends])
        return framed([part.SerializeToString()])

    await crowd(
        attack,
        f"{MATCH}/MatchVideo",
        framed([options.SerializeToString()]) + chunk(0, half),
        calls=16,
        connections=16,
        then=lambda: (chunk(at, at + 16) for at in range(half, len(video) - 16, 16)),
    )


async def slow_uploads(attack: Attack) -> None:
    """Send the largest pictures in parts, on 24 calls, and the last bytes never."""
    size = attack.target.max_message_bytes - 1024
    part = bytes(2 << 20)
    await crowd(
        attack,
        f"{MATCH}/MatchImage",
        b"\0" + size.to_bytes(4),
        calls=24,
        connections=6,
        then=lambda: (part[: size - 1 - at] for at in range(0, size - 1, len(part))),
    )


async def idle_connections(attack: Attack) -> None:
    """Open 500 connections and leave them silent, or after the first bytes of HTTP/2."""
    host, _, port = attack.target.address.rpartition(":")
    words = (b"", b"PRI * HTTP/2.0\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
    open_: list[socket.socket] = []
    try:
        while True:
            open_ = [connection for connection in open_ if not _is_closed(connection)]
            with suppress(OSError):
                while len(open_) < 500:
                    open_.append(socket.create_connection((host, int(port)), timeout=TICK_S))
                    open_[-1].sendall(words[len(open_) % len(words)])
                    open_[-1].settimeout(0)
                    attack.answers["BEGUN"] += 1
            attack.under_way.set()
            await asyncio.sleep(TICK_S)
    finally:
        for connection in open_:
            connection.close()


async def endless_headers(attack: Attack) -> None:
    """Keep up to 40 connections open on which a call's headers do not end: half a million each.

    Few begin at once: to read them takes a server a tenth of a second each, whatever it does then.
    """
    host, _, port = attack.target.address.rpartition(":")
    loop = asyncio.get_running_loop()
    headers = begun_headers(500_000)
    open_: list[socket.socket] = []
    try:
        while True:
            open_ = [connection for connection in open_ if not _is_closed(connection)]
            for _ in range(min(2, 40 - len(open_))):
                with suppress(OSError):
                    open_.append(socket.create_connection((host, int(port)), timeout=TICK_S))
                    open_[-1].settimeout(0)
                    attack.answers["BEGUN"] += 1
                    await asyncio.wait_for(loop.sock_sendall(open_[-1], headers), TICK_S)
            attack.under_way.set()
            await asyncio.sleep(TICK_S)
            await attack.breathe()
    finally:
        for connection in open_:
            connection.close()


async def degenerate_videos(attack: Attack) -> None:
    """Register videos that repeat one hash at one time, and look two such frames up."""
    value = attack.chance.randbytes(32)

    def fingerprints(starts_ms: list[int]) -> types_pb2.Fingerprints:
        return types_pb2.Fingerprints(
            hashes=value * len(starts_ms),
            qualities=bytes([100]) * len(starts_ms),
            start_ms=starts_ms,
            end_ms=[start_ms + 1000 for start_ms in starts_ms],
        )

    lookup = [
        match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions()).SerializeToString(),
        match_pb2.MatchVideoRequest(frames=fingerprints([0, 1000])).SerializeToString(),
    ]
    async with attack.channel() as channel:
        for _ in range(8):
            request = registration_pb2.RegisterHashesRequest(
                context=registration_pb2.RegistrationContext(
                    request_id=attack.chance.randbytes(16),
                    access=registration_pb2.CaseAccess(pin=_pin(attack.chance)),
                ),
                items=[
                    registration_pb2.MediaItem(
                        kind=types_pb2.MEDIA_KIND_VIDEO,
                        fingerprints=fingerprints([0] * _MAX_HASHES_PER_ITEM),
                    )
                ],
            )
            body = request.SerializeToString()
            await attack.unary(channel, f"{REGISTRATION}/RegisterHashes", body)
        await asyncio.sleep(TICK_S)  # until it is matched

        async def call(_: int) -> None:
            await attack.stream(channel, f"{MATCH}/MatchVideo", lookup)

        await at_pace(attack, call, every_s=0.5, most=4)


ATTACKS: dict[str, Callable[[Attack], Coroutine[Any, Any, None]]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        pin_guessing,
        large_registrations,
        large_lookups,
        large_video_messages,
        unfinished_calls,
        strangers,
        slow_videos,
        slow_uploads,
        idle_connections,
        endless_headers,
        degenerate_videos,
    )
}


def attack(pipe: Connection, kind: str, target: Target, most_cpu_share: float) -> None:
    """Attack; send the kind through the pipe once under way, and the Toll when something comes."""
    asyncio.run(_attack(pipe, kind, Attack(target, most_cpu_share)))


async def _attack(pipe: Connection, kind: str, own: Attack) -> None:
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), over.set)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(ATTACKS[kind](own))
        await own.under_way.wait()
        own.begin()
        pipe.send(kind)
        await over.wait()
        pipe.send(own.toll())
        running.cancel()


_BEGUN = b"\0" + (1000).to_bytes(4) + bytes(10)
"""The beginning of a message of 1000 bytes."""


def _is_closed(connection: socket.socket) -> bool:
    """Tell whether the other side closed a non-blocking connection."""
    try:
        while connection.recv(1 << 16):
            pass
    except BlockingIOError:  # no more yet
        return False
    except OSError:
        pass
    return True


def _frames(chance: random.Random, count: int) -> types_pb2.Fingerprints:
    """Make ``count`` frames of a video with all fields of a registration: 46 bytes each."""
    times_ms = np.arange(count) * 1000
    return types_pb2.Fingerprints(
        hashes=chance.randbytes(32 * count),
        qualities=bytes([100]) * count,
        profiles=[types_pb2.PROFILE_PDQ_512] * count,
        start_ms=times_ms.tolist(),
        end_ms=(times_ms + 1000).tolist(),
    )


def _varint(value: int) -> bytes:
    """Encode a number as protobuf does, to begin fields that would take long to build."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def _pin(chance: random.Random) -> str:
    return f"{chance.randrange(10**PIN_DIGITS):0{PIN_DIGITS}}"


def _any_case(chance: random.Random) -> str:
    return case_number(chance.randrange(CASE_NUMBERS))


def _access(chance: random.Random, case: str) -> registration_pb2.CaseAccess:
    """Make a guess at the PIN of a case, under an origin of its own."""
    return registration_pb2.CaseAccess(
        case_number=case, pin=_pin(chance), origin_token=chance.randbytes(16)
    )
