"""Convert the messages of MatchService: lookups, and answers in columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache

import numpy as np

from disrupt.core.hashes import MIN_QUALITY, refuse_hex_digits, unpack
from disrupt.core.lookups import MAX_MATCHES, Effort, HashLookup, LookupOptions, Matches
from disrupt.core.media import LowQuality
from disrupt.core.outcomes import MatchOutcome
from disrupt.core.status import IndexStatus, Limits
from disrupt.core.transforms import Transform, count_anchored, transform_of
from disrupt.v1 import match_pb2, types_pb2
from disrupt.wire.fields import MAX_QUALITY, invalid, low_quality_message

DEFAULT = LookupOptions()
"""Shared options of a lookup that sets none. Compare with ``is``."""
_BANKS_MAX = 64


def options(message: match_pb2.MatchOptions) -> LookupOptions:
    """Return a lookup's options; core.policy.scope compares the threshold with the banks' own."""
    if message.max_matches > MAX_MATCHES:
        raise invalid("options.max_matches", f"{message.max_matches} is outside 0-{MAX_MATCHES}")
    if len(message.banks) > _BANKS_MAX:
        raise invalid("options.banks", f"name at most {_BANKS_MAX} banks")
    has_threshold = message.HasField("max_distance_bits")
    return LookupOptions(
        max_distance_bits=message.max_distance_bits if has_threshold else None,
        max_matches=message.max_matches or DEFAULT.max_matches,
        banks=tuple(message.banks),
        effort=_EFFORTS.get(message.effort, Effort.STANDARD),
        whole_only=message.whole_only,
        leave_out_common=message.leave_out_common,
    )


def hash_lookup(message: match_pb2.MatchHashesRequest, *, most: int) -> HashLookup:
    """Return a batch of 1 to ``most`` queries."""
    hashes = unpack(message.hashes)
    refuse_hex_digits(message.hashes)
    count = len(hashes)
    if not 1 <= count <= most:
        raise invalid("hashes", f"{count} hashes; send 1 to {most} in one call")
    asked = options(message.options) if message.HasField("options") else DEFAULT
    uploads = message.uploads if message.HasField("uploads") else None
    if uploads is not None and not 1 <= uploads <= count:
        raise invalid("uploads", f"{count} hashes are of 1 to {count} uploads, not of {uploads}")
    since = message.since if message.HasField("since") else None
    if since and asked.leave_out_common:
        raise invalid(
            "since",
            "what is new cannot be asked for without common matches, as older ones may be common no"
            " more: leave options.leave_out_common unset, and pass over matches that are common",
        )
    if not message.qualities:
        return HashLookup(hashes, asked, uploads=uploads, since=since)
    if len(message.qualities) != count:
        raise invalid(
            "qualities", f"{len(message.qualities)} qualities for {count} hashes; send one a hash"
        )
    qualities = np.frombuffer(message.qualities, np.uint8)
    if qualities.max() > MAX_QUALITY:
        at = int(qualities.argmax())
        raise invalid(f"qualities[{at}]", f"{qualities[at]} is outside 0-{MAX_QUALITY}")
    sufficient = qualities >= MIN_QUALITY
    if sufficient.all():
        return HashLookup(hashes, asked, uploads=uploads, since=since)
    low_quality = np.flatnonzero(~sufficient).tolist()
    return HashLookup(hashes, asked, np.flatnonzero(sufficient), low_quality, uploads, since)


def hashes_answer(
    lookup: HashLookup,
    matches: Matches,
    match_ids: Sequence[bytes],
    bank_names: Mapping[int, str],
    index_cursor: str,
    next_since: str = "",
) -> match_pb2.MatchHashesResponse:
    """Make the answer, in columns; ``matches`` are of the searched rows of ``lookup``."""
    response = match_pb2.MatchHashesResponse(index_cursor=index_cursor, next_since=next_since)
    if lookup.low_quality:
        response.low_quality_queries.extend(lookup.low_quality)
    if not len(matches):
        return response
    response.truncated_queries.extend(lookup.rows(matches.truncated))
    banks = matches.bank.tolist()
    positions = {number: position for position, number in enumerate(sorted(set(banks)))}
    columns = response.matches
    columns.queries.extend(lookup.rows(matches.query))
    columns.item_ids = matches.item_ids.tobytes()
    columns.distances_bits.extend(matches.distance_bits.tolist())
    columns.bank_names.extend(bank_names[number] for number in positions)
    columns.banks.extend(positions[number] for number in banks)
    columns.assurances.extend(matches.assurance.tolist())
    columns.kinds.extend(matches.kind.tolist())
    columns.variants.extend(
        variant(plan, ordinal)
        for plan, ordinal in zip(matches.plan.tolist(), matches.ordinal.tolist(), strict=True)
    )
    columns.match_ids.extend(match_ids)
    columns.stored_areas_permille.extend(matches.stored_area_permille.tolist())
    if matches.is_common.any():
        columns.common.extend(matches.is_common.tolist())
    if matches.is_disputed.any():
        columns.disputed.extend(matches.is_disputed.tolist())
    return response


def picture_answer(
    quality: int,
    versions: Sequence[Transform],
    matches: Matches,
    match_ids: Sequence[bytes],
    bank_names: Mapping[int, str],
    index_cursor: str,
    *,
    frames_skipped: int,
) -> match_pb2.MatchImageResponse:
    """Make the answer for one picture, of which ``versions`` were searched."""
    response = match_pb2.MatchImageResponse(
        quality=quality,
        truncated=bool(len(matches.truncated)),
        index_cursor=index_cursor,
        frames_skipped=frames_skipped,
    )
    versions_of = matches.matched_versions()
    for at, match_id in enumerate(match_ids):
        response.matches.add(
            item_id=matches.item_ids[at].tobytes(),
            bank=bank_names[int(matches.bank[at])],
            assurance=int(matches.assurance[at]),
            kind=int(matches.kind[at]),
            distance_bits=int(matches.distance_bits[at]),
            query_transform=transform(versions[int(matches.version[at])]),
            variant=variant(int(matches.plan[at]), int(matches.ordinal[at])),
            match_id=match_id,
            query_area_permille=int(matches.query_area_permille[at]),
            stored_area_permille=int(matches.stored_area_permille[at]),
            common=bool(matches.is_common[at]),
            disputed=bool(matches.is_disputed[at]),
            regions=count_anchored((each.plan, each.ordinal) for each in versions_of[at]),
        )
    return response


def low_quality_answer(value: LowQuality, index_cursor: str) -> match_pb2.MatchImageResponse:
    """Make the answer for a picture that cannot be searched."""
    return match_pb2.MatchImageResponse(
        quality=value.quality,
        low_quality=low_quality_message(value),
        index_cursor=index_cursor,
        frames_skipped=value.frames_skipped,
    )


def status_answer(
    status: IndexStatus,
    index_cursor: str,
    *,
    includes_cursor: bool,
    lag_s: float,
    oldest_withdrawn_s: float,
    limits: Limits,
) -> match_pb2.GetIndexStatusResponse:
    """Make the answer that describes the index; ``index_cursor`` is sealed."""
    return match_pb2.GetIndexStatusResponse(
        generation=status.generation,
        index_cursor=index_cursor,
        includes_cursor=includes_cursor,
        items=status.items,
        hashes=status.hashes,
        delta_hashes=status.delta_hashes,
        tombstones=status.tombstones,
        lag_ms=round(lag_s * 1000),
        oldest_withdrawn_s=math.ceil(oldest_withdrawn_s),
        engine=status.engine,
        limits=match_pb2.Limits(**asdict(limits)),
    )


def outcome(number: int) -> MatchOutcome:
    """Return what came of a match. Raises InvalidRequestError for an unknown number."""
    try:
        return MatchOutcome(number)
    except ValueError:
        names = ", ".join(each.name for each in MatchOutcome)
        raise invalid("outcome", f"say one of {names}; nothing was noted") from None


def reported_answer() -> match_pb2.ReportOutcomeResponse:
    """Make the answer to a report that is noted."""
    return match_pb2.ReportOutcomeResponse()


@lru_cache(maxsize=4096)
def variant(plan: int, ordinal: int) -> types_pb2.Variant:
    """Return a plan and ordinal as a message, with the transform if known. Shared: copy it."""
    known = transform_of(plan, ordinal)
    return types_pb2.Variant(
        plan=plan, ordinal=ordinal, transform=None if known is None else transform(known)
    )


def transform(value: Transform) -> types_pb2.Transform:
    """Convert a transform to a message."""
    return types_pb2.Transform(**value._asdict())


_EFFORTS: dict[int, Effort] = {effort.value: effort for effort in Effort}
