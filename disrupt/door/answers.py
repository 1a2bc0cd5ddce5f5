"""Answers as messages of MatchService: the reverse of what the SDK makes of them."""

from __future__ import annotations

from disrupt.client.results import ImageAnswer, Match
from disrupt.core.hashes import MIN_LOOKUP_QUALITY
from disrupt.v1 import match_pb2, types_pb2
from disrupt.wire.match import transform


def image_response(answer: ImageAnswer) -> match_pb2.MatchImageResponse:
    """Return the message of an answer to a picture."""
    response = match_pb2.MatchImageResponse(
        truncated=answer.truncated,
        quality=answer.quality,
        index_cursor=answer.index_cursor,
        frames_skipped=answer.frames_skipped,
    )
    if answer.low_quality:
        response.low_quality.quality = answer.quality
        response.low_quality.minimum_quality = MIN_LOOKUP_QUALITY
        response.low_quality.advice = answer.advice
    for match in answer.matches:
        response.matches.add(
            item_id=bytes.fromhex(match.item_id),
            bank=match.bank,
            assurance=int(match.assurance),
            distance_bits=match.distance_bits,
            kind=int(match.kind or 0),
            query_transform=transform(match.query_transform),
            variant=_variant(match),
            match_id=match.match_id,
            query_area_permille=match.query_area_permille,
            stored_area_permille=match.stored_area_permille,
            disputed=match.disputed,
            regions=match.regions,
            common=match.common,
        )
    return response


def _variant(match: Match) -> types_pb2.Variant:
    known = match.transform and transform(match.transform)
    return types_pb2.Variant(plan=match.plan, ordinal=match.ordinal, transform=known)
