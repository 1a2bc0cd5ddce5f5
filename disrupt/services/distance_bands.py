"""Answer distances as the ends of their bands, to keys that are to learn no more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import Matches, VideoMatches
from disrupt.core.policy import BAND_ENDS_BITS, MINORS, Scope

_ENDS = np.asarray(BAND_ENDS_BITS, np.uint16)


def banded(matches: Matches, searched: Scope) -> Matches:
    """Return matches at the ends of their bands, in an order that does not tell them apart.

    A band ends with the largest distance that matches in a bank of the lookup. Among equals those
    of the bank of minors come first, then by item number.
    """
    if not len(matches):
        return matches
    most = np.asarray([searched.limits[bank] for bank in matches.bank.tolist()], np.uint16)
    matches = replace(matches, distance_bits=_end_bits(matches.distance_bits, most))
    columns = matches.number, matches.bank != MINORS.number, matches.distance_bits
    return matches.take(
        np.lexsort((*columns, matches.is_common, matches.is_disputed, matches.query))
    )


def banded_videos(result: VideoMatches, searched: Scope) -> VideoMatches:
    """Return the matches of a video at the ends of their bands, in the order that they have."""
    if not result.matches:
        return result
    bits = np.asarray([match.distance_bits for match in result.matches], np.uint16)
    most = np.asarray([searched.limits[match.bank] for match in result.matches], np.uint16)
    ends = _end_bits(bits, most).tolist()
    matches = (
        replace(match, distance_bits=end) for match, end in zip(result.matches, ends, strict=True)
    )
    return replace(result, matches=tuple(matches))


def _end_bits(bits: NDArray[np.uint16], most: NDArray[np.uint16]) -> NDArray[np.uint16]:
    ends = _ENDS[np.searchsorted(_ENDS, bits)]
    return np.minimum(ends, np.maximum(most, bits))
