"""Calls of platforms and of people, as often as each comes. Every answer is checked."""

from __future__ import annotations

import asyncio
import io
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self

import grpc
import numpy as np
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub
from numpy.typing import NDArray
from PIL import Image

from benchmarks.harness.hash_sets import queries
from benchmarks.load.arrivals import OK, Call
from disrupt.client.connection import Connection, connect
from disrupt.client.failures import failure
from disrupt.core.cases import PIN_DIGITS
from disrupt.core.hashes import HASH_BYTES
from disrupt.core.media import ITEM_ID_BYTES
from disrupt.errors import OverloadedError, TooManyAttemptsError
from disrupt.submission import requests
from disrupt.v1 import match_pb2, registration_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub
from disrupt.wire.errors import DETAILS_KEY
from rig.media.videos import encode, footage
from rig.model.brute_force import answers
from rig.model.write import Write
from rig.servers.deployment import Deployment
from rig.servers.proxied import Proxy

WRONG = "WRONG"
"""Outcome of a call whose answer is not right."""
UNCONNECTED = "UNCONNECTED"
"""Outcome of a call that found no connection: a client would try again."""
DROPPED = "DROPPED"
"""Begin of the outcome of a call that found a connection, and no answer of the server."""

SHARES = {
    "lookup": 0.923,
    "batch": 0.05,
    "picture": 0.015,
    "video": 0.001,
    "registration": 0.002,
    "withdrawal": 0.002,
    "change": 0.007,
}
"""Share of each kind of call: lookups of one hash, of 64, of a picture, of a video; registrations
and withdrawals; lookups of what was registered or withdrawn a while ago."""

_PLATFORMS = 4
_CONNECTIONS = 4
_QUERIES = 10_000
_BATCH = 64
_PICTURES, _VIDEOS = 16, 4
_VIDEO_S = 8.0
_HASHES_PER_WRITE = 20
_TIMEOUT_S = 60.0
_HEALTH_WITHIN_S = 5.0
_SERVICES = ("", "disrupt.v1.MatchService", "disrupt.v1.RegistrationService")
_NO_CONNECTION = "failed to connect to all addresses"
_SETTLED_S = 5.0
"""Time after which a change has to be in every answer; it takes less than a second."""
_WITHDRAWN_MAX = 1000
"""Withdrawn cases that are still asked about."""

_Matches = list[tuple[bytes, int]]
"""Item and distance in bits of each match, sorted."""


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform's key, and its connections, which take turns."""

    stubs: list[Any]
    connection: Connection


