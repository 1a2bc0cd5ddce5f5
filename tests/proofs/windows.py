"""Find every run of 16 bytes that secrets and written data have in common."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WINDOW_BYTES = 16

DIFFERENT_MIN = 4
"""Least number of bytes of a window that differ from those a period before.

With fewer it is nearly a constant run, such as the zeros of a number in base64, and occurs by
chance.
"""

_HALF_BYTES = 8
_MIX = np.uint64(0x9E3779B97F4A7C15)
_TABLE_BITS = 26
_TABLE_SHIFT = np.uint64(64 - _TABLE_BITS)

Windows = NDArray[np.uint64]
"""A hash of each window of some bytes, so that two windows are taken for equal once in 2^64."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Bytes that must not be in any written data.

    Two kinds of windows prove nothing: those that are nearly a constant run, which repeats itself
    every ``period_bytes``, and those that ``other`` has as well, in the same form, like all files
    of a format.
    """

    name: str
    data: bytes
    period_bytes: int
    other: bytes = b""


def in_all_forms(name: str, data: bytes, common: bytes, pixel_bytes: int) -> Iterator[Secret]:
    """Yield a secret raw, in hex of both cases, and in base64 of both alphabets at any offset.

    ``pixel_bytes`` is the period of a constant run.
    """
    yield Secret(f"{name}, raw", data, pixel_bytes, common)
    hexes = data.hex().encode(), common.hex().encode()
    yield Secret(f"{name}, hex", hexes[0], 2 * pixel_bytes, hexes[1])
    yield Secret(f"{name}, HEX", hexes[0].upper(), 2 * pixel_bytes, hexes[1].upper())
    for at in range(3):
        for form, encode in (("", base64.b64encode), ("url", base64.urlsafe_b64encode)):
            encoded = encode(data[at:]), encode(common[at:])
            yield Secret(f"{name}, base64{form} from byte {at}", encoded[0], 4, encoded[1])


class Searched:
    """Written data, by name, indexed for searches."""

    def __init__(self, written: Mapping[str, bytes]) -> None:
        self._written = {name: np.sort(_windows(data)) for name, data in written.items()}
        self._all = np.sort(np.concatenate([np.empty(0, np.uint64), *self._written.values()]))
        self._table = np.zeros(1 << _TABLE_BITS, np.bool_)
        self._table[self._all >> _TABLE_SHIFT] = True
        self.size_bytes = sum(map(len, written.values()))

    def leaks(self, secret: Secret) -> set[str]:
        """Return the names of written data that has a window of the secret."""
        windows = _windows(secret.data)[~_repeating(secret.data, secret.period_bytes)]
        windows = windows[self._table[windows >> _TABLE_SHIFT]]  # leaves few
        leaked = _common(windows, self._all)
        if not len(leaked):
            return set()
        leaked = leaked[~np.isin(leaked, _windows(secret.other))]
        return {name for name, data in self._written.items() if len(_common(leaked, data))}


def _common(windows: Windows, known: Windows) -> Windows:
    """Return those of some windows that are among the known ones, which are sorted."""
    places = np.searchsorted(known, windows).clip(max=max(len(known) - 1, 0))
    return windows[known[places] == windows] if len(known) else known


def _windows(data: bytes) -> Windows:
    """Return the window from each byte on; none where the data is shorter than one."""
    count = len(data) - WINDOW_BYTES + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    words: Windows = np.ndarray((count + _HALF_BYTES,), np.dtype("<u8"), data, strides=(1,))
    mixed = words * _MIX
    mixed ^= mixed >> np.uint64(29)
    return (mixed[:count] * _MIX) ^ words[_HALF_BYTES:]


def _repeating(data: bytes, period_bytes: int) -> NDArray[np.bool_]:
    """Tell of each window whether it nearly repeats itself every ``period_bytes``."""
    values = np.frombuffer(data, np.uint8)
    different = np.cumsum(values[period_bytes:] != values[:-period_bytes])
    different = np.concatenate([[0], different])
    width = WINDOW_BYTES - period_bytes
    count = max(len(data) - WINDOW_BYTES + 1, 0)
    repeating: NDArray[np.bool_] = (
        different[width : width + count] - different[:count] < DIFFERENT_MIN
    )
    return repeating
