"""The shape of what a picture or video registers, and how many pictures it is worth."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from disrupt.core.hashes import distances_bits
from disrupt.core.media import MediaKind, Profile
from disrupt.core.transforms import (
    ENLARGED,
    IDENTITY,
    PARTS_PLAN,
    PLANS,
    REGISTERED_MOST,
    Transform,
    crops_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OWN = 0
"""The plan of the picture itself."""
_PICTURE = frozenset(
    {
        *((PLANS[_OWN].index(IDENTITY), profile) for profile in Profile),
        (PLANS[_OWN].index(ENLARGED), Profile.PDQ_512),
    }
)
"""Ordinals and profiles that a picture has of plan 0."""

_VIDEO_FRAME_MS, _ANIMATION_FRAME_MS = 250, 10
"""Least time from frame to frame: a video is sampled so, an animation is shown so."""
_ANIMATION_FRAMES = 256
_MOMENT_HASHES = 4
"""Most hashes of a frame: the whole and without plain edges, each in two orientations."""
_MOMENT_EQUALS = 2
"""Most of these with one ordinal and profile."""


PICTURE_HASHES = 300
"""Hashes of a video that count as one picture, where pictures are limited.

It is no limit of a picture's own hashes, of which there are at most REGISTERED_MOST.
"""

UNLIKE_BITS = 88
"""Distance of two hashes of the whole from which they are of different pictures. Unrelated ones are
128 bits apart, with a standard deviation of 8; those of 338 real pictures were within 48."""

_NEARLY_WHOLE_PERMILLE, _NEARLY_UPRIGHT_MILLIDEGREES = 850, 1500
UNLIKE_CROPS_BITS = 122
"""The same for the mean distance from the whole of the crops that show nearly all, of which a
picture mostly keeps four. It is within 86 bits for 72 photographs, within 104 for 55 drawings and
icons; its standard deviation for unrelated hashes is 4 where four are kept."""


def misfit(kind: MediaKind, fingerprints: NDArray[np.void]) -> str:
    """Say in which way fingerprints have not the shape of one picture or video; empty if they have.

    They are what is left of an item's (dtype FINGERPRINT, shape (n,)) by quality and folding.
    """
    return _video_misfit(fingerprints) if kind == MediaKind.VIDEO else _picture_misfit(fingerprints)


def _picture_misfit(fingerprints: NDArray[np.void]) -> str:
    if len(fingerprints) > REGISTERED_MOST:
        return f"{len(fingerprints)} hashes; a picture has at most {REGISTERED_MOST}"
    versions = Counter(fingerprints[["plan", "ordinal", "profile"]].tolist())
    for (plan, ordinal, profile), count in versions.items():
        where = f"plan {plan}, ordinal {ordinal}, profile {profile}"
        if count > 1:
            return f"{count} hashes of {where}; a picture has one"
        if plan == _OWN:
            if (ordinal, profile) not in _PICTURE:
                return f"a picture has no hash of {where}"
        elif ordinal >= len(PLANS[plan]) or profile != Profile.PDQ_512:
            return f"a picture has no hash of {where}"
    parts = set(fingerprints["ordinal"][fingerprints["plan"] == PARTS_PLAN].tolist())
    if parts & _WIDE and parts & _TALL:
        return (
            f"hashes of plan {PARTS_PLAN} for wide and for tall pictures; a picture is one of them"
        )
    return ""


def _video_misfit(fingerprints: NDArray[np.void]) -> str:
    if fingerprints["plan"].any():
        return f"a video has hashes of plan {_OWN} alone"
    ordinals = fingerprints["ordinal"]
    if ordinals.max(initial=0) >= len(PLANS[_OWN]):
        return f"plan {_OWN} has no ordinal {ordinals.max()}"
    if _most_at_once(fingerprints) > _MOMENT_HASHES:
        return f"more than {_MOMENT_HASHES} hashes of one moment"
    for ordinal, profile in set(fingerprints[["ordinal", "profile"]].tolist()):
        is_of = (ordinals == ordinal) & (fingerprints["profile"] == profile)
        if _most_at_once(fingerprints[is_of]) > _MOMENT_EQUALS:
            where = f"ordinal {ordinal}, profile {profile}"
            return f"more than {_MOMENT_EQUALS} hashes of {where} at one moment"
    frames, end_ms = len(np.unique(fingerprints["start_ms"])), int(fingerprints["end_ms"].max())
    most = 1 + max(
        end_ms // _VIDEO_FRAME_MS, min(end_ms // _ANIMATION_FRAME_MS, _ANIMATION_FRAMES - 1)
    )
    return f"{frames} frames in {end_ms} ms; at most {most}" if frames > most else ""


def _most_at_once(fingerprints: NDArray[np.void]) -> int:
    """Count the fingerprints of the moment that has most; their ends excluded, but not starts."""
    starts_ms = fingerprints["start_ms"].astype(np.int64)
    ends_ms = np.maximum(fingerprints["end_ms"], starts_ms + 1)
    began = np.searchsorted(np.sort(starts_ms), starts_ms, side="right")
    return int((began - np.searchsorted(np.sort(ends_ms), starts_ms, side="right")).max(initial=0))


def is_unlike_a_picture(kind: MediaKind, fingerprints: NDArray[np.void]) -> bool:
    """Tell whether hashes of a picture are too far from each other to be of one.

    Those of the whole picture, and of the crops that show nearly all of it, are compared with the
    first one of the whole; of a video nothing is. A picture without a hash of the whole is unlike
    one. Shape (n,), of the shape that ``misfit`` demands.
    """
    if kind != MediaKind.IMAGE:
        return False
    plans, hashes = fingerprints["plan"], fingerprints["hash"]
    whole = hashes[plans == _OWN]
    if not len(whole) or distances_bits(whole[0], whole).max() >= UNLIKE_BITS:
        return True
    nearly = (plans == PARTS_PLAN) & np.isin(fingerprints["ordinal"], _NEARLY_WHOLE)
    return bool(
        nearly.any() and distances_bits(whole[0], hashes[nearly]).mean() >= UNLIKE_CROPS_BITS
    )


def _is_nearly_whole(transform: Transform) -> bool:
    return (
        transform.area_permille >= _NEARLY_WHOLE_PERMILLE
        and abs(transform.rotation_millidegrees) <= _NEARLY_UPRIGHT_MILLIDEGREES
    )


_WIDE, _TALL = ({ordinal for ordinal, _ in crops_of(aspect)} for aspect in (2, 0.5))
_NEARLY_WHOLE = [at for at, version in enumerate(PLANS[PARTS_PLAN]) if _is_nearly_whole(version)]


def pictures(hashes: int) -> float:
    """Return how many pictures so many new hashes of an item are worth: one at least."""
    return max(hashes / PICTURE_HASHES, 1.0)
