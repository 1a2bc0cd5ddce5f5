"""Requests of MatchService from what callers have; what none takes is an InvalidRequestError."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import HASH_BYTES, OPERATOR_MAX_DISTANCE_BITS, PdqHash, unpack
from disrupt.core.lookups import Effort
from disrupt.core.media import Profile
from disrupt.errors import InvalidRequestError, Violation
from disrupt.hashing import ImageQuery
from disrupt.v1 import match_pb2

HashBatch: TypeAlias = "Sequence[PdqHash] | NDArray[np.uint8] | bytes"
"""n hashes: values, an array of shape (n, 32) and dtype uint8, or 32 bytes each, packed."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Hashes with what is known of them: PDQ qualities of 0-100, one each."""

    hashes: HashBatch
    qualities: Sequence[int] | None = None


MAX_MATCHES = 10
_MOST_MATCHES = 1000

SMALL_BATCH = 64
SMALL_BATCH_BYTES = SMALL_BATCH * HASH_BYTES
"""Batches up to here are sent without asking the server for its limit first."""

_MAX_QUALITY = 100


@dataclass(frozen=True, slots=True)
class Lookup:
    """What narrows a lookup.

    ``max_distance_bits`` inclusive, None for each bank's own threshold; ``max_matches`` media items
    per query, 1-1000, nearest first; ``banks`` by name, empty for all that the key may search;
    ``effort`` of a lookup by picture or video.
    """

    max_distance_bits: int | None = None
    max_matches: int = MAX_MATCHES
    banks: Sequence[str] = ()
    effort: Effort = Effort.STANDARD

    def options(self) -> match_pb2.MatchOptions:
        """As a message."""
        if (
            self.max_distance_bits is not None
            and not 0 <= self.max_distance_bits <= OPERATOR_MAX_DISTANCE_BITS
        ):
            raise _invalid(
                "options.max_distance_bits",
                f"{self.max_distance_bits} is outside 0-{OPERATOR_MAX_DISTANCE_BITS} (inclusive)",
            )
        if not 1 <= self.max_matches <= _MOST_MATCHES:
            raise _invalid(
                "options.max_matches", f"{self.max_matches} is outside 1-{_MOST_MATCHES}"
            )
        if isinstance(self.banks, str):
            raise _invalid("options.banks", "give a list of names, not one string")
        return match_pb2.MatchOptions(
            max_distance_bits=self.max_distance_bits,
            max_matches=self.max_matches,
            banks=self.banks,
            effort=self.effort.value,  # type: ignore[arg-type]  # the numbers are the same
        )


def pack(batch: HashBatch) -> bytes:
    """Bytes of a batch, 32 for each hash."""
    if isinstance(batch, bytes):
        return unpack(batch).tobytes()
    if isinstance(batch, np.ndarray):
        if batch.dtype != np.uint8 or batch.ndim != 2 or batch.shape[1] != HASH_BYTES:  # noqa: PLR2004 the shape (n, 32)
            found = f"{batch.dtype} {batch.shape}"
            raise _invalid("hashes", f"an array must be uint8 (n, {HASH_BYTES}), not {found}")
        return batch.tobytes()
    return b"".join(one.value for one in batch)


def of_flow(batch: HashBatch | Batch) -> tuple[bytes, Sequence[int] | None]:
    """Packed hashes and qualities of one batch of a flow, which is not empty."""
    one = batch if isinstance(batch, Batch) else Batch(batch)
    packed = pack(one.hashes)
    if not packed:
        raise _invalid("hashes", "a batch of a flow has at least one hash")
    return packed, one.qualities


def match_hashes(
    packed: bytes, *, most: int, profile: Profile, qualities: Sequence[int] | None, lookup: Lookup
) -> list[match_pb2.MatchHashesRequest]:
    """Requests of at most ``most`` hashes each that together ask for all, in order."""
    count = len(packed) // HASH_BYTES
    if qualities is not None and (
        len(qualities) != count or any(not 0 <= one <= _MAX_QUALITY for one in qualities)
    ):
        raise _invalid(
            "qualities", f"give {count} qualities of 0-{_MAX_QUALITY}, one for each hash, or none"
        )
    options, levels = lookup.options(), bytes(qualities or ())
    return [
        match_pb2.MatchHashesRequest(
            hashes=packed[at * HASH_BYTES : (at + most) * HASH_BYTES],
            profile=profile.value,  # type: ignore[arg-type]  # the numbers are the same
            qualities=levels[at : at + most],
            options=options,
        )
        for at in range(0, count, most)
    ]


def match_query(
    query: ImageQuery, *, most: int, lookup: Lookup
) -> list[match_pb2.MatchHashesRequest]:
    """Requests of at most ``most`` hashes for the versions of a picture that was hashed here."""
    packed = pack([one for one, _ in query.hashes])
    return match_hashes(packed, most=most, profile=Profile.PDQ_512, qualities=None, lookup=lookup)


def count(request: match_pb2.MatchHashesRequest) -> int:
    """How many hashes a request asks for."""
    return len(request.hashes) // HASH_BYTES


def match_image(image: bytes, lookup: Lookup) -> match_pb2.MatchImageRequest:
    """Request that sends a picture."""
    return match_pb2.MatchImageRequest(image=image, options=lookup.options())


def _invalid(field: str, description: str) -> InvalidRequestError:
    return InvalidRequestError.of(Violation(field, description))
