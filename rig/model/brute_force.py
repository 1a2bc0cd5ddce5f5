"""Compare every hash with every query, to check the answers of all engines."""

# mypy: disable-error-code="call-arg, var-annotated"
# (numba's own types do not describe its intrinsics)
from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.distinctiveness.limits import limits_bits
from disrupt.index.multi_index.intrinsics import ones
from disrupt.index.multi_index.kernels import compiled
from rig.servers.prepared import item_id

Codes: TypeAlias = NDArray[np.uint8]
Answer: TypeAlias = list[tuple[int, int]]
"""(entry, distance in bits) of everything found for one query, by entry."""

_BLOCK = 4096
"""Hashes that all queries are compared with while they are in the processor's cache."""

_ROWS = 2**21


def brute_force(codes: Codes, asked: Codes, max_distance_bits: int) -> list[Answer]:
    """Return the answers to ``asked``, uint8 (n, 32), out of ``codes``, on all cores."""
    answers: list[Answer] = [[] for _ in asked]
    queries = np.ascontiguousarray(asked).view(np.int64)

    def compare(first: int) -> NDArray[np.int64]:
        # One column for each word, so that eight hashes are compared at once.
        columns = np.ascontiguousarray(codes[first : first + _ROWS].view(np.int64).T)
        room = np.empty((1024, 3), np.int64)
        while (count := _compare(columns, queries, max_distance_bits, room)) > len(room):
            room = np.empty((count, 3), np.int64)
        room = room[:count]
        room[:, 1] += first
        return room

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for hits in threads.map(compare, range(0, len(codes), _ROWS)):
            for query, entry, distance in hits.tolist():
                answers[query].append((entry, distance))
    return [sorted(answer) for answer in answers]


@compiled
def _compare(
    columns: NDArray[np.int64], queries: NDArray[np.int64], limit: int, room: NDArray[np.int64]
) -> int:
    """Write (query, entry, distance) of each hit into ``room`` while it fits; count all hits."""
    length = columns.shape[1]
    distances = np.empty(_BLOCK, np.int64)
    count = 0
    for start in range(0, length, _BLOCK):
        size = min(_BLOCK, length - start)
        words_0 = columns[0, start : start + size]
        words_1 = columns[1, start : start + size]
        words_2 = columns[2, start : start + size]
        words_3 = columns[3, start : start + size]
        for query in range(len(queries)):
            word_0, word_1, word_2, word_3 = (
                queries[query, 0],
                queries[query, 1],
                queries[query, 2],
                queries[query, 3],
            )
            near = 0
            for at in range(size):
                distance = (
                    ones(words_0[at] ^ word_0)
                    + ones(words_1[at] ^ word_1)
                    + ones(words_2[at] ^ word_2)
                    + ones(words_3[at] ^ word_3)
                )
                distances[at] = distance
                near += distance <= limit
            if near:
                for at in range(size):
                    if distances[at] <= limit:
                        if count < len(room):
                            room[count, 0] = query
                            room[count, 1] = start + at
                            room[count, 2] = distances[at]
                        count += 1
    return count


def answers(codes: NDArray[np.uint8], asked: NDArray[np.uint8]) -> list[list[tuple[bytes, int]]]:
    """Return what a lookup of each of ``asked``, uint8 (n, 32), has to answer, by brute force.

    It is the id and the distance in bits of each item, sorted. A hash of low distinctiveness has a
    nearer limit, and so have its answers.
    """
    return [
        sorted((item_id(entry), distance) for entry, distance in near if distance <= limit)
        for near, limit in zip(
            brute_force(codes, asked, MAX_DISTANCE_BITS), limits_bits(asked), strict=True
        )
    ]
