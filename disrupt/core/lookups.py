"""Lookups: what a caller asks of the index, and the complete answer, in columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum, StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from disrupt.core.media import MediaKind
from disrupt.core.outcomes import MatchedVersion
from disrupt.core.transforms import Crop, Transform

MAX_MATCHES = 1000
"""Most media items that one query may ask for."""


class Effort(IntEnum):
    """Effort of a lookup by picture; the numbers are those of proto/."""

    FAST = 1
    STANDARD = 2
    THOROUGH = 3


class Extent(StrEnum):
    """The part of both pictures that agrees: the whole of one, a part, or not known."""

    WHOLE = "whole"
    """The whole of at least one of them, or nearly."""
    PART = "part"
    """Only a part of both, as a background, a letterhead or a cell of two collages."""
    UNKNOWN = "unknown"
    """Not known, because a share is not."""


WHOLE_PERMILLE = 750
"""Least share of a picture that counts as nearly all of it."""


def extent_of(query_area_permille: int, stored_area_permille: int) -> Extent:
    """Return the extent of a match whose versions show these shares; 0 is not known."""
    if max(query_area_permille, stored_area_permille) >= WHOLE_PERMILLE:
        return Extent.WHOLE
    return Extent.PART if query_area_permille and stored_area_permille else Extent.UNKNOWN


def area_ranks(
    query_permille: NDArray[np.uint16], stored_permille: NDArray[np.uint16]
) -> NDArray[np.uint32]:
    """Rank pairs of versions by the larger share of the two, then by the smaller; uint32 (n,)."""
    larger = np.maximum(query_permille, stored_permille).astype(np.uint32)
    ranks: NDArray[np.uint32] = larger * np.uint32(1024) + np.minimum(
        query_permille, stored_permille
    )
    return ranks


def are_whole(
    query_permille: NDArray[np.uint16], stored_permille: NDArray[np.uint16]
) -> NDArray[np.bool_]:
    """Tell of which pairs of shares the extent is WHOLE, bool (n,)."""
    whole: NDArray[np.bool_] = np.maximum(query_permille, stored_permille) >= WHOLE_PERMILLE
    return whole


WHOLE: Crop = (0, 0, 0, 0)
_STEPS: tuple[Crop, ...] = (
    *((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)),
    *((1, 1, 0, 0), (0, 1, 1, 0), (0, 0, 1, 1), (1, 0, 0, 1)),
    *((1, 0, 1, 0), (0, 1, 0, 1)),
    *((1, 1, 1, 0), (0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 1)),
)


def _steps(cut: int) -> tuple[Crop, ...]:
    """Return the crops that cut a step off one, two, three or all sides.

    Two sides are neighbours or opposite.
    """
    return tuple(
        (cut * left, cut * top, cut * right, cut * bottom) for left, top, right, bottom in _STEPS
    )


_LIKELY = (WHOLE, *_steps(40))
"""Variant plan 1 was chosen for these steps (docs/hashing.md)."""

_ALL = (*_LIKELY, *_steps(60))
_AXES: tuple[Crop, ...] = tuple(
    crop for cut in (100, 160) for crop in (*_steps(cut)[:4], *_steps(cut)[8:10])
)
"""Crops of one side or of two opposite ones, for copies in another shape."""

_CELL: tuple[Crop, ...] = (WHOLE, (40, 40, 40, 40), (40, 0, 40, 0), (0, 40, 0, 40))
"""Crops of a possible cell of a collage, which cuts two opposite sides of a picture."""


class LookupCrops(NamedTuple):
    """Crops that a lookup hashes of the whole picture and of regions of it that may be pictures.

    A region is likely if it is more likely than the whole to be the picture that somebody shared.

    Attributes:
        whole: Crops of the whole if no region is likely.
        whole_if_likely_region: Crops of the whole if the likely region has at most one side within
            it, as the ground below a horizon has.
        whole_if_inner_region: Crops of the whole if the likely region has two sides or more within
            it, as a picture on a screen has.
        likely: Crops of the likely region.
        remaining: Crops of each other region, and of each cell of an even grid.
        straightened: Crops of each tilted picture once it is straightened, and of its regions.
        further: More crops of both, while there is room, unless they are cells of an even grid
            that has more cells than regions are used.
        negative: Crops of the whole that are also looked up with all levels inverted.
        regions: Most regions that are used.
        tilted: Most tilted pictures that are used.
        within: Most regions of each of them that are used.
        negatives: Whether all crops are also looked up with all levels inverted.
        anchored: Whether anchored regions are looked up, of the first distinct frames with any.
        gammas_permille: Powers of its levels with which the whole of these is looked up, too.
    """

    whole: tuple[Crop, ...] = (WHOLE,)
    whole_if_likely_region: tuple[Crop, ...] = (WHOLE,)
    whole_if_inner_region: tuple[Crop, ...] = (WHOLE,)
    likely: tuple[Crop, ...] = (WHOLE,)
    remaining: tuple[Crop, ...] = (WHOLE,)
    straightened: tuple[Crop, ...] = ()
    further: tuple[Crop, ...] = ()
    negative: tuple[Crop, ...] = ()
    regions: int = 0
    tilted: int = 0
    within: int = 0
    negatives: bool = False
    anchored: bool = False
    gammas_permille: tuple[int, ...] = ()

    def is_negated(self, version: Transform) -> bool:
        """Tell whether a version of a picture is also looked up with all levels inverted.

        Of an anchored region the negative stands upside down, since inverted levels turn all
        gradients, and so its square.
        """
        if version.gamma_permille:
            return False
        if version.anchored:
            return self.negatives
        return self.negatives or (not version.corners and version.crop in self.negative)


LOOKUP_CROPS: dict[Effort, LookupCrops] = {
    Effort.FAST: LookupCrops(),
    Effort.STANDARD: LookupCrops(
        whole=_ALL,
        whole_if_likely_region=(WHOLE, *_steps(40)[:8]),
        likely=_LIKELY,
        remaining=_CELL,
        straightened=(WHOLE,),
        negative=(WHOLE,),
        anchored=True,
        gammas_permille=(500, 2000),
        regions=8,
        tilted=2,
        within=8,
    ),
    Effort.THOROUGH: LookupCrops(
        whole=(*_ALL, *_AXES),
        whole_if_likely_region=_ALL,
        whole_if_inner_region=_ALL,
        likely=_ALL,
        remaining=_CELL,
        straightened=_CELL,
        further=tuple(crop for crop in _LIKELY if crop not in _CELL),
        regions=12,
        tilted=3,
        within=8,
        negatives=True,
        anchored=True,
        gammas_permille=(500, 2000),
    ),
}


@dataclass(frozen=True, slots=True)
class LookupOptions:
    """Options that narrow a lookup.

    ``max_distance_bits`` None: each bank's own; ``banks`` empty: every bank of the key;
    ``whole_only``: only matches of Extent.WHOLE; ``leave_out_common``: no common ones.
    """

    max_distance_bits: int | None = None
    max_matches: int = 10
    banks: tuple[str, ...] = ()
    effort: Effort = Effort.STANDARD
    whole_only: bool = False
    leave_out_common: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class HashLookup:
    """A batch of queries: ``hashes`` uint8 (n, 32), n ≥ 1.

    ``searched`` are the rows of sufficient or unknown quality, None for all of them,
    ``low_quality`` the others; both ascending. ``uploads``: how many uploads they are of, 1 to n,
    None if that is not said. ``since`` is a sealed cursor: only what is new since then is searched.
    Empty: everything is searched, and None: no cursor is asked for either.
    """

    hashes: NDArray[np.uint8]
    options: LookupOptions
    searched: NDArray[np.intp] | None = None
    low_quality: Sequence[int] = ()
    uploads: int | None = None
    since: str | None = None

    @property
    def queries(self) -> NDArray[np.uint8]:
        """The hashes to search for."""
        return self.hashes if self.searched is None else self.hashes[self.searched]

    def rows(self, queries: NDArray[np.uint32]) -> list[int]:
        """Convert rows of ``queries`` to rows of ``hashes``."""
        rows: list[int] = (queries if self.searched is None else self.searched[queries]).tolist()
        return rows


MATCHED_VERSIONS_MAX = 8
"""Most stored versions that a match id names."""

MATCH_ID_BYTES_MAX = 512
"""Longest match id: of eight hashes of one picture, joined."""

NO_VERSION = 0xFFFF
"""Distance of what fills ``Matches.versions`` up beyond the last version."""


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Media items near queries, in columns: entry i of every column is match i.

    Ordered by query, then those that are neither disputed nor common, common ones, and disputed
    ones; among these by distance, those of the bank of minors first among equals, then by item
    number. Of each item the nearest entry that is not common, or the nearest of all; per query at
    most ``max_matches`` items, and beyond those the nearest of each bank. ``query`` u32 is the
    place of the query in the request, ``version`` u32 the row of the search that found it (several
    rows search one picture). ``distance_bits`` u16, 0-256; ``item_ids`` u8 (n, 16); ``bank`` u16,
    ``kind`` u8, ``assurance`` u8, ``plan`` u16, ``ordinal`` u16 as stored.
    The areas, u16, are those of the pair of versions that shows the largest share of either
    side, in thousandths, 0 where not known: of the item's nearest entry to each version.
    ``number`` u64 is the item's number in the index, ``start_ms`` u32 where the stored hash's frame
    begins. ``versions`` u16 (n, v, 3), 1 ≤ v ≤ 8: plan,
    ordinal and distance of the stored versions that its match id names, the nearest first, see
    ``matched_versions``. ``is_common``: a picture in common use is as near to every query hash as
    the item is. ``is_disputed``: the caller's organisation disputes it.
    ``truncated`` u32 names the queries that had more items than ``max_matches``, ascending.
    """

    query: NDArray[np.uint32]
    version: NDArray[np.uint32]
    distance_bits: NDArray[np.uint16]
    item_ids: NDArray[np.uint8]
    bank: NDArray[np.uint16]
    kind: NDArray[np.uint8]
    assurance: NDArray[np.uint8]
    plan: NDArray[np.uint16]
    ordinal: NDArray[np.uint16]
    query_area_permille: NDArray[np.uint16]
    stored_area_permille: NDArray[np.uint16]
    number: NDArray[np.uint64]
    start_ms: NDArray[np.uint32]
    versions: NDArray[np.uint16]
    is_common: NDArray[np.bool_]
    is_disputed: NDArray[np.bool_]
    truncated: NDArray[np.uint32]

    def __len__(self) -> int:
        """Return the number of matches."""
        return len(self.query)

    def take(self, rows: NDArray[np.intp]) -> Matches:
        """Return some of the matches, by their places, in this order."""
        columns = (field.name for field in fields(self) if field.name != "truncated")
        return replace(self, **{name: getattr(self, name)[rows] for name in columns})

    def matched_versions(self) -> list[list[MatchedVersion]]:
        """Return the stored versions that the match id of each match names, the nearest first."""
        return [
            [MatchedVersion(*version) for version in versions if version[2] != NO_VERSION]
            for versions in self.versions.tolist()
        ]


