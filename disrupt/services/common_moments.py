"""Find the moments of a stored video that many other items show, such as an intro."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from disrupt.core.policy import Scope
from disrupt.index.columns import Columns
from disrupt.index.live import LiveIndex
from disrupt.services.matching import BLOCK_QUERIES, STEP, Allowance, limits_bits_of
from disrupt.services.video_evidence import moments_of

COMMON_VIDEOS = 8
"""Number of stored videos of one bank from which on a frame may be an intro or a test card, which
alone says little."""

_COMMON_RATIO = 2
"""A common frame does not count for a video of which half is in less than 1/2 as many videos."""

_MOST_COUNTED = 4 * COMMON_VIDEOS
"""Most items counted near one stored hash: enough to tell 16 copies from the intro of 32 videos."""


def common_moments(
    index: LiveIndex, stored: Columns, bank: Scope, most_hashes: int, allowance: Allowance
) -> Generator[None, None, NDArray[np.bool_]]:
    """Return which moments of a video, shape (n,), are in far more items than the rest of it.

    Counts items of the video's own ``bank``: whoever registers in one bank makes nothing common in
    another. Pauses between searches of bounded work.

    They are always less than half of its moments, whatever anybody registers. Where the video has
    more than ``most_hashes``, that many evenly spaced ones are searched, including the first and
    the last; a hash between two counts as common as the more common of them. Raises
    DeadlineExceededError once the allowance is over.
    """
    limits_bits = limits_bits_of(bank)
    firsts, moment_of = moments_of(stored)
    in_time = np.argsort(moment_of, kind="stable")
    ranks = np.arange(len(in_time))
    searched = ranks
    if len(ranks) > most_hashes:
        searched = np.linspace(0, len(ranks) - 1, most_hashes).astype(np.intp)
    queries = stored.codes[in_time[searched]]
    items = np.zeros(len(queries), np.intp)
    start = 0
    while start < len(queries):
        allowance.check()
        block = queries[start : start + BLOCK_QUERIES]
        # Pictures count, too: they could displace videos in the answer.
        near = index.search(block, bank.radius_bits, limits_bits, _MOST_COUNTED, budget=STEP)
        end = start + len(block) - near.left
        items[start:end] = np.bincount(near.hits.query, minlength=end - start)
        start = end
        if start < len(queries):
            yield
    before = np.searchsorted(searched, ranks, side="right") - 1
    after = np.searchsorted(searched, ranks)
    of_moment = np.zeros(len(firsts), np.intp)
    np.maximum.at(of_moment, moment_of[in_time], np.maximum(items[before], items[after]))
    common: NDArray[np.bool_] = of_moment >= max(
        COMMON_VIDEOS, _COMMON_RATIO * np.median(of_moment)
    )
    return common
