"""Find every run of 16 bytes that secrets and written data have in common."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

WINDOW_BYTES = 16

_HALF_BYTES = WINDOW_BYTES // 2
_TABLE_BITS = 24
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True, slots=True)
class Secret:
    """Bytes that must not be in any written data.

    Two kinds of windows prove nothing: those of a constant run, which repeats itself every
    ``period_bytes``, and those that ``other`` has as well, in the same form, like all files of a
    format.
    """

    name: str
    data: bytes
    period_bytes: int
    other: bytes = b""

    @property
    def windows(self) -> int:
        """Number of windows."""
        return max(0, len(self.data) - WINDOW_BYTES + 1)


def in_all_forms(name: str, data: bytes, common: bytes, pixel_bytes: int) -> list[Secret]:
    """Return a secret raw, in hex of both cases, and in base64 of both alphabets at any offset.

    ``pixel_bytes`` is the period of a constant run.
    """
    forms: list[tuple[str, Callable[[bytes], bytes], int]] = [
        ("raw", bytes, pixel_bytes),
        ("hex", _hex, 2 * pixel_bytes),
        ("HEX", lambda value: _hex(value).upper(), 2 * pixel_bytes),
        *((f"base64 from byte {at}", partial(_base64, at), 4) for at in range(3)),
        *((f"base64url from byte {at}", partial(_base64url, at), 4) for at in range(3)),
    ]
    return [
        Secret(f"{name}, {form}", convert(data), period_bytes, convert(common))
        for form, convert, period_bytes in forms
    ]


def _hex(value: bytes) -> bytes:
    return value.hex().encode()


def _base64(skipped: int, value: bytes) -> bytes:
    return base64.b64encode(value[skipped:])


def _base64url(skipped: int, value: bytes) -> bytes:
    return base64.urlsafe_b64encode(value[skipped:])


class Searched:
    """Written data, by name, indexed for searches."""

    def __init__(self, written: Mapping[str, bytes]) -> None:
        halves = {name: _halves(data) for name, data in written.items()}
        prefixes = {name: of_data[:-_HALF_BYTES] for name, of_data in halves.items()}
        self._written = {
            name: (data, halves[name], _places(prefixes[name])) for name, data in written.items()
        }
        self._prefixes = np.unique(np.concatenate([np.empty(0, np.uint64), *prefixes.values()]))
        self._table = _table(_places(self._prefixes))
        self.size_bytes = sum(len(data) for data in written.values())

    def leaks(self, secret: Secret) -> set[str]:
        """Return the names of written data that has a window of the secret."""
        prefixes = _prefixes(secret.data)
        prefixes = prefixes[self._table[_places(prefixes)]]  # often leaves none
        prefixes = np.unique(prefixes[_among(prefixes, self._prefixes)])
        windows = _windows(secret.data, prefixes) - _windows(secret.other, prefixes)
        windows = {window for window in windows if not _repeats(window, secret.period_bytes)}
        if not windows:
            return set()
        halves = _halves(b"".join(windows))
        first, second = (np.unique(halves[at::WINDOW_BYTES]) for at in (0, _HALF_BYTES))
        table = _table(_places(first))

        def has_one(data: bytes, values: NDArray[np.uint64], places: NDArray[np.uint32]) -> bool:
            at = np.flatnonzero(table[places])
            at = at[_among(values[at], first)]
            at = at[_among(values[at + _HALF_BYTES], second)]  # zeros begin many windows
            return any(data[place : place + WINDOW_BYTES] in windows for place in at.tolist())

        return {name for name, written in self._written.items() if has_one(*written)}


def _windows(data: bytes, wanted: NDArray[np.uint64]) -> set[bytes]:
    """Return the windows that begin with one of the wanted prefixes, which are sorted."""
    at = np.flatnonzero(_among(_prefixes(data), wanted)).tolist()
    return {data[place : place + WINDOW_BYTES] for place in at}


def _among(prefixes: NDArray[np.uint64], known: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which prefixes are among the known ones, which are sorted."""
    if not len(known):
        return np.zeros(len(prefixes), np.bool_)
    nearest = known[np.searchsorted(known, prefixes).clip(max=len(known) - 1)]
    are_known: NDArray[np.bool_] = nearest == prefixes
    return are_known


def _prefixes(data: bytes) -> NDArray[np.uint64]:
    """Return the first half of each window, as a number."""
    return _halves(data)[:-_HALF_BYTES]


def _halves(data: bytes) -> NDArray[np.uint64]:
    """Return each run of 8 bytes, as a number."""
    values = np.frombuffer(data, np.uint8)
    count = max(0, len(data) - _HALF_BYTES + 1)
    halves = np.zeros(count, np.uint64)
    for at in range(_HALF_BYTES):
        halves |= values[at : at + count].astype(np.uint64) << np.uint64(8 * at)
    return halves


def _places(prefixes: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Return the place of each prefix in a table."""
    return ((prefixes * _MIX) >> np.uint64(64 - _TABLE_BITS)).astype(np.uint32)


def _table(places: NDArray[np.uint32]) -> NDArray[np.bool_]:
    table = np.zeros(1 << _TABLE_BITS, np.bool_)
    table[places] = True
    return table


def _repeats(window: bytes, period_bytes: int) -> bool:
    return window[period_bytes:] == window[:-period_bytes]
