"""The kernel that sorts codes into the tables of multi-index hashing."""

# mypy: disable-error-code="call-arg, var-annotated, no-any-return, return-value, assignment"
# (numba's own types describe neither its intrinsics nor its integers)
from __future__ import annotations

import numpy as np
from numba import carray  # type: ignore[attr-defined]

from disrupt.index.multi_index.intrinsics import (
    pointer,
)
from disrupt.index.multi_index.kernels import (
    CODE_BYTES,
    chunk_of,
    compiled,
    high_rows,
    high_words,
    tag_of,
)
from disrupt.index.multi_index.layout import PADDING


@compiled
def sort_chunk(
    codes_at: int,
    length: int,
    chunk: int,
    cut_at: int,
    starts_at: int,
    tags_at: int,
    low_at: int,
    high_at: int,
) -> None:
    """Sort all codes by one of their chunks (counting sort) into its row of each table."""
    cut = carray(pointer(cut_at), 3, np.int64)
    bits, low_bits = cut[1], cut[2]
    keys = 1 << bits
    words = high_words(length, bits, low_bits)
    codes = carray(pointer(codes_at), length * CODE_BYTES, np.uint8)
    starts = carray(pointer(starts_at), keys + 1, np.uint32)
    tags = carray(pointer(tags_at), length + PADDING, np.uint16)
    low = carray(pointer(low_at), length, np.uint16)
    low_wide = carray(pointer(low_at), length, np.uint32)
    high = carray(pointer(high_at), words, np.int64)
    rows = high_rows(length, low_bits)
    cursor = np.zeros(keys + 1, np.uint32)
    for entry in range(length):
        cursor[chunk_of(codes, entry * CODE_BYTES, chunk, bits) + 1] += np.uint32(1)
    for key in range(keys):
        cursor[key + 1] += cursor[key]
    for key in range(keys + 1):
        starts[key] = cursor[key]
    for entry in range(length):
        at = entry * CODE_BYTES
        key = chunk_of(codes, at, chunk, bits)
        place = np.int64(cursor[key])
        cursor[key] = place + 1
        tags[place] = tag_of(codes, at, chunk, cut[0], bits)
        if words:
            low[place] = entry & ((1 << low_bits) - 1)
            bit = place + key * rows + (entry >> low_bits)
            high[bit >> 6] |= 1 << (bit & 63)
        else:
            low_wide[place] = entry
    tags[length:] = 0
