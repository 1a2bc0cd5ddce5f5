"""Mark hits that a picture in common use explains as well: a template, a logo, an app's screen.

A hit of a query is common if something in the bank ``common`` is as near to the query as what was
hit, or nearer. So a query's common hits are its farthest, whatever item they are of: neither what
is nearer to a registered picture is ever marked, nor does a common hit displace one that is not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.core.policy import COMMON
from disrupt.index.columns import NearestHits
from disrupt.index.live import LiveIndex

COMMON_BITS = 512
"""Added to the distance of a hit that is common: it comes after all that are not, by distance."""

_NOWHERE_BITS = 257
"""Distance of nothing."""

_LIMITS_BITS = np.full(2**16, -1, np.int16)
_LIMITS_BITS[COMMON.number] = MAX_DISTANCE_BITS
_LIMITS_BITS.flags.writeable = False


def holds_common(index: LiveIndex) -> bool:
    """Tell whether there is any picture in common use."""
    return index.holds_any_of(COMMON.number)


def common_bits(
    index: LiveIndex, queries: NDArray[np.uint8], most_bits: int = MAX_DISTANCE_BITS
) -> NDArray[np.uint16]:
    """Return the distance of each query, uint8 (n, 32), from the nearest picture in common use.

    Shape (n,); more than 256 where none is within ``most_bits``, at most MAX_DISTANCE_BITS.
    """
    near = index.search(queries, min(most_bits, MAX_DISTANCE_BITS), _LIMITS_BITS, 1).hits
    bits = np.full(len(queries), _NOWHERE_BITS, np.uint16)
    bits[near.query] = near.distance
    return bits


def with_common(
    index: LiveIndex,
    queries: NDArray[np.uint8],
    near: NearestHits,
    most_items: int,
    *,
    leave_out: bool,
) -> NearestHits:
    """Add COMMON_BITS to the distance of common hits, or leave them out.

    ``near`` is what a search for ``most_items`` found near ``queries``. Where nothing was found,
    nothing is searched. Queries leave ``truncated`` where all that was cut off is left out.
    """
    hits = near.hits
    if not len(hits) or not holds_common(index):
        return near
    rows, place = np.unique(hits.query, return_inverse=True)
    bits = common_bits(index, queries[rows], int(hits.distance.max()))
    is_common = bits[place] <= hits.distance
    if not is_common.any():
        return near
    if not leave_out:
        distance = hits.distance + np.where(is_common, COMMON_BITS, 0).astype(np.uint16)
        return replace(near, hits=replace(hits, distance=distance))
    hits = hits.take(~is_common)
    left = np.bincount(hits.query, minlength=len(queries))
    # Common hits are the farthest: if one is among the nearest, all that was cut off are.
    return replace(near, hits=hits, truncated=near.truncated[left[near.truncated] >= most_items])


def is_common(distance: NDArray[np.uint16]) -> NDArray[np.bool_]:
    """Tell which distances are of common hits, bool (n,)."""
    common: NDArray[np.bool_] = distance >= COMMON_BITS
    return common


def real_bits(distance: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return distances without what ``with_common`` added."""
    return distance & np.uint16(COMMON_BITS - 1)
