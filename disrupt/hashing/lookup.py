"""Picture files to lookup queries: hashes of many versions, each with its transform."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from disrupt.core.hashes import (
    HASH_BITS,
    HASH_BYTES,
    MIN_LOOKUP_QUALITY,
    PdqHash,
    distances_bits,
    unpack,
)
from disrupt.core.lookups import LOOKUP_CROPS, Effort, LookupCrops
from disrupt.core.media import LowQuality
from disrupt.core.transforms import (
    ENLARGED,
    IDENTITY,
    Corners,
    Crop,
    Dihedral,
    Transform,
    turned_crop,
)
from disrupt.distinctiveness.shape_distance import are_degenerate
from disrupt.hashing.anchors.hashes import hash_anchors
from disrupt.hashing.anchors.pages import PAGE_PX
from disrupt.hashing.decoding.pictures import DEFAULT_LIMITS, ImageLimits, decode_frames
from disrupt.hashing.decoding.pixels import Picture
from disrupt.hashing.pdq.linear import (
    Hashed,
    hash_dihedral,
    hash_luma,
    hash_reduced,
    hash_reduced_dihedral,
    packed,
)
from disrupt.hashing.pdq.luma import SIDE_PX, canonical_luma
from disrupt.hashing.regions.crops import hash_crops_dihedral
from disrupt.hashing.regions.detection import WHOLE as WHOLE_REGION
from disrupt.hashing.regions.detection import Region, find_regions, reduction
from disrupt.hashing.regions.quadrilaterals import find_quadrilaterals, straightened
from disrupt.hashing.selection import (
    LOOKUP_DISTINCT_BITS,
    MAX_FRAMES,
    first_usable,
    in_time,
    place_near,
    single,
    usable,
)

MAX_PARTS = 2200
"""Most hashes of crops and regions of a file, in all versions and frames."""

MAX_NEGATIVES = 800
"""Most of all hashes of a file that are also looked up in negative."""

MAX_ANCHORS = 1024
"""Most anchored regions of a file, in all frames; each is looked up plain and mirrored."""

_LEAST_ANCHORS = 16
"""A frame has an eighth of what is left of MAX_ANCHORS, which is CANDIDATES of the first, and at
least so many: some 25 distinct frames have any."""

_MARKED_BITS = 4
"""Regions are looked up of a frame unless it is nearer than this to a frame of which they are: a
blurred frame before it does not hide it."""

LIT_FRAMES = 8
"""Most frames of a file of which other brightnesses are looked up."""

_MOST_AT_STANDARD = (
    len(Dihedral) * 2 * (MAX_FRAMES + LIT_FRAMES) + MAX_PARTS + MAX_NEGATIVES + 2 * MAX_ANCHORS
)
MOST_HASHES = {
    Effort.FAST: 2 * MAX_FRAMES,
    Effort.STANDARD: _MOST_AT_STANDARD,
    Effort.THOROUGH: _MOST_AT_STANDARD,
}
"""Most hashes of one file, of frames enlarged and in two other brightnesses too; every server takes
so many in a call of MatchHashes."""

_MOST_REPEATS = 3
"""Most other regions that one of an upload may look like, so that a copy beside its mirror image,
or four times on a page, is found; a pattern has more, and is not registered either."""

_ALL = b"\xff" * HASH_BYTES
_UPSIDE_DOWN = packed((np.indices((16, 16)).sum(axis=0) & 1) == 0).tobytes()
"""Bits that differ in a negative, and in one that stands upside down."""

_TURNS = tuple(Dihedral)
_PLAIN_AND_MIRRORED = (Dihedral.IDENTITY, Dihedral.MIRROR_ROTATE_180)

_PART_PX = 128
"""Side of the square that a part is averaged to: hashes are as near as from 512."""

_PAGE_PX = 440
"""Approximate side of the page that parts are averaged from, if it were a square."""


@dataclass(frozen=True, slots=True)
class ImageQuery:
    """Query of a picture: hashes, each with its version, and the picture's quality.

    ``frames_skipped`` counts the frames of an animation that were not hashed, and 1 for anything
    else that was not: the rest of a file that ends early, later pages, colours that are not read.
    """

    quality: int
    hashes: tuple[tuple[PdqHash, Transform], ...]
    frames_skipped: int = 0


def hash_image(
    data: bytes, limits: ImageLimits = DEFAULT_LIMITS, effort: Effort = Effort.STANDARD
) -> ImageQuery | LowQuality:
    """Hash a picture file for a lookup, in the canonical profile, no two hashes alike.

    1. Decode the frames, JPEG files at a smaller scale (see ``decode``), as many as
       ``limits.frames_cpu_s`` allows. What some programs show in place of a picture, as without
       its colour profile, is one more frame.
    2. Hash each frame as a whole; where it has at most 512 px a side also ENLARGED; in its eight
       turned and mirrored versions unless at FAST. The average over 512x512 cells is not rounded:
       within 8 bits of the registered hash. Keep the hashes of distinct frames, up to MAX_FRAMES.
    3. Unless at FAST, hash anchored regions, at most MAX_ANCHORS, plain and mirrored, and the whole
       of the first LIT_FRAMES distinct frames in other brightnesses.
    4. Then hash the LOOKUP_CROPS of the whole, of regions, and of tilted pictures once
       they are straightened; of a whole of too low a quality only of regions. A frame that is not
       distinct may show something else in a part, so that this is done of each. Keep what is near
       to nothing in the frames before, at most MAX_PARTS.
    5. Add negatives of some of them.

    LowQuality if nothing is left, since hashes of low quality are left out. Thread-safe. Errors as
    of ``decode``.
    """
    quality = skipped = 0
    room, anchors, wanted = MAX_PARTS, _Anchors(), LOOKUP_CROPS[effort]
    frames: list[PdqHash] = []
    hashes: dict[bytes, Transform] = {}
    featureless: LowQuality | None = None
    for picture in in_time(_pictures(data, limits, effort), limits.frames_cpu_s):
        skipped = picture.frames_left + picture.unseen
        page = None if effort == Effort.FAST else picture.page()
        groups = list(_as_it_is(picture) if page is None else _turned(page))
        canonical = single(first_usable(groups[0][1][0], MIN_LOOKUP_QUALITY), MIN_LOOKUP_QUALITY)
        earlier = [
            code
            for code, version in hashes.items()
            if not version.dihedral and not version.anchored
        ]
        too_regular = isinstance(canonical, LowQuality) and canonical.is_too_regular
        if isinstance(canonical, LowQuality):
            featureless = featureless or canonical
        elif place_near(canonical[0], frames, LOOKUP_DISTINCT_BITS) is None:
            quality = quality or canonical[1]
            frames.append(canonical[0])
            _add(hashes, groups)
            if page is not None and len(frames) <= LIT_FRAMES:
                _add(hashes, _lit(page, wanted.gammas_permille))
        if page is not None and wanted.anchored:
            whole = None if isinstance(canonical, LowQuality) else canonical[0]
            regions = anchors.of_frame(page, whole)
            best = _add(
                hashes, _of_no_shape(regions) if too_regular else regions, _PLAIN_AND_MIRRORED
            )
        if page is not None and room >= len(Dihedral):
            before = len(hashes)
            plain = isinstance(canonical, LowQuality) and not too_regular
            parts = _parts(page, wanted, featureless=plain)
            if too_regular:
                parts = _of_no_shape(parts)
            best = _add(hashes, _unlike(parts, earlier, room // len(Dihedral)))
            room -= len(hashes) - before
            quality = quality or best
        if len(frames) == MAX_FRAMES:
            break
    if featureless and not hashes:
        return replace(featureless, frames_skipped=skipped)
    _add_negatives(hashes, wanted)
    unique_hashes = tuple((PdqHash(code), version) for code, version in hashes.items())
    return ImageQuery(quality, unique_hashes, skipped)


def _pictures(data: bytes, limits: ImageLimits, effort: Effort) -> Iterator[Picture]:
    """Yield the frames of a file; after each what other programs show in its place."""
    for picture in decode_frames(data, limits, scaled=True, colours=effort != Effort.FAST):
        images = picture.image, *picture.others
        for left, image in zip(reversed(range(len(images))), images, strict=True):
            yield replace(picture, image=image, frames_left=picture.frames_left + left)


_Versions = tuple[Sequence[Transform], Hashed]
"""Upright transforms, and hashes of each in the first n of its eight versions."""


def _add(
    hashes: dict[bytes, Transform],
    groups: Iterable[_Versions],
    turns: Sequence[Dihedral] = _TURNS,
) -> int:
    """Add the distinctive hashes, the first of equal ones; return their best quality, or 0."""
    best = 0
    for upright, versions in groups:
        good = usable(versions, MIN_LOOKUP_QUALITY)
        best = max(best, int(versions.qualities[good].max(initial=0)))
        codes = versions.hashes[good].tobytes()
        for place, (at, turn) in enumerate(np.argwhere(good).tolist()):
            code = codes[HASH_BYTES * place : HASH_BYTES * (place + 1)]
            if code not in hashes:
                hashes[code] = _version(upright[at], turns[turn])
    return best


def _add_negatives(hashes: dict[bytes, Transform], wanted: LookupCrops) -> None:
    """Add the hashes of negatives, whose coefficients all have the other sign.

    And of negatives that stand upside down, whose odd ones have it back: but for bits between the
    median and its opposite, which are few.
    """
    negated = [pair for pair in hashes.items() if wanted.is_negated(pair[1])][:MAX_NEGATIVES]
    flips = [_UPSIDE_DOWN if version.anchored else _ALL for _, version in negated]
    codes = (unpack(b"".join(code for code, _ in negated)) ^ unpack(b"".join(flips))).tobytes()
    for place, (_, version) in enumerate(negated):
        code = codes[HASH_BYTES * place : HASH_BYTES * (place + 1)]
        turn = version.rotation_millidegrees
        if version.anchored:
            turn += 180_000 if turn <= 0 else -180_000
        hashes.setdefault(code, version._replace(negative=True, rotation_millidegrees=turn))


def _of_no_shape(parts: Iterable[_Versions]) -> Iterator[_Versions]:
    """Yield the parts that are not degenerate: of a picture of one shape, many parts are of one."""
    for upright, versions in parts:
        may_match = ~are_degenerate(versions.hashes[:, 0])
        yield list(compress(upright, may_match)), versions[np.flatnonzero(may_match)]


def _unlike(parts: Iterable[_Versions], earlier: list[bytes], most: int) -> Iterator[_Versions]:
    """Yield at most so many of the usable parts that are not near to hashes of earlier frames."""
    known = unpack(b"".join(earlier))
    for upright, versions in parts:
        bits = distances_bits(versions.hashes[:, :1], known).min(axis=1, initial=HASH_BITS)
        kept = usable(versions, MIN_LOOKUP_QUALITY).any(axis=1) & (bits >= LOOKUP_DISTINCT_BITS)
        yield list(compress(upright, kept))[:most], versions[np.flatnonzero(kept)[:most]]
        most -= min(int(kept.sum()), most)


def _version(upright: Transform, turn: Dihedral) -> Transform:
    crop = turned_crop(upright.crop, turn)
    left, top, right, bottom = crop
    return upright._replace(
        dihedral=turn,
        crop_left_permille=left,
        crop_top_permille=top,
        crop_right_permille=right,
        crop_bottom_permille=bottom,
        rotation_millidegrees=upright.rotation_millidegrees
        * (-1 if turn >= Dihedral.MIRROR else 1),
    )


def _as_it_is(picture: Picture) -> Iterator[_Versions]:
    """Yield the whole and, where it is small, the whole enlarged, neither turned nor mirrored."""
    size = picture.width_px, picture.height_px
    small = max(size) <= SIDE_PX
    if small:
        yield [IDENTITY], hash_luma(canonical_luma(picture))[None, None]
    reduced = hash_reduced(picture.luma, *size, picture.orientation)
    yield [ENLARGED if small else IDENTITY], reduced[None, None]


def _turned(page: NDArray[np.uint8]) -> Iterator[_Versions]:
    """Yield the versions of the whole and, where it is small, of the whole enlarged."""
    small = max(page.shape) <= SIDE_PX
    if small:
        yield [IDENTITY], hash_dihedral(page)[None]
    yield [ENLARGED if small else IDENTITY], hash_reduced_dihedral(page)[None]


def _lit(page: NDArray[np.uint8], gammas_permille: Iterable[int]) -> Iterator[_Versions]:
    """Yield the versions of the whole in other brightnesses."""
    small = _small(page)
    for permille in gammas_permille:
        levels = [round(255 * (level / 255) ** (permille / 1000)) for level in range(256)]
        lit = Transform(gamma_permille=permille)
        yield [lit], hash_reduced_dihedral(np.asarray(small.point(levels)))[None]


@dataclass(slots=True)
class _Anchors:
    """Anchored regions of the frames of a file: ``left``, none of frames like ``marked``."""

    left: int = MAX_ANCHORS
    marked: list[PdqHash] = field(default_factory=list)

    def of_frame(self, page: NDArray[np.uint8], whole: PdqHash | None) -> Iterator[_Versions]:
        """Yield regions of the next frame; ``whole``: its hash, unless of too low a quality."""
        most = min(max(self.left // 8, _LEAST_ANCHORS), self.left)
        if not most or (whole and place_near(whole, self.marked, _MARKED_BITS) is not None):
            return
        upright, hashed = _anchored(page, most)
        self.left -= len(upright)
        if whole and upright:
            self.marked.append(whole)
        yield upright, hashed


def _anchored(page: NDArray[np.uint8], most: int) -> _Versions:
    """Return the first ``most`` anchored regions of a page, plain and mirrored."""
    height, width = page.shape
    anchors, hashed = hash_anchors(
        page, width / height, most, MIN_LOOKUP_QUALITY, most_repeats=_MOST_REPEATS
    )
    scale = PAGE_PX / max(width, height)
    reach = anchors.side / 2 * (np.abs(np.cos(anchors.angle)) + np.abs(np.sin(anchors.angle)))
    x, y, half_width, half_height = (
        1000 * column / (scale * length)
        for column, length in zip(
            (anchors.x, anchors.y, reach, reach), (width, height, width, height), strict=True
        )
    )
    sides = np.stack(
        [x - half_width, y - half_height, 1000 - x - half_width, 1000 - y - half_height]
    )
    crops = np.rint(sides).clip(0, 999).astype(np.intp).T.tolist()
    degrees = np.degrees(np.arctan2(-np.sin(anchors.angle), np.cos(anchors.angle)))
    turns = np.rint(1000 * degrees).astype(np.intp).tolist()
    upright = [
        Transform(Dihedral.IDENTITY, left, top, right, bottom, turn, anchored=True)
        for (left, top, right, bottom), turn in zip(crops, turns, strict=True)
    ]
    return upright, hashed


def _small(page: NDArray[np.uint8]) -> Image.Image:
    """Reduce a page to some _PAGE_PX a side, by a whole number."""
    factor = max(round(math.sqrt(page.size) / _PAGE_PX), 1)
    return Image.fromarray(page).reduce(factor)


def _parts(
    page: NDArray[np.uint8], wanted: LookupCrops, *, featureless: bool
) -> Iterator[_Versions]:
    """Yield crops of regions, of the whole unless ``featureless``, and of tilted pictures.

    What there may be no room for comes last.
    """
    height, width = page.shape
    small = _small(page)
    factor = -(-width // small.width)
    shown = np.asarray(small) if factor == reduction(width, height) else page
    regions = find_regions(shown, wanted.regions)
    likely = next((region for region in regions if region.certain), None)
    parts, whole = {}, wanted.whole
    if likely:
        # A region with one side within the whole may be the ground below a horizon.
        is_inner = likely.sides_within > 1
        whole = wanted.whole_if_inner_region if is_inner else wanted.whole_if_likely_region
        parts = {likely: wanted.likely}
    parts[WHOLE_REGION] = () if featureless else whole[1:]
    yield from _cropped(small, parts | dict.fromkeys(regions, wanted.remaining) | parts)
    others = [region for region in regions if region not in parts]
    is_grid = len(regions) > wanted.regions
    further: list[tuple[Image.Image, list[Region], Corners]] = [
        (small, [] if is_grid else others, ())
    ]
    for corners in find_quadrilaterals(np.asarray(small), wanted.tilted):
        upright = Image.fromarray(straightened(np.asarray(small), corners))
        within = [WHOLE_REGION, *find_regions(np.asarray(upright), wanted.within)]
        yield from _cropped(upright, dict.fromkeys(within, wanted.straightened), corners)
        further.append((upright, within, corners))
    for image_of, some, corners in further:
        yield from _cropped(image_of, dict.fromkeys(some, wanted.further), corners)


def _cropped(
    image: Image.Image, parts: Mapping[Region, tuple[Crop, ...]], corners: Corners = ()
) -> Iterator[_Versions]:
    """Yield crops of regions of a page, of which ``corners`` tell where it was straightened."""
    by_crops: dict[tuple[Crop, ...], list[Region]] = {}
    for region, crops in parts.items():
        by_crops.setdefault(crops, []).append(region)
    for crops, alike in by_crops.items():
        if not crops:
            continue
        upright = [
            Transform(Dihedral.IDENTITY, *region.crop(crop), corners=corners)
            for region in alike
            for crop in crops
        ]
        averaged = np.stack([_averaged(image, region) for region in alike])
        yield upright, hash_crops_dihedral(averaged, crops).joined()


def _averaged(image: Image.Image, region: Region) -> NDArray[np.uint8]:
    """Average a region of a page to _PART_PX a side."""
    width, height = image.size
    box = region.left * width, region.top * height, region.right * width, region.bottom * height
    return np.asarray(image.resize((_PART_PX, _PART_PX), Image.Resampling.HAMMING, box))