class Callers:
    """Platforms and a helpline with connections of their own; an asynchronous context."""

    def __init__(
        self,
        server: Deployment,
        codes: NDArray[np.uint8],
        seed: int,
        *,
        proxy: Proxy | None = None,
        pictures: int = _PICTURES,
        size_px: tuple[int, int] = (1920, 1440),
        videos: int = _VIDEOS,
        lookup_within_s: float = _TIMEOUT_S,
    ) -> None:
        """Look up hashes that are mostly near none of ``codes``, uint8 (n, 32).

        Half of the pictures and videos are registered.
        """
        self._server = server
        self._address = proxy.address if proxy else server.address
        self._authority = proxy.authority if proxy else None
        self._lookup_within_s = lookup_within_s
        self._chance = random.Random(seed)
        self._asked = queries("uniform", codes, _QUERIES, seed + 1)
        self._truth = answers(codes, self._asked)
        frames = [*footage(seed, seconds=pictures, size=size_px, fps=1)] if pictures else []
        self._pictures = [_jpeg(frame) for frame in frames]
        self._videos = [encode(footage(seed + at, seconds=_VIDEO_S)) for at in range(videos)]
        self._first: dict[bytes, _Matches] = {}
        """The first answer to each picture and video, which all others have to equal."""
        self._live: list[tuple[float, Write]] = []
        self._withdrawn: deque[tuple[float, Write]] = deque(maxlen=_WITHDRAWN_MAX)

    async def __aenter__(self) -> Self:
        self._channels: list[grpc.aio.Channel] = []
        self._platforms = [self._platform(f"platform {at}") for at in range(_PLATFORMS)]
        connection = self._connection("helpline", "register")
        self._channels.append(connection.open_async())
        self._helpline: Any = RegistrationServiceStub(self._channels[-1])
        self._health: Any = HealthStub(self._channels[-1])
        self._of_helpline = connection.metadata
        await self._register_media()
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in self._channels:
            await channel.close()

    def mixed(self) -> Call:
        """Draw a call of any kind."""
        (kind,) = self._chance.choices([*SHARES], [*SHARES.values()])
        make: Callable[[], Awaitable[bool]] = getattr(self, f"_{kind}")
        return Call(kind, lambda: self._outcome(make()))

    def lookup(self) -> Call:
        """Draw a lookup of a hash."""
        return Call("lookup", lambda: self._outcome(self._lookup()))

    def media(self) -> Call:
        """Draw a lookup of a picture, or one in twenty times of a video."""
        if self._chance.random() < 0.05:
            return Call("video", lambda: self._outcome(self._video()))
        return Call("picture", lambda: self._outcome(self._picture()))

    def of(self, kind: str) -> Call:
        """Draw a call of a kind: of SHARES, ``health check``, ``lookup on a new connection``."""
        make: Callable[[], Awaitable[bool]] = getattr(self, f"_{kind.replace(' ', '_')}")
        return Call(kind, lambda: self._outcome(make()))

    async def register(self, cases: int) -> None:
        """Register cases, which withdrawals take."""
        for _ in range(cases):
            await self._registration()

    async def lost(self) -> int:
        """Return how many of the registered hashes do not match, some time after the last."""
        give_up_s = time.monotonic() + _TIMEOUT_S
        lost = [write for _, write in self._live]
        while lost and time.monotonic() < give_up_s:
            found = [await self._hashes(write.hashes[0].value) for write in lost]
            lost = [write for write, (some,) in zip(lost, found, strict=True) if not some]
        return len(lost)

    async def _outcome(self, answer: Awaitable[bool]) -> str:
        try:
            return OK if await answer else WRONG
        except grpc.RpcError as error:
            return self._failed(error)

    def _failed(self, error: Any) -> str:  # noqa: ANN401 gRPC's
        if not any(name == DETAILS_KEY for name, _ in error.trailing_metadata() or ()):
            details = error.details() or ""
            return (
                UNCONNECTED
                if _NO_CONNECTION in details
                else f"{DROPPED}: {error.code().name}: {details}"
            )
        failed = failure(error, self._address)
        if isinstance(failed, OverloadedError) and failed.retry_after_s is None:
            return f"{failed.reason} without RetryInfo"
        return failed.reason

    def _connection(self, name: str, right: str) -> Connection:
        return connect(self._address, self._server.make_key(name, right), self._authority)

    def _platform(self, name: str) -> Platform:
        connection = self._connection(name, "match")
        channels = [connection.open_async() for _ in range(_CONNECTIONS)]
        self._channels += channels
        return Platform([MatchServiceStub(each) for each in channels], connection)

    async def _register_media(self) -> None:
        """Register half of the pictures and videos, as staff; keep the first answer to each."""
        registered = (
            *self._pictures[: len(self._pictures) // 2],
            *self._videos[: len(self._videos) // 2],
        )
        connection = self._connection("staff", "staff")
        async with connection.open_async() as channel:
            stub: Any = RegistrationServiceStub(channel)
            ids = {}
            for data in registered:
                call, request = self._registration_of(stub, data)
                answer = await call(request, metadata=connection.metadata, timeout=_TIMEOUT_S)
                for item in answer.receipt.items:  # none where it is too featureless
                    ids[data] = item.item_id
        if registered:
            await asyncio.sleep(_SETTLED_S)
        for data in (*self._pictures, *self._videos):
            self._first[data] = await self._matches(data)
            if data in ids and ids[data] not in dict(self._first[data]):
                raise RuntimeError("a picture or video that was registered does not match")

    def _registration_of(self, stub: Any, data: bytes) -> tuple[Any, Any]:  # noqa: ANN401 gRPC's
        context = registration_pb2.RegistrationContext(
            request_id=self._chance.randbytes(16),
            access=requests.access("", f"{self._chance.randrange(10**PIN_DIGITS):0{PIN_DIGITS}}"),
            age_band=registration_pb2.AGE_BAND_ADULT,
        )
        if data in self._pictures:
            return stub.RegisterImage, registration_pb2.RegisterImageRequest(
                context=context, image=data
            )
        first = registration_pb2.RegisterVideoRequest(context=context)
        return stub.RegisterVideo, iter((first, registration_pb2.RegisterVideoRequest(chunk=data)))

    async def _call(self, method: str, request: object) -> Any:  # noqa: ANN401 any answer
        """Make a call of some platform, on one of its connections."""
        platform = self._chance.choice(self._platforms)
        stub = self._chance.choice(platform.stubs)
        return await getattr(stub, method)(
            request, metadata=platform.connection.metadata, timeout=self._lookup_within_s
        )

    async def _hashes(self, hashes: bytes) -> list[_Matches]:
        """Look up hashes; return the matches of each."""
        answer = await self._call("MatchHashes", match_pb2.MatchHashesRequest(hashes=hashes))
        return self._read(hashes, answer)

    def _read(self, hashes: bytes, answer: Any) -> list[_Matches]:  # noqa: ANN401 any answer
        columns = answer.matches
        matches: list[_Matches] = [[] for _ in range(len(hashes) // HASH_BYTES)]
        for at, query in enumerate(columns.queries):
            item_id = columns.item_ids[at * ITEM_ID_BYTES : (at + 1) * ITEM_ID_BYTES]
            matches[query].append((item_id, columns.distances_bits[at]))
        return [sorted(each) for each in matches]

    async def _matches(self, data: bytes) -> _Matches:
        """Look up a picture or a video."""
        if data in self._pictures:
            answer = await self._call("MatchImage", match_pb2.MatchImageRequest(image=data))
        else:
            first = match_pb2.MatchVideoRequest(options=match_pb2.MatchVideoOptions())
            parts = iter((first, match_pb2.MatchVideoRequest(chunk=data)))
            answer = await self._call("MatchVideo", parts)
        return sorted((match.item_id, match.distance_bits) for match in answer.matches)

    async def _lookup(self, count: int = 1) -> bool:
        first = self._chance.randrange(len(self._asked) - count)
        matches = await self._hashes(self._asked[first : first + count].tobytes())
        return matches == self._truth[first : first + count]

    async def _lookup_on_a_new_connection(self) -> bool:
        at = self._chance.randrange(len(self._asked))
        hashes = self._asked[at].tobytes()
        connection = self._chance.choice(self._platforms).connection
        async with connection.open_async() as channel:
            stub: Any = MatchServiceStub(channel)
            answer = await stub.MatchHashes(
                match_pb2.MatchHashesRequest(hashes=hashes),
                metadata=connection.metadata,
                timeout=self._lookup_within_s,
            )
        return self._read(hashes, answer) == self._truth[at : at + 1]

    async def _health_check(self) -> bool:
        answers = [
            await self._health.Check(
                health_pb2.HealthCheckRequest(service=service), timeout=_HEALTH_WITHIN_S
            )
            for service in _SERVICES
        ]
        return all(answer.status == health_pb2.HealthCheckResponse.SERVING for answer in answers)

    async def _batch(self) -> bool:
        return await self._lookup(_BATCH)

    async def _picture(self) -> bool:
        picture = self._chance.choice(self._pictures)
        return await self._matches(picture) == self._first[picture]

    async def _video(self) -> bool:
        video = self._chance.choice(self._videos)
        return await self._matches(video) == self._first[video]

    async def _registration(self) -> bool:
        write = Write.new(self._chance, items=1, hashes=_HASHES_PER_WRITE)
        answer = await self._written("RegisterHashes", write.request)
        write.receipt = answer.receipt
        self._live.append((time.monotonic(), write))
        return True

    async def _written(self, method: str, request: object) -> Any:  # noqa: ANN401 any answer
        """Make a call of the helpline, again where its PIN has to wait for its turn."""
        while True:
            try:
                return await getattr(self._helpline, method)(
                    request, metadata=self._of_helpline, timeout=_TIMEOUT_S
                )
            except grpc.RpcError as error:
                failed = failure(error, self._address)
                if not isinstance(failed, TooManyAttemptsError):
                    raise
                await asyncio.sleep(failed.retry_after_s or 1.0)

    async def _withdrawal(self) -> bool:
        """Withdraw a case, one that is registered for it where there is none."""
        if not self._live:
            await self._registration()
        _, write = self._live.pop(self._chance.randrange(len(self._live)))
        write.withdrawal_sent = True
        number = write.receipt.case_number if write.receipt else ""
        opens = requests.access(number, write.request.context.access.pin)
        request = registration_pb2.WithdrawCaseRequest(access=opens)
        write.withdrawal = await self._written("WithdrawCase", request)
        self._withdrawn.append((time.monotonic(), write))
        return True

    async def _change(self) -> bool:
        """Look up what was registered, or withdrawn, long enough ago to be in every answer."""
        writes = self._chance.choice((self._live, self._withdrawn))
        if not writes:
            return True
        done_s, write = self._chance.choice(writes)
        if time.monotonic() - done_s < _SETTLED_S:
            return True
        withdrawn = write.withdrawal is not None
        (matches,) = await self._hashes(write.hashes[0].value)
        if write.withdrawal_sent and not withdrawn:  # meanwhile
            return True
        return matches == ([] if withdrawn else [(write.item_ids[0], 0)])


def _jpeg(frame: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=85)
    return file.getvalue()
