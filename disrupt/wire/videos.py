"""Convert lookups by video: options, frames hashed by the caller, and the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import MIN_QUALITY
from disrupt.core.lookups import MAX_INTERVAL_MS, MIN_INTERVAL_MS, VideoMatches, VideoOptions
from disrupt.core.media import FINGERPRINT, MediaKind
from disrupt.core.transforms import Dihedral
from disrupt.core.videos import FRAME
from disrupt.v1 import match_pb2, types_pb2
from disrupt.wire.fields import fingerprints, fingerprints_message, invalid
from disrupt.wire.match import options, transform, variant

_DEFAULT = VideoOptions()
_PERMILLE = 1000

VERSIONS_MAX = 64
"""Most versions of a frame: all its turns, each with eight regions."""


def video_options(message: match_pb2.MatchVideoOptions) -> VideoOptions:
    """Return the options of a lookup by video."""
    interval_ms = message.sample_interval_ms or _DEFAULT.interval_ms
    if not MIN_INTERVAL_MS <= interval_ms <= MAX_INTERVAL_MS:
        raise invalid(
            "options.sample_interval_ms",
            f"{interval_ms} is outside {MIN_INTERVAL_MS}-{MAX_INTERVAL_MS}",
        )
    shares = (message.min_query_share_permille, message.min_stored_share_permille)
    for name, share in zip(("query", "stored"), shares, strict=True):
        if share > _PERMILLE:
            raise invalid(f"options.min_{name}_share_permille", f"{share} is outside 0-{_PERMILLE}")
    return VideoOptions(options(message.options), interval_ms, *shares, message.answer_early)


def frames(message: types_pb2.Fingerprints) -> Iterator[NDArray[np.void]]:
    """Yield the versions of each frame, dtype FRAME, in the order of the message."""
    columns = fingerprints(message, MediaKind.VIDEO, path="frames")
    rows = np.zeros(len(columns), FRAME)
    for name in ("start_ms", "end_ms", "hash", "quality"):
        rows[name] = columns[name]
    rows["usable"] = columns["quality"] >= MIN_QUALITY
    if message.transforms:
        if len(message.transforms) != len(rows):
            raise invalid(
                "frames.transforms",
                f"{len(message.transforms)} entries for {len(rows)} hashes; send one a hash",
            )
        columns_of_transforms = np.array(
            [_columns(entry) for entry in message.transforms], np.int64
        )
        dihedral, cut = columns_of_transforms[:, 0], columns_of_transforms[:, 1:]
        known = (dihedral >= 0) & (dihedral <= max(Dihedral))
        rows["dihedral"] = np.where(known, dihedral, Dihedral.IDENTITY)
        rows["crop_permille"] = np.minimum(cut, _PERMILLE)
    times = rows[["start_ms", "end_ms"]]
    firsts = np.flatnonzero(np.append(True, times[1:] != times[:-1]))
    if (np.diff(rows["start_ms"][firsts].astype(np.int64)) < 0).any():
        raise invalid("frames.start_ms", "frames must ascend in time")
    for first, after in pairwise([*firsts.tolist(), len(rows)]):
        if after - first > VERSIONS_MAX:
            raise invalid(
                "frames.start_ms",
                f"{after - first} hashes have the same times; at most {VERSIONS_MAX} versions of a"
                " frame",
            )
        yield rows[first:after]


def _columns(transform: types_pb2.Transform) -> tuple[int, int, int, int, int]:
    return (
        transform.dihedral,
        transform.crop_left_permille,
        transform.crop_top_permille,
        transform.crop_right_permille,
        transform.crop_bottom_permille,
    )


def frames_message(rows: NDArray[np.void]) -> types_pb2.Fingerprints:
    """Make the message for frames hashed in this process (dtype FRAME)."""
    columns = np.zeros(len(rows), FINGERPRINT)
    for name in ("start_ms", "end_ms", "hash"):
        columns[name] = rows[name]
    # quality 0 keeps an unusable frame from being searched
    columns["quality"] = np.where(rows["usable"] != 0, rows["quality"], 0)
    columns["profile"] = 1
    message = fingerprints_message(columns, MediaKind.VIDEO)
    if rows["dihedral"].any() or rows["crop_permille"].any():
        for row in rows:
            left, top, right, bottom = row["crop_permille"].tolist()
            message.transforms.add(
                dihedral=int(row["dihedral"]),
                crop_left_permille=left,
                crop_top_permille=top,
                crop_right_permille=right,
                crop_bottom_permille=bottom,
            )
    return message


def video_answer(
    result: VideoMatches, match_ids: Sequence[bytes], bank_names: Mapping[int, str]
) -> match_pb2.MatchVideoResponse:
    """Make an answer with these matches; the caller sets what is known of the video."""
    response = match_pb2.MatchVideoResponse(truncated=result.truncated)
    for match, match_id in zip(result.matches, match_ids, strict=True):
        message = response.matches.add(
            item_id=match.item_id,
            bank=bank_names[match.bank],
            assurance=match.assurance,
            kind=match.kind.value,
            distance_bits=match.distance_bits,
            query_transform=transform(match.query_transform),
            variant=variant(match.plan, match.ordinal),
            match_id=match_id,
            query_share_permille=match.query_share_permille,
            stored_share_permille=match.stored_share_permille,
            common_only=match.common_only,
            query_area_permille=match.query_area_permille,
            stored_area_permille=match.stored_area_permille,
            disputed=match.is_disputed,
        )
        for segment in match.segments:
            message.segments.add(
                query_start_ms=segment.query_start_ms,
                query_end_ms=segment.query_end_ms,
                stored_start_ms=segment.stored_start_ms,
                stored_end_ms=segment.stored_end_ms,
            )
    return response