def answered_places(banks: Sequence[object] | NDArray[np.uint16], max_matches: int) -> list[int]:
    """Return the places of the items to answer, ascending, given the bank of each, best first.

    These are the first ``max_matches``, and the first of every bank: the items of one bank never
    hide those of another.
    """
    _, first_of_bank = np.unique(np.asarray(banks), return_index=True)
    places: list[int] = np.union1d(np.arange(min(max_matches, len(banks))), first_of_bank).tolist()
    return places


MIN_INTERVAL_MS = 40
MAX_INTERVAL_MS = 60_000


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """Options of a lookup by video.

    ``interval_ms``: time between sampled frames. The shares, in thousandths, are the least of the
    query's and of the stored frames that must be within the segments found. ``answer_early``: as
    soon as one match is certain.
    """

    lookup: LookupOptions = LookupOptions()
    interval_ms: int = 1000
    min_query_share_permille: int = 0
    min_stored_share_permille: int = 0
    answer_early: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of time in which two videos agree, in ms of each."""

    query_start_ms: int
    query_end_ms: int
    stored_start_ms: int
    stored_end_ms: int


@dataclass(frozen=True, slots=True)
class VideoMatch:
    """A media item that a video matches.

    ``distance_bits``, the transform and the place in a plan are those of the nearest pair of
    frames. ``segments`` ascend in the query's time; of a stored picture their stored times are 0.
    The shares, in thousandths, are of frames within the segments; the areas are those of the pair
    that shows the largest share of a frame of either side. ``common_only``: the evidence is
    moments that many videos of its bank have, as an intro. ``versions`` are the stored versions
    that its match id names, the nearest first; ``is_disputed``: the caller's organisation disputes
    all that is near. ``queried``, 32 bytes, and ``stored_start_ms`` are of the nearest pair.
    """

    item_id: bytes
    bank: int
    assurance: int
    kind: MediaKind
    distance_bits: int
    query_transform: Transform
    plan: int
    ordinal: int
    segments: tuple[Segment, ...]
    query_share_permille: int
    stored_share_permille: int
    common_only: bool
    query_area_permille: int
    stored_area_permille: int
    versions: tuple[MatchedVersion, ...]
    is_disputed: bool
    queried: bytes
    stored_start_ms: int


@dataclass(frozen=True, slots=True)
class VideoMatches:
    """Media items that a video matches, best first; ``truncated`` where there were more."""

    matches: tuple[VideoMatch, ...]
    truncated: bool
