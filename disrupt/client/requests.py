"""Make requests of MatchService; invalid arguments raise InvalidRequestError."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from disrupt.client.arguments import buffer, invalid, member, whole_number
from disrupt.core.hashes import HASH_BYTES, OPERATOR_MAX_DISTANCE_BITS, PdqHash, unpack
from disrupt.core.lookups import Effort
from disrupt.core.media import Profile
from disrupt.core.outcomes import Outcome
from disrupt.v1 import match_pb2

HashBatch: TypeAlias = "Iterable[PdqHash] | NDArray[np.uint8] | bytes | bytearray | memoryview"
"""n hashes: values, an array of shape (n, 32) and dtype uint8, or 32 bytes each, packed."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Hashes with their PDQ qualities, 0-100, one each, where they are known."""

    hashes: HashBatch
    qualities: Sequence[int] | None = None


MAX_MATCHES = 10
_MOST_MATCHES = 1000

SMALL_BATCH = 64
SMALL_BATCH_BYTES = SMALL_BATCH * HASH_BYTES
"""Largest batch that is sent without asking the server for its limit first."""

LIMIT_HOLDS_S = 60.0
"""Time for which the server's limit is cached: it may change when the server restarts."""

_MAX_QUALITY = 100
_BATCH = "PdqHash values (PdqHash.from_hex makes them of hex), an array, or packed bytes"


def options(
    max_distance_bits: int | None,
    max_matches: int,
    banks: Sequence[str],
    effort: Effort = Effort.STANDARD,
) -> match_pb2.MatchOptions:
    """Make the options of a lookup.

    ``max_distance_bits`` is inclusive, None for each bank's own threshold; ``max_matches`` is the
    most media items per query, 1-1000, nearest first; ``banks`` are names, empty for all that the
    key may search; ``effort`` is for lookups by picture or video.
    """
    message = match_pb2.MatchOptions(
        max_matches=whole_number("options.max_matches", max_matches, 1, _MOST_MATCHES),
        effort=member("options.effort", effort, Effort).value,  # type: ignore[arg-type]  # the numbers are the same
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


def check_flow(batches: object, *kinds: type, profile: object) -> None:
    """Raise InvalidRequestError for arguments of which no flow can be made."""
    member("profile", profile, Profile)
    refusal = invalid(
        "batches", f"give an iterable of batches, each of hashes, not {type(batches).__name__}"
    )
    if isinstance(batches, str | bytes | memoryview) or not isinstance(batches, kinds):
        raise refusal
    try:
        if isinstance(batches, Iterable):
            iter(batches)  # An array of no dimensions only seems to be.
    except TypeError:
        raise refusal from None


def flow_batch(batch: HashBatch | Batch) -> Batch:
    """Return one batch of a flow, its hashes packed. Raises InvalidRequestError if it is empty."""
    given = batch if isinstance(batch, Batch) else Batch(batch)
    packed = pack(given.hashes)
    if not packed:
        raise invalid("hashes", "a batch of a flow has at least one hash")
    return Batch(packed, given.qualities)


def match_hashes(
    packed: bytes,
    *,
    most: int,
    profile: Profile,
    qualities: Sequence[int] | None,
    options: match_pb2.MatchOptions,
) -> list[match_pb2.MatchHashesRequest]:
    """Make requests of at most ``most`` hashes each, which together hold all, in order."""
    count = len(packed) // HASH_BYTES
    levels = b"" if qualities is None else _levels(qualities, count)
    value = member("profile", profile, Profile).value
    return [
        match_pb2.MatchHashesRequest(
            hashes=packed[at * HASH_BYTES : (at + most) * HASH_BYTES],
            profile=value,  # type: ignore[arg-type]  # the numbers are the same
            qualities=levels[at : at + most],
            options=options,
        )
        for at in range(0, count, most)
    ]


def index_status(cursor: str) -> match_pb2.GetIndexStatusRequest:
    """Request of the index's state; ``cursor`` of a receipt or an answer, or empty."""
    try:
        return match_pb2.GetIndexStatusRequest(cursor=cursor)
    except (TypeError, ValueError):  # ValueError: text that UTF-8 does not have
        raise invalid("cursor", "give the cursor of a receipt or an answer as it came") from None


def report(match_id: object, outcome: object, *, path: str = "") -> match_pb2.ReportOutcomeRequest:
    """Make the report of a match; ``path`` names it among several, for violations."""
    if not isinstance(match_id, bytes) or not match_id:
        raise invalid(f"{path}match_id", "give the match_id of a match, as it came")
    value = member(f"{path}outcome", outcome, Outcome).value
    return match_pb2.ReportOutcomeRequest(match_id=match_id, outcome=value)  # type: ignore[arg-type]  # likewise


def reports(pairs: object) -> list[match_pb2.ReportOutcomeRequest]:
    """Make the reports of several matches, each a pair of match id and outcome."""
    try:
        given = [(match_id, outcome) for match_id, outcome in cast("Iterable[Any]", pairs)]
    except (TypeError, ValueError):
        raise invalid("reports", "give pairs of the match_id of a match and an Outcome") from None
    return [report(*pair, path=f"reports[{at}].") for at, pair in enumerate(given)]


def count(request: match_pb2.MatchHashesRequest) -> int:
    """Return how many hashes a request holds."""
    return len(request.hashes) // HASH_BYTES


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
