"""Answers as JSON objects: what `disrupt match --json` prints, and the door answers."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

from disrupt.client.results import HashAnswer, ImageAnswer, Match, VideoAnswer
from disrupt.core.hashes import MIN_LOOKUP_QUALITY
from disrupt.core.lookups import Extent
from disrupt.core.media import LowQuality
from disrupt.errors import DisruptError


def problem(
    answer: HashAnswer | ImageAnswer | VideoAnswer | None, error: DisruptError | None = None
) -> tuple[str, str]:
    """Return reason and message of why there is no answer; empty where there is one."""
    if error:
        return error.reason, error.message
    if isinstance(answer, ImageAnswer) and answer.low_quality:
        low = LowQuality(answer.quality, MIN_LOOKUP_QUALITY, answer.advice)
        return "LOW_QUALITY", low.message
    if isinstance(answer, VideoAnswer) and answer.frames_low_quality == answer.frames_hashed:
        return "LOW_QUALITY", "No frame of this video shows enough detail to be told apart."
    return "", ""


def row(
    answer: HashAnswer | ImageAnswer | VideoAnswer | None, error: DisruptError | None = None
) -> dict[str, Any]:
    """Return the fields of one input's answer, or of why there is none."""
    reason, message = problem(answer, error)
    more: dict[str, Any] = {}
    if isinstance(answer, ImageAnswer) and answer.frames_skipped:
        more["frames_skipped"] = answer.frames_skipped
    if isinstance(answer, VideoAnswer) and answer.incomplete:
        more["incomplete"] = True
    return {
        "quality": answer.quality if isinstance(answer, ImageAnswer) else None,
        "matches": [fields(match) for match in answer.matches] if answer and not reason else [],
        "error": {"reason": reason, "message": message} if reason else None,
        **more,
    }


def fields(match: Match) -> dict[str, Any]:
    """Return the fields of one match."""
    return {
        "item": match.item_id,
        "bank": match.bank,
        "assurance": match.assurance.name.lower(),
        "match_id": match.match_id.hex(),
        "distance": match.distance_bits,
        "extent": match.extent.value,
        "query_transform": str(match.query_transform),
        "stored_transform": _stored(match),
        **_seen(match),
        **({"regions": match.regions} if match.extent == Extent.PART else {}),
        **({"common": True} if match.common else {}),
        **({"disputed": True} if match.disputed else {}),
    }


def _stored(match: Match) -> str:
    return str(match.transform) if match.transform else f"plan {match.plan}:{match.ordinal}"


def _seen(match: Match) -> dict[str, Any]:
    """Return when a video shows the match; nothing in answers to pictures."""
    if not match.segments:
        return {}
    return {
        "segments": [list(astuple(segment)) for segment in match.segments],
        "query_share": match.query_share_permille,
        "stored_share": match.stored_share_permille,
        "common_only": match.common_only,
    }
