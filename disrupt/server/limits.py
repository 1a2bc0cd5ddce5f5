"""Limits of what a call may send, all derived from the configuration here, with their reasons."""

from __future__ import annotations

from dataclasses import dataclass

from disrupt.server.config import Config
from disrupt.wire.payloads import ENVELOPE_BYTES_MAX

CHUNK_BYTES_MAX = 1 << 20
"""Largest part of a video's file: what a slow client makes the server hold for it."""

FRAMES_MAX = 100_000
"""Most hashes of frames in one lookup by video: 27 hours at one a second."""

_QUERY_BYTES = 32 + 1
"""A hash to look up, and its quality."""
_FINGERPRINT_BYTES = 64
"""A hash with its columns: 55 bytes where each number is the largest, and none is packed."""
_ITEM_BYTES = 64
"""What a media item adds to its fingerprints, with room for fields to come."""
_ITEM_ID_BYTES = 16 + 2


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
        }
        most = config.max_message_bytes
        return cls(
            min(ENVELOPE_BYTES_MAX, most),
            {name: min(size + ENVELOPE_BYTES_MAX, most) for name, size in payloads.items()},
        )

    def __call__(self, method: str) -> int:
        """Return the most bytes of one message of a method."""
        return self.by_method.get(method, self.default_bytes)
