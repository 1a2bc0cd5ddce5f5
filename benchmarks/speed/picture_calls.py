"""Measure MatchImage and RegisterImage from the bytes of a JPEG of 1920 px to the answer.

A client sends one picture after the other to a server with one worker and one decoder, over a
million hashes like those of photographs. Its peer takes turns with it, picture by picture: what a
lookup cannot do without, ``hash_image`` in this process and the bare engine over the hashes; of a
registration, ``fingerprint_image``. They are compared by processor time (the server's is
that of its worker, decoder and writer), which other work on the machine lengthens less than time on
the clock. The registration opens a case, so that the time of its PIN is in it. An answer that is
not that of ``picture_steps`` in this process is wrong.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import grpc
import numpy as np
from numpy.typing import NDArray

from benchmarks.recall.originals import ORIGINALS, Photograph
from disrupt.core.hashes import MAX_DISTANCE_BITS, stack
from disrupt.core.lookups import LOOKUP_CROPS, Effort
from disrupt.core.media import LowQuality
from disrupt.core.policy import FIRST_BANKS, Scope
from disrupt.hashing import fingerprint_image, hash_image
from disrupt.hashing.decoding.pictures import decode
from disrupt.hashing.lookup import ImageQuery
from disrupt.hashing.regions.detection import find_regions
from disrupt.index.live import LiveIndex
from disrupt.index.nearest import same_limits
from disrupt.services.matching import UNBOUNDED, complete, picture_steps
from disrupt.v1 import match_pb2, registration_pb2
from disrupt.v1.match_pb2_grpc import MatchServiceStub
from disrupt.v1.registration_pb2_grpc import RegistrationServiceStub
from rig.media.edits import EDITS, Scene, upload
from rig.processes.running import cpu_s, processes
from rig.servers.deployment import FEW_DECODERS, WITH_BYTECODE, Deployment

_Call: TypeAlias = Callable[[bytes], object]
_Clock: TypeAlias = Callable[[], float]

_SCOPE = Scope({bank.number: MAX_DISTANCE_BITS for bank in FIRST_BANKS})
_MOST_MATCHES = 10
_TIMEOUT_S = 60.0


_SIDE_PX = 1920

PICTURES = {
    "without a border": "jpeg",
    "in a frame": "frame",
    "screenshot": "screenshot_feed_light",
    "collage of 4": "collage_4",
    "story": "story",
}
"""Pictures that are looked up, and the edit that makes each."""


class Took(NamedTuple):
    """Time of one call, or of its peer, in ms: on the clock, and of processors."""

    clock_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Row:
    """Means over pictures, each the fastest of several rounds.

    ``of_peer`` is the ratio of the two processor times, and ``of_peer_clock`` that on the clock.
    """

    call: str
    picture: str
    pictures: int
    clock_ms: float
    cpu_ms: float
    peer_clock_ms: float
    peer_cpu_ms: float
    of_peer: float
    of_peer_clock: float


@dataclass(frozen=True, slots=True)
class Stages:
    """Means over pictures, each the fastest of several: ms of processor time, and hashes.

    ``in_all_ms`` is all after decoding; ``most_ms`` that of the picture that takes longest.
    """

    picture: str
    pictures: int
    decode_ms: float
    find_regions_ms: float
    hash_ms: float
    hashes: float
    search_ms: float
    in_all_ms: float
    most_ms: float


class Calls:
    """A server, and calls to it by a platform's and a hotline's key."""

    def __init__(self, server: Deployment, channel: grpc.Channel) -> None:
        self._match: Any = MatchServiceStub(channel).MatchImage
        self._register: Any = RegistrationServiceStub(channel).RegisterImage
        self._metadata = {
            right: [("authorization", f"Bearer {server.make_key(right, right)}")]
            for right in ("match", "staff")
        }
        (worker,) = processes(server.process.pid, "worker")
        decoders = processes(worker, "disrupt.isolation.picture_worker")
        self._processes = (worker, *decoders, *processes(server.process.pid, "writer"))

    def match(self, data: bytes) -> list[tuple[str, int]]:
        """Look a picture up; return item and distance of each match."""
        answer = self._match(
            match_pb2.MatchImageRequest(image=data),
            metadata=self._metadata["match"],
            timeout=_TIMEOUT_S,
        )
        return [(match.item_id.hex(), match.distance_bits) for match in answer.matches]

    def register(self, data: bytes) -> None:
        """Register a picture in a new case."""
        pin = f"{secrets.randbelow(10**12):012}"
        context = registration_pb2.RegistrationContext(
            request_id=secrets.token_bytes(16),
            access=registration_pb2.CaseAccess(pin=pin),
            age_band=registration_pb2.AGE_BAND_ADULT,
        )
        self._register(
            registration_pb2.RegisterImageRequest(context=context, image=data),
            metadata=self._metadata["staff"],
            timeout=_TIMEOUT_S,
        )

    def cpu_s(self) -> float:
        """Return the processor time that the server has taken."""
        return sum(map(cpu_s, self._processes))


def expected(live: LiveIndex, query: ImageQuery) -> list[tuple[str, int]]:
    """Return what a lookup has to answer."""
    steps = picture_steps(
        live,
        stack(hash_ for hash_, _ in query.hashes),
        [transform for _, transform in query.hashes],
        _SCOPE,
        _MOST_MATCHES,
        UNBOUNDED,
    )
    matches = complete(steps)
    pairs = zip(matches.item_ids, matches.distance_bits.tolist(), strict=True)
    return [(item_id.tobytes().hex(), distance) for item_id, distance in pairs]


def wrong_answers(calls: Calls, live: LiveIndex, files: list[bytes]) -> int:
    """Count lookups that are answered otherwise than in this process."""
    wrong = 0
    for data in files:
        query = hash_image(data)
        answer = [] if isinstance(query, LowQuality) else expected(live, query)
        wrong += calls.match(data) != answer
    return wrong


def measure(
    picture: str,
    files: list[bytes],
    rounds: int,
    call: str,
    server: _Call,
    peer: _Call,
    cpu_s: _Clock,
) -> Row:
    """Measure one call of some files, in turns with its peer."""
    best = np.full((len(files), 4), math.inf)
    for _ in range(rounds):
        for at, data in enumerate(files):
            took = (*_took(server, data, cpu_s), *_took(peer, data, time.thread_time))
            best[at] = np.minimum(best[at], took)
    clock_ms, cpu_ms, peer_clock_ms, peer_cpu_ms = best.mean(axis=0).tolist()
    return Row(
        call,
        picture,
        len(files),
        *(clock_ms, cpu_ms, peer_clock_ms, peer_cpu_ms),
        of_peer=cpu_ms / peer_cpu_ms,
        of_peer_clock=clock_ms / peer_clock_ms,
    )


def picture_calls(
    data_dir: Path, live: LiveIndex, photographs: list[Photograph], rounds: int
) -> tuple[dict[str, list[dict[str, object]]], list[str]]:
    """Measure calls with pictures, and stages of lookups; return tables and failures."""
    pictures = {picture: _files(picture, photographs) for picture in PICTURES}
    rows = list[Row]()
    stages = [asdict(_stages(picture, files, live, rounds)) for picture, files in pictures.items()]
    started = Deployment.start(data_dir, workers=1, settings=FEW_DECODERS, wrapper=WITH_BYTECODE)
    with started as server, grpc.insecure_channel(server.address) as channel:
        calls = Calls(server, channel)
        wrong = sum(wrong_answers(calls, live, files) for files in pictures.values())
        pairs: dict[str, tuple[_Call, _Call]] = {
            "lookup": (calls.match, partial(_look_up, live)),
            "registration": (calls.register, fingerprint_image),
        }
        # registrations last: what they register matches
        for call, (asked, peer) in pairs.items():
            for picture, files in pictures.items():
                rows.append(measure(picture, files, rounds, call, asked, peer, calls.cpu_s))
    tables = {"picture_calls": [asdict(row) for row in rows], "picture_stages": stages}
    return tables, [f"{wrong} answers are wrong"] if wrong else []


def _files(picture: str, photographs: list[Photograph]) -> list[bytes]:
    return [
        picture_file(picture, photograph, photographs[at - 1], at)
        for at, photograph in enumerate(photographs)
    ]


def _look_up(live: LiveIndex, data: bytes) -> None:
    """Do what a lookup cannot do without."""
    query = hash_image(data)
    if isinstance(query, ImageQuery):
        codes = stack(hash_ for hash_, _ in query.hashes)
        live.search(codes, MAX_DISTANCE_BITS, same_limits(MAX_DISTANCE_BITS), _MOST_MATCHES)


def _took(call: _Call, data: bytes, cpu_s: _Clock) -> Took:
    began_s, began_cpu_s = time.perf_counter(), cpu_s()
    call(data)
    clock_ms = 1000 * (time.perf_counter() - began_s)
    return Took(clock_ms, 1000 * (cpu_s() - began_cpu_s))


def picture_file(name: str, photograph: Photograph, background: Photograph, at: int) -> bytes:
    """Return a JPEG of the edited photograph, as uploaded at _SIDE_PX."""
    original, rng = photograph.original(at % ORIGINALS), np.random.default_rng([1, at])
    edited = EDITS[PICTURES[name]][1](Scene(original, rng, lambda: background.pixels))
    scene = Scene(edited[0], rng, lambda: background.pixels)
    scene.encoding.update(side_px=_SIDE_PX, quality=85)
    return upload(lambda _: edited, scene)[0]


def _stages(picture: str, files: list[bytes], live: LiveIndex, repeat: int) -> Stages:
    """Measure the stages of lookups of some files."""
    every = (_measured(data, live, repeat) for data in files)
    measured = [of_one for of_one in every if of_one]
    decode_ms, regions_ms, hash_ms, hashes, search_ms = np.mean(measured, axis=0).tolist()
    return Stages(
        picture,
        len(measured),
        decode_ms,
        regions_ms,
        hash_ms,
        hashes,
        search_ms,
        in_all_ms=regions_ms + hash_ms + search_ms,
        most_ms=max(row[1] + row[2] + row[4] for row in measured),
    )


def _measured(data: bytes, index: LiveIndex, repeat: int) -> tuple[float, ...] | None:
    """Return ms to decode, find regions, hash; hashes; ms to search. None: featureless."""
    page = decode(data, scaled=True).page()
    query = hash_image(data)
    if isinstance(query, LowQuality):
        return None
    hashes: NDArray[np.uint8] = stack(hash_ for hash_, _ in query.hashes)
    transforms = [transform for _, transform in query.hashes]
    decode_ms = _fastest_ms(lambda: decode(data, scaled=True).page(), repeat)
    regions_ms = _fastest_ms(
        partial(find_regions, page, LOOKUP_CROPS[Effort.STANDARD].regions), repeat
    )
    all_ms = _fastest_ms(partial(hash_image, data), repeat)
    # Search once: a second search of the same hashes is quicker.
    search_ms = _fastest_ms(
        lambda: complete(
            picture_steps(index, hashes, transforms, _SCOPE, _MOST_MATCHES, UNBOUNDED)
        ),
        1,
    )
    return decode_ms, regions_ms, all_ms - decode_ms - regions_ms, len(hashes), search_ms


def _fastest_ms(work: Callable[[], object], repeat: int) -> float:
    fastest_s = math.inf
    for _ in range(repeat):
        before_s = time.thread_time()
        work()
        fastest_s = min(fastest_s, time.thread_time() - before_s)
    return 1000 * fastest_s
