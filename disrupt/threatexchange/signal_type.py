"""Pictures as signals: hashed and matched as a hotline does, comparable with ``pdq``."""

from __future__ import annotations

from typing import Any

import numpy as np
from threatexchange.content_type.content_base import ContentType
from threatexchange.content_type.photo import PhotoContent
from threatexchange.signal_type.pdq.pdq_index import PDQIndex, PDQIndexMatch
from threatexchange.signal_type.pdq.signal import PdqSignal
from threatexchange.signal_type.signal_base import (
    BytesHasher,
    SignalComparisonResult,
    SimpleSignalType,
)

from disrupt.core.hashes import MIN_LOOKUP_QUALITY, PdqHash
from disrupt.core.media import LowQuality
from disrupt.distinctiveness.shape_distance import SHAPE_BITS, shape_bits
from disrupt.hashing.decoding.pictures import DEFAULT_LIMITS, decode_frames
from disrupt.hashing.pdq.linear import hash_luma
from disrupt.hashing.pdq.luma import canonical_luma
from disrupt.hashing.selection import in_time, single


class DisruptPdqIndex(PDQIndex[Any]):
    """Index that drops matches beyond the limit of the hash looked up, as a hotline does."""

    def query(self, hash: str) -> list[PDQIndexMatch[Any]]:  # noqa: A002 the interface's name
        """Return the entries within 31 bits, or fewer where the hash is less distinctive.

        An empty hash, of a picture that has none, matches nothing.
        """
        if not hash:
            return []
        code = np.frombuffer(PdqHash.from_hex(hash).value, np.uint8)
        limit_bits = shape_bits(code[None]) - SHAPE_BITS
        matches = super().query(hash)
        return [match for match in matches if match.similarity_info.distance <= limit_bits]


class DisruptPdqSignal(SimpleSignalType, BytesHasher):
    """PDQ of a picture reduced to 512 px, which copies of other sizes share; 64 hex digits."""

    @classmethod
    def get_content_types(cls) -> list[type[ContentType]]:
        """Return the content that has such a hash."""
        return [PhotoContent]

    @classmethod
    def get_index_cls(cls) -> type[DisruptPdqIndex]:
        """Return the index that searches these hashes."""
        return DisruptPdqIndex

    @classmethod
    def validate_signal_str(cls, signal_str: str) -> str:
        """Return the hash. ValueError unless it is one."""
        valid: str = PdqSignal.validate_signal_str(signal_str)
        return valid

    @classmethod
    def compare_hash(cls, hash1: str, hash2: str) -> SignalComparisonResult:
        """Compare two hashes: they match within 31 bits."""
        return PdqSignal.compare_hash(hash1, hash2)

    @classmethod
    def hash_from_bytes(cls, bytes_: bytes) -> str:
        """Hash a picture file; of an animation, the first frame that has a hash.

        Empty where the picture is too featureless or too regular to match. InvalidMediaError where
        it is no picture: it says nothing about what the file shows.
        """
        frames = decode_frames(bytes_, DEFAULT_LIMITS)
        for picture in in_time(frames, DEFAULT_LIMITS.frames_cpu_s):
            hashed = single(hash_luma(canonical_luma(picture)), MIN_LOOKUP_QUALITY)
            if not isinstance(hashed, LowQuality):
                return hashed[0].value.hex()
        return ""

    @staticmethod
    def get_examples() -> list[str]:
        """Return none: a hotline has no samples but its bank ``test``."""
        return []
