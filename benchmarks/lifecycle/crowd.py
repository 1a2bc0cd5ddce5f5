"""Measure lookups near a crowd: very many near-duplicates, each an item of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from benchmarks.harness.brute_force import Codes, brute_force
from benchmarks.harness.hash_sets import flipped
from disrupt.core.hashes import MAX_DISTANCE_BITS
from disrupt.index.flat import FlatIndex
from disrupt.index.multi_index.engine import MultiIndex
from disrupt.index.multi_index.tables import Tables
from disrupt.index.nearest import ItemColumns

CROWD = 50_000

_SPREAD_BITS = 8
"""Largest distance of the crowd from its middle."""
_BITS_AWAY = (0, 8, 16, 24, 31, 39, 48)
_LOOKUPS = 5
_MOST_ITEMS = 100
_LIMITS_BITS = np.full(2**16, MAX_DISTANCE_BITS, np.int16)

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Row:
    """Lookups ``bits_away`` from the middle of the crowd; -1: of random hashes, far from all.

    ``us`` of processor time, the median, ``longest_us`` the longest; ``comparing_us``: a lookup
    that compares every hash. ``found``: items, at most 100.
    """

    bits_away: int
    us: float
    longest_us: float
    comparing_us: float
    found: int
    wrong: int


def measure(codes: Codes, crowd: int) -> list[Row]:
    """Time lookups in ``codes`` after making ``crowd`` of them near-duplicates, anywhere."""
    chance = np.random.default_rng(4)
    codes = np.array(codes)
    places = np.sort(chance.permutation(len(codes))[: min(crowd, len(codes) // 2)])
    middle = codes[places[0]].copy()
    near = np.zeros((len(places), 256), np.uint8)
    for _ in range(_SPREAD_BITS):
        near[np.arange(len(places)), chance.integers(0, 256, len(places))] = 1
    codes[places] = middle ^ np.packbits(near, axis=1)
    flat = FlatIndex.of(codes)
    index = MultiIndex(flat, Tables.of(flat.view(), os.cpu_count() or 1))
    items = ItemColumns(
        np.arange(len(codes), dtype=np.uint32),
        np.ones(len(codes), np.uint16),
        np.zeros(len(codes), np.bool_),
    )
    asked = np.concatenate(
        [
            chance.integers(0, 256, (_LOOKUPS, 32), np.uint8),
            *(
                np.stack([flipped(middle, bits, chance) for _ in range(_LOOKUPS)])
                for bits in _BITS_AWAY
            ),
        ]
    )
    truth = brute_force(codes, asked, MAX_DISTANCE_BITS)
    arguments = (MAX_DISTANCE_BITS, items, _LIMITS_BITS, _MOST_ITEMS)
    flat.search(asked[:1], MAX_DISTANCE_BITS)
    _, comparing_us = _timed(lambda: flat.search(asked[1:2], MAX_DISTANCE_BITS))
    index.search_items(codes[-1:], *arguments)
    rows = []
    for at, bits in enumerate((-1, *_BITS_AWAY)):
        took_us, wrong, most_found = [], 0, 0
        for place in range(at * _LOOKUPS, (at + 1) * _LOOKUPS):
            best, us = _timed(partial(index.search_items, asked[place : place + 1], *arguments))
            took_us.append(us)
            answer = list(zip(best.distance.tolist(), best.entry.tolist(), strict=True))
            expected = sorted((distance, entry) for entry, distance in truth[place])
            wrong += answer != expected[:_MOST_ITEMS]
            most_found = max(most_found, len(answer))
        rows.append(
            Row(
                bits,
                round(float(np.median(took_us)), 1),
                round(max(took_us), 1),
                round(comparing_us, 1),
                most_found,
                wrong,
            )
        )
    return rows


def _timed(look_up: Callable[[], _Answer]) -> tuple[_Answer, float]:
    """Return the answer of a lookup, and its processor time in µs."""
    began_s = time.thread_time()
    answer = look_up()
    return answer, (time.thread_time() - began_s) * 1e6
