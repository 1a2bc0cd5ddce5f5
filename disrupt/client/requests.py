"""Make requests of MatchService; invalid arguments raise InvalidRequestError."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from disrupt.client.arguments import buffer, flag, invalid, member, whole_number
from disrupt.core.hashes import (
    HASH_BYTES,
    OPERATOR_MAX_DISTANCE_BITS,
    PdqHash,
    refuse_hex_digits,
    unpack,
)
from disrupt.core.lookups import Effort
from disrupt.core.media import Profile
from disrupt.core.outcomes import MatchOutcome
from disrupt.v1 import match_pb2

HashBatch: TypeAlias = "Iterable[PdqHash] | NDArray[np.uint8] | bytes | bytearray | memoryview"
"""n hashes: values, an array of shape (n, 32) and dtype uint8, or 32 bytes each, packed."""


MAX_MATCHES = 10
_MOST_MATCHES = 1000

BATCH = 1000
"""Most hashes in one call, unless they are of one upload; larger calls are not answered faster."""
_MOST_HASHES = 10_000
"""Most hashes in one call that every server takes, more than a picture has."""

_MAX_QUALITY = 100
_BATCH = "PdqHash values (PdqHash.from_hex makes them of hex), an array, or packed bytes"


def options(
    max_distance_bits: int | None,
    max_matches: int,
    banks: Sequence[str],
    effort: Effort = Effort.STANDARD,
    *,
    whole_only: bool = False,
    leave_out_common: bool = False,
) -> match_pb2.MatchOptions:
    """Make the options of a lookup.

    ``max_distance_bits`` is inclusive, None for each bank's own threshold; ``max_matches`` is the
    most media items per query, 1-1000, nearest first; ``banks`` are names, empty for all that the
    key may search; ``effort`` and ``whole_only`` are for lookups by picture or video;
    ``leave_out_common`` leaves out matches that are ``common``.
    """
    message = match_pb2.MatchOptions(
        max_matches=whole_number("options.max_matches", max_matches, 1, _MOST_MATCHES),
        effort=member("options.effort", effort, Effort).value,  # type: ignore[arg-type]  # the numbers are the same
        whole_only=flag("options.whole_only", whole_only),
        leave_out_common=flag("options.leave_out_common", leave_out_common),
    )
    if max_distance_bits is not None:
        message.max_distance_bits = whole_number(
            "options.max_distance_bits", max_distance_bits, 0, OPERATOR_MAX_DISTANCE_BITS
        )
    try:
        if isinstance(banks, str | bytes | None):
            raise TypeError  # noqa: TRY301 protobuf would take letters as names, and None as no banks
        message.banks.extend(banks)
    except (TypeError, ValueError):
        raise invalid(
            "options.banks", "give a list of names; leave it out for all that the key may search"
        ) from None
    return message


def pack(batch: object) -> bytes:
    """Pack a HashBatch, 32 bytes for each hash. Raises InvalidRequestError for anything else."""
    if isinstance(batch, bytes | bytearray | memoryview):
        return unpack(buffer("hashes", batch)).tobytes()
    if isinstance(batch, np.ndarray):
        if batch.dtype != np.uint8 or batch.ndim != 2 or batch.shape[1] != HASH_BYTES:  # noqa: PLR2004 the shape (n, 32)
            given = f"{batch.dtype} {batch.shape}"
            raise invalid("hashes", f"an array must be uint8 (n, {HASH_BYTES}), not {given}")
        return batch.tobytes()
    if isinstance(batch, str) or not isinstance(batch, Iterable):
        raise invalid("hashes", f"give {_BATCH}, not {type(batch).__name__}")
    values = []
    for at, value in enumerate(batch):
        if not isinstance(value, PdqHash):
            raise invalid("hashes", f"give {_BATCH}; item {at} is of type {type(value).__name__}")
        values.append(value.value)
    return b"".join(values)


def match_hashes(
    packed: bytes,
    *,
    profile: Profile,
    qualities: Sequence[int] | None,
    options: match_pb2.MatchOptions,
    uploads: int | None = None,
    since: str | None = None,
) -> list[match_pb2.MatchHashesRequest]:
    """Make requests which together hold all hashes, in order.

    ``uploads``, 1 to n, are how many pictures and videos the hashes are of, None if that is not
    known; so few that one has more than BATCH hashes are not parted further.
    """
    try:
        if since is not None:
            since.encode()  # text that UTF-8 does not have is no cursor either
    except (AttributeError, UnicodeEncodeError):
        raise invalid("since", "give the next_since of an answer as it came, or None") from None
    refuse_hex_digits(packed)
    count, size = len(packed) // HASH_BYTES, BATCH
    if uploads is not None:
        uploads = whole_number("uploads", uploads, 1, count)
        size = min(max(BATCH, -(-count // uploads)), _MOST_HASHES)
    levels = b"" if qualities is None else _levels(qualities, count)
    value = member("profile", profile, Profile).value
    return [
        match_pb2.MatchHashesRequest(
            hashes=packed[at * HASH_BYTES : (at + size) * HASH_BYTES],
            profile=value,  # type: ignore[arg-type]  # the numbers are the same
            qualities=levels[at : at + size],
            options=options,
            uploads=uploads and _share(uploads, at, min(at + size, count), count),
            since=since,
        )
        for at in range(0, count, size)
    ]


def index_status(cursor: str) -> match_pb2.GetIndexStatusRequest:
    """Make the request for the index's state; ``cursor`` of a receipt or answer, or empty."""
    try:
        return match_pb2.GetIndexStatusRequest(cursor=cursor)
    except (TypeError, ValueError):  # ValueError: text that UTF-8 does not have
        raise invalid("cursor", "give the cursor of a receipt or an answer as it came") from None


def report_outcome(match_id: object, outcome: object) -> match_pb2.ReportOutcomeRequest:
    """Make the request that says what came of a match."""
    if not isinstance(match_id, bytes):
        raise invalid("match_id", f"give the bytes of a match, not {type(match_id).__name__}")
    number = member("outcome", outcome, MatchOutcome).value
    return match_pb2.ReportOutcomeRequest(match_id=match_id, outcome=number)  # type: ignore[arg-type]  # the numbers are the same


def count(request: match_pb2.MatchHashesRequest) -> int:
    """Return how many hashes a request holds."""
    return len(request.hashes) // HASH_BYTES


def _share(uploads: int, start: int, end: int, count: int) -> int:
    """Return how many of ``uploads`` a call with hashes ``start`` to ``end`` of ``count`` names."""
    return max(uploads * end // count - uploads * start // count, 1)


def _levels(qualities: Sequence[int], count: int) -> bytes:
    try:
        levels = bytes(operator.index(quality) for quality in qualities)
    except (TypeError, ValueError, OverflowError):
        levels = None
    if levels is None or len(levels) != count or max(levels, default=0) > _MAX_QUALITY:
        raise invalid(
            "qualities",
            f"give {count} whole numbers of 0-{_MAX_QUALITY}, one for each hash, or None",
        )
    return levels
