"""The arrays that the kernels of a search read and write."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class TableArrays(NamedTuple):
    """The arrays of ``tables.Tables``, as kernels see them: rows of the chunks follow each other.

    ``low`` and ``low_wide`` are the same memory: which of them it is depends on ``words``.
    """

    starts: NDArray[np.uint32]
    tags: NDArray[np.uint16]
    low: NDArray[np.uint16]
    low_wide: NDArray[np.uint32]
    high: NDArray[np.int64]
    codes: NDArray[np.uint8]
    seen: NDArray[np.int64]
    length: int
    chunks: int
    bits: int
    keys: int
    rows: int
    words: int


class Answers(NamedTuple):
    """Arrays for hits; those that do not fit are only counted."""

    query: NDArray[np.uint32]
    entry: NDArray[np.int64]
    distance: NDArray[np.uint16]


class Items(NamedTuple):
    """The items of the codes, the limits of answers, and room for the nearest code of each.

    ``row`` u32, ``below_bits`` u8 and ``bank`` u16 are columns of wider rows, so many bytes apart.
    ``best`` holds 1 + distance, 0 where there is none; ``touched`` the rows where there is one;
    ``histogram`` how many of them there are at each distance.
    """

    row: NDArray[np.uint8]
    row_stride: int
    below_bits: NDArray[np.uint8]
    below_stride: int
    bank: NDArray[np.uint8]
    bank_stride: int
    dead: NDArray[np.uint8]
    limits: NDArray[np.int16]
    best: NDArray[np.uint16]
    best_entry: NDArray[np.uint32]
    touched: NDArray[np.uint32]
    histogram: NDArray[np.int64]
