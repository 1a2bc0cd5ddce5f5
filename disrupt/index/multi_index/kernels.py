"""Compile kernels, and cut codes into chunks within them.

Kernels take addresses, not arrays: mapped and anonymous, read-only and writable arrays are then one
signature, compiled once, and a call costs a microsecond less. They hold no GIL and touch no Python
object; the caller keeps the arrays alive.

numba's cache notices a change of the module that holds a kernel, not of functions that the kernel
calls in other modules.
"""

# mypy: disable-error-code="call-arg, var-annotated, no-any-return, return-value, assignment"
# (numba's own types describe neither its intrinsics nor its integers)
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from disrupt.core import media
from disrupt.index.multi_index import layout
from disrupt.index.multi_index.intrinsics import (
    load_64,
)
from disrupt.index.multi_index.layout import TAG_BITS

CODE_BYTES = 32
TAG = (1 << TAG_BITS) - 1
"""The bits of a chunk that its tag in another chunk's table keeps."""


def compiled(function: Any) -> Any:  # noqa: ANN401
    """Compile on the first call, or load what an earlier process compiled."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:  # none of the places for numba's cache can be written
        return njit(nogil=True)(function)


tag_chunks = compiled(layout.tag_chunks)
high_rows = compiled(layout.high_rows)
high_words = compiled(layout.high_words)
is_answered = compiled(media.is_answered)


@compiled
def chunk_of(codes: NDArray[np.uint8], at: int, chunk: int, bits: int) -> int:
    """Return a chunk, ``bits`` wide, of the code that begins at byte ``at``."""
    first = chunk * bits
    begin = min(first >> 3, CODE_BYTES - 8)
    return (load_64(codes, at + begin) >> (first - 8 * begin)) & ((1 << bits) - 1)


@compiled
def tag_of(codes: NDArray[np.uint8], at: int, chunk: int, chunks: int, bits: int) -> int:
    """Return the tag that stands beside a chunk of the code that begins at byte ``at``."""
    tag = chunk_of(codes, at, (chunk + 1) % chunks, bits)
    if tag_chunks(bits) > 1:
        tag |= chunk_of(codes, at, (chunk + 2) % chunks, bits) << bits
    return tag & TAG


@compiled
def bound_of(radii: NDArray[np.int64], chunk: int, bits: int) -> int:
    """Return how many bits a chunk and its tag may differ in, together."""
    bound = radii[chunk] + radii[(chunk + 1) % len(radii)] + 1
    if tag_chunks(bits) > 1:
        bound += radii[(chunk + 2) % len(radii)] + 1
    return bound
