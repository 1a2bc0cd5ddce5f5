"""Notice a caller whose hashes explore what is around a stored hash, and make it slower.

A caller learns from distances no more than the bits in which those of its hashes that matched
differ from each other. Copies of one picture, however many, vary few of them around any stored
hash; a caller that asks for a stored hash bit by bit varies all. docs/probing.md has the figures,
and says what this does not notice.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from disrupt.core.lookups import Matches, VideoMatches

MOST_DELAY_S = 2.0
"""Longest that one call waits."""

MOST_KEPT = 65_536
"""Most stored hashes of which one worker keeps what was asked around them, some 25 MB; and most
digests of hashes that were delayed. The stored hash that nobody asked for longest is forgotten."""

_HOUR_S = 3600.0


Place: TypeAlias = tuple[bytes, int, int, int]
"""A stored hash, as the id of its item, its plan and ordinal, and where its frame begins, in ms."""

Sighting: TypeAlias = tuple[Place, bytes]
"""A stored hash that matched, and the hash that was asked for, 32 bytes."""


def sightings(
    matches: Matches,
    queries: NDArray[np.uint8],
    rows: NDArray[np.uint32],
    untold: Collection[int],
) -> list[Sighting]:
    """Return what matched which rows of ``queries``, uint8 (n, 32); ``untold`` banks are left out.

    So are pictures in common use, which unlike pictures match.
    """
    item_ids, queried = matches.item_ids.tobytes(), queries[rows].tobytes()
    columns = (
        *(matches.bank, matches.is_common),
        *(matches.plan, matches.ordinal, matches.start_ms),
    )
    return [
        (
            (item_ids[16 * at : 16 * at + 16], plan, ordinal, start_ms),
            queried[32 * at : 32 * at + 32],
        )
        for at, (bank, is_common, plan, ordinal, start_ms) in enumerate(
            zip(*(column.tolist() for column in columns), strict=True)
        )
        if not is_common and bank not in untold
    ]


def sightings_of_video(result: VideoMatches, untold: Collection[int]) -> list[Sighting]:
    """Return the nearest pair of frames of each match but those of ``untold`` banks."""
    return [
        ((each.item_id, each.plan, each.ordinal, each.stored_start_ms), each.queried)
        for each in result.matches
        if each.bank not in untold
    ]


class Noted(NamedTuple):
    """What follows of a call: pairs of organisation and item to count, and a wait in seconds."""

    probed: int = 0
    wait_s: float = 0.0


NOTHING = Noted()


@dataclass(slots=True)
class _Surroundings:
    """What an organisation asked around a stored hash: its first hash, and the bits it varied."""

    first: int
    varied: int = 0


@dataclass(slots=True)
class _Probed:
    """An item that an organisation is probing: digests of hashes that came since, and its turn."""

    free_s: float = 0.0
    digests: set[int] = field(default_factory=set)


class Probing:
    """What the organisations of one worker asked around stored hashes this hour. For any thread.

    All of it is forgotten when an hour of the clock ends; no hash is on disk.
    """

    def __init__(
        self,
        varied_bits: int,
        delay_s: float,
        *,
        most: int = MOST_KEPT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Notice ``varied_bits`` of a stored hash, 1-256, 0: nothing; delay each hash then."""
        self._varied_bits, self._delay_s = varied_bits, delay_s
        self._most, self._clock = most, clock
        self._hour, self._salt = -1, b""
        self._around = dict[tuple[str, Place], _Surroundings]()
        self._probed = dict[tuple[str, bytes], _Probed]()
        self._digests = 0
        self._noting = threading.Lock()

    @property
    def is_on(self) -> bool:
        """Tell whether it notices anything."""
        return self._varied_bits > 0

    @property
    def kept(self) -> int:
        """Return of how many stored hashes it keeps something."""
        return len(self._around)

    def note(self, organisation: str, sightings: Iterable[Sighting]) -> Noted:
        """Note what one call of an organisation matched.

        An item counts once in an hour: when the hashes that matched one of its stored hashes vary
        as many bits as are noticed. Further hashes that match the item wait in turn, each once.
        """
        if not self.is_on:
            return NOTHING
        with self._noting:
            now_s = self._clock()
            if now_s // _HOUR_S != self._hour:
                self._forget(now_s)
            probed, until_s = 0, now_s
            for place, queried in sightings:
                varies = self._varies((organisation, place), queried)
                if not (varies or self._probed):
                    continue
                pair = organisation, place[0]
                if varies and pair not in self._probed:
                    self._probed[pair] = _Probed()
                    probed += 1
                if self._delay_s and (known := self._probed.get(pair)):
                    until_s = max(until_s, self._turn(known, queried, now_s))
            return Noted(probed, until_s - now_s) if probed or until_s > now_s else NOTHING

    def _forget(self, now_s: float) -> None:
        self._hour, self._salt = int(now_s // _HOUR_S), os.urandom(16)
        self._around.clear()
        self._probed.clear()
        self._digests = 0

    def _varies(self, place: tuple[str, Place], queried: bytes) -> bool:
        """Note a hash, and tell whether enough bits vary around the stored one that it matched."""
        value = int.from_bytes(queried)
        around = self._around.pop(place, None)
        if around is None:
            if len(self._around) >= self._most:
                del self._around[next(iter(self._around))]
            around = _Surroundings(value)
        self._around[place] = around  # the newest is last
        around.varied |= around.first ^ value
        return around.varied.bit_count() >= self._varied_bits

    def _turn(self, probed: _Probed, queried: bytes, now_s: float) -> float:
        """Return when a hash may be answered: at once if it was delayed before, or none is kept."""
        digest = hash(self._salt + queried)  # SipHash, by a key of this process
        if digest in probed.digests or self._digests >= self._most:
            return now_s
        probed.digests.add(digest)
        self._digests += 1
        free_s = max(probed.free_s, now_s) + self._delay_s
        probed.free_s = min(free_s, now_s + MOST_DELAY_S)
        return probed.free_s
