"""Limits of what a call may send, derived from the configuration, with their reasons."""

from __future__ import annotations

from dataclasses import dataclass

from disrupt.core.organisations import Kind
from disrupt.server.admission.shares import Resource
from disrupt.server.config import Config
from disrupt.server.rights import WITHOUT_KEY
from disrupt.services.video_matching import HELD_BYTES_MAX
from disrupt.wire.payloads import ENVELOPE_BYTES_MAX
from disrupt.wire.review import ITEMS_AT_ONCE

CHUNK_BYTES_MAX = 1 << 20
"""Largest part of a video's file, which the server holds while a slow client sends it."""

FRAMES_MAX = 100_000
"""Most hashes of frames in one lookup by video: 27 hours at one a second."""

_QUERY_BYTES = 32 + 1
"""A hash to look up, and its quality."""
_FINGERPRINT_BYTES = 64
"""A hash with its columns: 55 bytes where each number is the largest, and none is packed."""
_ITEM_BYTES = 64
"""Bytes that a media item adds to its fingerprints, with room for fields to come."""
_ITEM_ID_BYTES = 16 + 2
_REVIEWS = (
    "/disrupt.v1.ReviewService/SetItemStates",
    "/disrupt.v1.ReviewService/MoveItems",
    "/disrupt.v1.ReviewService/ConfirmItems",
)

_RECEIPT_S = 5.0
"""Base time for a message, which is sent with its call: enough for a network that loses some."""
_RECEIPT_BYTES_PER_S = 2 * 2**20
"""Slowest rate of a message: the largest picture has 22 s, one of 3 MB needs 1.2 Mbit/s."""

STRANGER_CALLS_MAX = 64
"""Most calls of one method without a key, in one worker; one more ends another, see strangers."""
STRANGER_RECEIPT_S = 1.0
"""Longest that the message of such a call may take: it is empty, or a name."""
STRANGER_MESSAGE_BYTES_MAX = 4096
STRANGER_STREAM_S = 10.0
"""Longest reflection call; a watch of the server's health has no bound."""

UNADMITTED_CALLS_MAX = 512
"""Calls without a key, and refused ones, that are open in one worker: twice what STRANGER_CALLS_MAX
lets strangers keep open of four methods. More end connections, see unadmitted."""
REFUSALS_PER_S = 512
"""Refused calls of keys, and as many of strangers, refused or without a key, that one worker
answers in a second: an eighth of its time. Keys share theirs, and networks of strangers do."""
REFUSALS_LEAST = 8
"""Least share of each, however many there are."""
STRANGERS_CALLS_PER_S = 4 * REFUSALS_PER_S
"""Calls of strangers in a second, half of a worker's time, beyond which the least share is smaller.
"""
REFUSALS_LEAST_OF_MANY = 2
"""What is left then to a network: checks of the server's health come once a second, or less."""
CONNECTION_CALLS_MAX = 32
"""Calls at once on one connection; gRPC's clients hold more back. With few, a connection that is
shut down takes little of the queue, and few connections cannot fill it."""
PENDING_CALLS_MAX = 8192
"""Calls that wait for a worker's event loop, in one queue. Of more, gRPC drops some, whoever makes
them, and all of more than twice as many. A call that is dropped costs more than one that waits."""
LOOKAHEAD_BYTES = 16 * 1024
"""Most bytes of a message that gRPC receives before its call is handed over: some 500 hashes. A
call that waits takes 16 KiB beside."""
CONNECTIONS_MAX = 4096
"""Connections of one worker, or half of the files that it may open if that is less."""

_WRITES = 128
"""Calls at the writer. If all of them open cases the last waits 3 s, for 22 ms a PIN."""
_BATCHES = 32
"""Batches of the largest size that are searched, or wait for it, in one worker."""


def capacities(config: Config) -> dict[Resource, int]:
    """Derive the supply of each resource: of one worker, or of SHARED resources of all workers."""
    return {
        Resource.CALLS: config.max_concurrent_calls,
        # gRPC has three copies of a message while it hands it over, and frees what was ended late
        Resource.BYTES: config.max_message_bytes,
        Resource.HASHES: config.max_hashes_per_lookup * _BATCHES,
        # twice what the settings name, so that a caller alone has that
        Resource.PICTURES: 2 * (config.hashing_workers + config.hashing_queue),
        Resource.VIDEOS: 2 * (config.video_workers + config.video_queue),
        # so that a caller alone has one of the largest lookups
        Resource.VIDEO_BYTES: 2 * HELD_BYTES_MAX,
        Resource.WRITES: _WRITES,
        # the writer holds each about three times while it reads and stores it
        Resource.WRITTEN_BYTES: config.max_message_bytes,
    }


def rates(config: Config) -> dict[Kind, float]:
    """Return the quotas of organisations that have none of their own, as amounts a second."""
    return {kind: rate for kind in Kind if (rate := getattr(config, kind.value)) is not None}


@dataclass(frozen=True, slots=True)
class MessageLimits:
    """Most bytes of one message, by method; a message is refused by them before it is decoded."""

    default_bytes: int
    by_method: dict[str, int]

    @classmethod
    def of(cls, config: Config) -> MessageLimits:
        """Derive them from the counts that the configuration allows."""
        lookup = config.max_hashes_per_lookup * _QUERY_BYTES
        registration = (
            config.max_items_per_registration * _ITEM_BYTES
            + config.max_hashes_per_registration * _FINGERPRINT_BYTES
        )
        payloads = {
            "/disrupt.v1.MatchService/MatchHashes": lookup,
            "/disrupt.v1.MatchService/StreamMatchHashes": lookup,
            "/disrupt.v1.MatchService/MatchImage": config.max_message_bytes,
            "/disrupt.v1.MatchService/MatchVideo": FRAMES_MAX * _FINGERPRINT_BYTES,
            "/disrupt.v1.RegistrationService/RegisterHashes": registration,
            "/disrupt.v1.RegistrationService/RegisterImage": config.max_message_bytes,
            "/disrupt.v1.RegistrationService/RegisterVideo": CHUNK_BYTES_MAX,
            "/disrupt.v1.RegistrationService/WithdrawItems": (
                config.max_items_per_case * _ITEM_ID_BYTES
            ),
            **dict.fromkeys(_REVIEWS, ITEMS_AT_ONCE * _ITEM_ID_BYTES),
        }
        most = config.max_message_bytes
        return cls(
            min(ENVELOPE_BYTES_MAX, most),
            {name: min(size + ENVELOPE_BYTES_MAX, most) for name, size in payloads.items()},
        )

    def time_s(self, method: str) -> float:
        """Return the longest that the only message of a call may take to come."""
        if method.startswith(WITHOUT_KEY):
            return STRANGER_RECEIPT_S
        return _RECEIPT_S + self(method) / _RECEIPT_BYTES_PER_S

    def __call__(self, method: str) -> int:
        """Return the most bytes of one message of a method."""
        if method.startswith(WITHOUT_KEY):
            return STRANGER_MESSAGE_BYTES_MAX
        return self.by_method.get(method, self.default_bytes)
